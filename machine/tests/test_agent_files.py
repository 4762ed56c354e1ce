"""The files of the digests: incomplete ones, a full tmpfs, an agent that is killed, and no key in any."""

import errno
import json
from unittest import mock

import pytest
from fakes import SENTINEL, killed_after
from scene import Scene, names
from test_agent_outages import DOWN

from qwen3 import digests as digests_module
from qwen3.contract import LINGER_SECONDS
from qwen3.digests import Entry, parse_entry

FULL = OSError(errno.ENOSPC, "No space left on device")


def test_broken_and_foreign_files_are_corrected(scene: Scene) -> None:
    scene.follow()
    scene.path("one").write_bytes(b'{"client": "def\xff')
    (scene.digests / ("0" * 64)).write_text('{"client": "unknown", "notAfter": null}')
    (scene.digests / ("1" * 64)).write_text("")
    (scene.digests / ".x.partial").write_text("")
    (scene.digests / "folder").mkdir()
    scene.follow()
    assert scene.valid() == names("one")
    assert scene.end("one") is None
    assert scene.files() == {*names("one"), "0" * 64}
    scene.now += LINGER_SECONDS
    scene.follow()
    assert scene.files() == names("one")


def test_a_folder_in_place_of_a_digest_is_replaced(scene: Scene) -> None:
    scene.follow()
    scene.path("one").unlink()
    scene.path("one").mkdir()
    scene.follow()
    assert scene.valid() == names("one")


def test_a_broken_file_is_neither_accepted_nor_refused_until_aws_can_be_read(scene: Scene) -> None:
    scene.follow()
    scene.path("one").write_text("{")
    scene.aws.failing["all"] = DOWN
    scene.restart()  # this process has not seen the key
    scene.follow(expect_warning=True)
    assert scene.path("one").read_text() == "{"
    scene.aws.failing.clear()
    scene.follow(expect_warning=True)
    assert scene.valid() == names("one")


def test_a_broken_file_is_rewritten_without_aws_by_an_agent_that_has_its_entry(scene: Scene) -> None:
    scene.follow()
    scene.path("one").write_text("{")
    scene.aws.failing["all"] = DOWN
    scene.follow(expect_warning=True)
    assert scene.valid() == names("one")


def test_a_full_tmpfs_is_logged_and_revocation_continues(scene: Scene) -> None:
    scene.rotate("two")
    scene.follow()
    scene.rotate("three")
    with mock.patch.object(digests_module, "replace", side_effect=FULL):
        assert scene.follow(expect_warning=True)
        assert "No space left on device" in scene.lines[-1]
        # The end of "one" cannot be written, so its file is removed. "two" has no end yet.
        assert scene.files() == names("two")
        assert scene.valid() == names("two")
        scene.aws.grace = 0
        scene.follow()
        assert scene.files() == set()
    scene.follow(expect_warning=True)
    assert scene.valid() == names("three")


@pytest.mark.parametrize("survived", range(8))
def test_killed_at_any_write_it_leaves_whole_files_and_the_next_process_continues(scene: Scene, survived: int) -> None:
    scene.rotate("two")
    scene.follow()
    scene.rotate("three")
    scene.aws.clients["search"] = "arn:search"
    scene.rotate("search", "arn:search")
    with killed_after(survived):
        scene.agent.follow()
    for name in scene.files():
        if not name.startswith("."):
            parse_entry((scene.digests / name).read_text())
    assert scene.valid() <= scene.at_worker()
    assert scene.valid() >= names("two")
    scene.restart()
    scene.agent.follow()
    assert scene.valid() == names("two", "three", "search")
    assert not [name for name in scene.files() if name.startswith(".")]


def test_no_key_is_in_any_file_and_others_can_read_no_file(scene: Scene) -> None:
    scene.rotate("two")
    scene.follow()
    for path in (scene.folder / "keys").rglob("*"):
        if path.is_file():
            assert SENTINEL not in path.read_text()
    assert scene.path("two").stat().st_mode & 0o777 == 0o640
    assert scene.digests.stat().st_mode & 0o777 == 0o750


def test_the_same_state_writes_nothing(scene: Scene) -> None:
    scene.rotate("two")
    scene.aws.grace = 0
    scene.follow()
    before = {path: path.stat().st_ino for path in (scene.folder / "keys").rglob("*")}
    scene.now += 1
    scene.follow()
    assert before == {path: path.stat().st_ino for path in (scene.folder / "keys").rglob("*")}


def test_an_entry_is_read_as_it_was_written() -> None:
    for entry in (Entry("a", 1.5), Entry("a-b", None)):
        assert parse_entry(entry.text()) == entry
    assert set(json.loads(Entry("a", None).text())) == {"client", "notAfter"}
