"""qwen3-check compares the digests with Secrets Manager, and asks for the key agent's state."""

import time
from pathlib import Path

import pytest
from fakes import NOW, SENTINEL, client_error, key
from scene import Scene

from qwen3.check import keys
from qwen3.check.keys import Keys
from qwen3.check.row import Failed
from qwen3.digests import Entry, digest


@pytest.fixture
def compared(scene: Scene) -> Keys:
    """After one pass of the agent."""
    scene.follow()
    return Keys(scene.aws, scene.folder / "keys")


def test_the_digests_are_those_of_the_labelled_versions(scene: Scene, compared: Keys) -> None:
    assert compared.compare() == "1 keys of 1 clients, 0 of them in their grace period, and no others"
    scene.rotate("two")
    scene.follow()
    assert compared.compare() == "2 keys of 1 clients, 1 of them in their grace period, and no others"
    scene.now += scene.aws.grace + 1
    scene.follow()
    assert compared.compare() == "1 keys of 1 clients, 0 of them in their grace period, and no others"


def test_a_new_key_that_the_agent_did_not_read(scene: Scene, compared: Keys) -> None:
    scene.rotate("two")
    with pytest.raises(Failed, match=r"^client default: 1 valid keys are not accepted; .*another end than their grace"):
        compared.compare()


def test_a_key_that_was_revoked_and_is_still_accepted(scene: Scene, compared: Keys) -> None:
    scene.rotate("two")
    scene.follow()
    scene.aws.grace = 0
    with pytest.raises(Failed, match=r"^client default: 1 keys are accepted that Secrets Manager does not have$"):
        compared.compare()


def test_a_digest_that_somebody_put_there(scene: Scene, compared: Keys) -> None:
    path = scene.digests / digest(key("foreign"))
    path.write_text(Entry("nobody", None).text())
    with pytest.raises(Failed, match=r"^client nobody: 1 keys are accepted"):
        compared.compare()


def test_an_incomplete_file(scene: Scene, compared: Keys) -> None:
    scene.path("one").write_text('{"client":')
    with pytest.raises(Failed, match=r"client an incomplete file: 1 keys .*; client default: 1 valid keys"):
        compared.compare()


def test_a_grace_period_that_ends_at_another_time(scene: Scene, compared: Keys) -> None:
    scene.rotate("two")
    scene.follow()
    scene.path("one").write_text(Entry("default", NOW + 10 * scene.aws.grace).text())
    with pytest.raises(Failed, match=r"^client default: 1 keys have another end"):
        compared.compare()


def test_a_value_that_is_no_key_is_not_expected(scene: Scene, compared: Keys) -> None:
    scene.aws.put("arn:default", "too short", NOW)
    assert {entry.not_after for _, entry in compared.expected().values()} == {NOW + scene.aws.grace}


def test_rows_hold_no_key_and_report_an_outage(scene: Scene, compared: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "properties", lambda *_: {"ActiveState": "active", "StatusText": "up to date"})
    scene.rotate("two")
    scene.follow()
    scene.rotate("three")
    for error in (None, client_error("AccessDenied")):
        scene.aws.failing = {"arn:default": error} if error else {}
        [agent, digests] = [check.row() for check in keys.checks(compared, patience=0)]
        assert (agent.ok, digests.ok) == (True, False)
        assert SENTINEL not in repr((agent, digests))
        assert digest(key("one")) not in repr((agent, digests))


@pytest.mark.parametrize(
    ("state", "mark", "said"),
    [
        ("active", None, None),
        ("failed", None, "the unit is failed"),
        ("active", "stale", "not everything can be read"),
        ("active", "loaded", "no keys were loaded since the boot"),
    ],
)
def test_the_agent(
    scene: Scene, compared: Keys, monkeypatch: pytest.MonkeyPatch, state: str, mark: str | None, said: str | None
) -> None:
    monkeypatch.setattr(keys, "properties", lambda *_: {"ActiveState": state, "StatusText": "up to date"})
    folder: Path = scene.folder / "keys"
    if mark == "stale":
        (folder / mark).write_text("1\n")
    elif mark:
        (folder / mark).unlink()
    if said is None:
        assert compared.agent() == "active, up to date"
    else:
        with pytest.raises(Failed, match=said):
            compared.agent()


def test_a_problem_that_is_over_soon_is_not_one(scene: Scene, compared: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.rotate("two")
    waited: list[float] = []

    def sleep(seconds: float) -> None:
        waited.append(seconds)
        scene.follow()

    monkeypatch.setattr(time, "sleep", sleep)
    [_, digests] = [check.row() for check in keys.checks(compared, patience=30)]
    assert digests.ok
    assert len(waited) == 1
