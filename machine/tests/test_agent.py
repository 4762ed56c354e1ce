"""Which keys are valid after a pass: rotation, grace, clients, and values that are not keys."""

import pytest
from fakes import NOW, SENTINEL, key
from scene import Scene, names

from qwen3.agent import key_digest
from qwen3.contract import LINGER_SECONDS


def test_first_pass(scene: Scene) -> None:
    assert not scene.agent.ready
    assert scene.follow()
    assert scene.agent.ready
    assert scene.valid() == scene.files() == names("one")
    assert scene.end("one") is None
    assert not scene.agent.problems


def test_a_value_is_read_once(scene: Scene) -> None:
    for _ in range(5):
        scene.follow()
    assert scene.aws.values_read.count("arn:default-0") == 1


def test_the_grace_period_begins_with_the_creation_of_the_current_version(scene: Scene) -> None:
    scene.follow()
    scene.rotate("two")
    created = scene.now
    scene.now += 1000  # this instance sees it late
    scene.follow()
    assert scene.valid() == names("one", "two")
    assert scene.end("one") == created + 3600
    assert scene.end("two") is None
    scene.now = created + 3600
    assert scene.valid() == names("two")  # without a pass
    scene.follow()
    assert scene.valid() == names("two")


def test_an_instance_that_boots_within_the_grace_period_accepts_the_previous_key(scene: Scene) -> None:
    scene.rotate("two")
    scene.now += 3599
    scene.follow()
    assert scene.valid() == names("one", "two")


def test_the_third_last_key_is_refused(scene: Scene) -> None:
    scene.follow()
    scene.rotate("two")
    scene.follow()
    scene.rotate("three")
    scene.follow()
    assert scene.valid() == names("two", "three")
    assert scene.end("one") == scene.now


def test_without_a_grace_period_the_old_key_ends_immediately_even_if_the_clock_is_behind(scene: Scene) -> None:
    scene.follow()
    scene.rotate("two")
    scene.aws.grace = 0
    scene.now -= 60
    scene.follow()
    assert scene.valid() == names("two")
    assert scene.end("one") == scene.now


def test_a_clock_jump_moves_only_the_end_of_a_grace_period(scene: Scene) -> None:
    scene.rotate("two")
    day = 86_400.0
    for jump, valid in ((20.0, ["one", "two"]), (day, ["two"]), (-day, ["one", "two"]), (30.0, ["one", "two"])):
        scene.now = NOW + jump
        scene.follow()
        assert scene.valid() == names(*valid)
        assert scene.end("two") is None


def test_a_revoked_key_stays_revoked_when_the_clock_jumps_back(scene: Scene) -> None:
    scene.follow()
    scene.rotate("two")
    scene.aws.grace = 0
    scene.follow()
    scene.now -= 86_400
    scene.follow()
    assert scene.valid() == names("two")


def test_the_grace_period_can_be_cut_short(scene: Scene) -> None:
    scene.rotate("two")
    scene.follow()
    assert scene.valid() == names("one", "two")
    scene.aws.grace = 0
    scene.follow()
    assert scene.valid() == names("two")


def test_a_worker_accepts_a_revoked_key_slightly_longer(scene: Scene) -> None:
    scene.follow()
    scene.rotate("two")
    scene.aws.grace = 0
    scene.follow()
    assert scene.valid() == names("two")
    assert scene.at_worker() == names("one", "two")
    scene.now += LINGER_SECONDS - 1
    scene.restart()  # the end is in the file
    scene.follow()
    assert scene.at_worker() == scene.files() == names("one", "two")
    scene.now += 1
    assert scene.at_worker() == names("two")
    scene.follow()
    assert scene.files() == names("two")


def test_a_key_that_becomes_current_again_loses_its_end(scene: Scene) -> None:
    scene.follow()
    scene.rotate("two")
    scene.aws.grace = 0
    scene.follow()
    assert scene.valid() == names("two")
    scene.rotate("one")
    scene.follow()
    assert scene.valid() == names("one")
    assert scene.end("one") is None
    assert scene.end("two") == scene.now


def test_clients_follow_the_index(scene: Scene) -> None:
    scene.aws.clients["search"] = "arn:search"
    scene.aws.put("arn:search", key("search"), NOW)
    scene.follow()
    assert scene.valid() == names("one", "search")
    del scene.aws.clients["search"]
    scene.follow()
    assert scene.valid() == names("one")


@pytest.mark.parametrize("value", ["", "short", "x" * 513, f"{key('a')} ", f"{key('a')}\n", key("é")])
def test_an_invalid_key_is_rejected_without_its_value(value: str) -> None:
    with pytest.raises(ValueError, match="is not a key") as caught:
        key_digest(value)
    assert SENTINEL not in str(caught.value)


def test_an_invalid_value_stored_by_hand_is_refused_and_the_previous_key_has_its_grace_period(scene: Scene) -> None:
    scene.follow()
    scene.aws.put("arn:default", "nonsense", scene.now)
    scene.follow(expect_warning=True)
    assert "client default AWSCURRENT" in scene.lines[-1]
    assert "nonsense" not in scene.lines[-1]
    assert scene.end("one") == scene.now + 3600
    for _ in range(3):
        scene.follow()
    assert scene.aws.values_read.count("arn:default-1") == 1
    scene.rotate("two")
    scene.follow(expect_warning=True)
    assert scene.valid() == names("two")
