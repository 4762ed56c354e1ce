"""What remains valid while AWS, one client's secret or the index cannot be read."""

from botocore.exceptions import EndpointConnectionError
from fakes import NOW, client_error, key
from scene import Scene, names

from qwen3.agent import DELETED_POLLS

DOWN = EndpointConnectionError(endpoint_url="https://secretsmanager")


def test_the_last_keys_remain_in_use_and_it_is_logged_once(scene: Scene) -> None:
    scene.follow()
    scene.aws.failing["all"] = DOWN
    assert not scene.follow(expect_warning=True)
    assert scene.agent.problems
    scene.follow()
    assert scene.valid() == names("one")
    scene.aws.failing.clear()
    assert scene.follow(expect_warning=True)
    assert "resolved" in "\n".join(scene.lines)
    assert not scene.agent.problems


def test_the_last_keys_remain_in_use_after_a_restart(scene: Scene) -> None:
    scene.follow()
    scene.aws.failing["all"] = DOWN
    scene.restart()
    assert scene.agent.ready
    scene.follow(expect_warning=True)
    assert scene.valid() == names("one")


def test_the_grace_period_ends_without_secrets_manager(scene: Scene) -> None:
    scene.rotate("two")
    scene.follow()
    scene.aws.failing["arn:default"] = DOWN
    scene.follow(expect_warning=True)
    scene.now += 3600
    assert scene.valid() == names("two")
    scene.follow()
    assert scene.valid() == names("two")


def test_a_boot_without_aws_accepts_no_key(scene: Scene) -> None:
    scene.aws.failing["all"] = DOWN
    for _ in range(10):
        scene.agent.follow()
    assert not (scene.folder / "keys/loaded").exists()
    assert not scene.agent.ready


def test_keys_are_followed_while_only_the_index_cannot_be_read(scene: Scene) -> None:
    scene.follow()
    scene.aws.failing["index"] = client_error("InternalError", 500)
    scene.rotate("two")
    assert scene.follow(expect_warning=True)
    assert scene.valid() == names("one", "two")


def test_one_bad_client_does_not_affect_the_others(scene: Scene) -> None:
    scene.aws.clients |= {"bad": "arn:bad", "search": "arn:search"}
    scene.aws.put("arn:bad", key("bad"), NOW)
    scene.aws.put("arn:search", key("search"), NOW)
    scene.follow()
    scene.aws.failing["arn:bad"] = client_error("AccessDeniedException")
    scene.rotate("new", "arn:search")
    assert scene.follow(expect_warning=True)
    assert "client bad" in "\n".join(scene.lines)
    assert scene.valid() == names("one", "bad", "search", "new")


def test_a_bad_client_does_not_block_the_others_for_long(scene: Scene) -> None:
    scene.aws.clients["bad"] = "arn:bad"
    scene.aws.failing["arn:bad"] = client_error("AccessDeniedException")
    scene.follow(expect_warning=True)
    assert not scene.agent.ready
    scene.follow()
    scene.follow()
    assert scene.agent.ready


def test_a_bad_client_keeps_its_key_across_a_restart(scene: Scene) -> None:
    scene.aws.clients["bad"] = "arn:bad"
    scene.aws.put("arn:bad", key("bad"), NOW)
    scene.follow()
    scene.aws.failing["arn:bad"] = client_error("AccessDeniedException")
    scene.restart()
    scene.follow(expect_warning=True)
    assert scene.valid() == names("one", "bad")


def test_the_keys_of_a_deleted_secret_expire_after_some_polls(scene: Scene) -> None:
    scene.aws.clients["gone"] = "arn:gone"
    scene.aws.put("arn:gone", key("gone"), NOW)
    scene.follow()
    scene.aws.failing["arn:gone"] = client_error("ResourceNotFoundException")
    scene.follow(expect_warning=True)
    assert scene.valid() == names("one", "gone")
    for _ in range(DELETED_POLLS):
        scene.agent.follow()
    assert scene.valid() == names("one")
