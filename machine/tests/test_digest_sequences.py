"""Random sequences of changes: what nginx accepts, and what a worker accepts, also a minute later.

nginx's rule is `Entry.valid` here. test/machine/gatewayAuth.test.ts checks nginx itself with digest_files.json.
"""

import errno
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from unittest import mock

from fakes import NOW, key, killed_after
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from qwen3 import digests as digests_module
from qwen3.agent import merged
from qwen3.contract import DIGESTS, LINGER_SECONDS
from qwen3.digests import Digests, Entry, digest, read_entry
from qwen3.worker.auth import Authenticator
from qwen3.worker.errors import ApiError

NAMES = st.sampled_from(["a", "b", "c"])


class Sequences(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.keys = Path(self.folder.name)
        self.digests = Digests(self.keys, group=None)
        self.digests.mark_loaded()
        self.worker = Authenticator(self.keys)
        self.now = NOW
        self.entries: dict[str, Entry] = {}
        """The keys that are valid according to AWS, by digest."""
        self.passed: list[tuple[str, float]] = []
        """Requests that nginx has accepted: the key's name, and when."""

    def teardown(self) -> None:
        self.folder.cleanup()

    # --- what nginx and a worker do

    def nginx_takes(self, name: str) -> bool:
        entry = read_entry(self.keys / DIGESTS / digest(key(name)))
        return entry is not None and entry.valid(self.now)

    def worker_takes(self, name: str) -> bool:
        with mock.patch.object(time, "time", return_value=self.now):
            try:
                return self.worker.client_of([(b"authorization", f"Bearer {key(name)}".encode())]) == "default"
            except ApiError:
                return False

    def valid(self, name: str) -> bool:
        entry = self.entries.get(digest(key(name)))
        return entry is not None and entry.valid(self.now)

    # --- what happens

    @rule(name=NAMES, grace=st.one_of(st.none(), st.integers(1, 200)))
    def put(self, name: str, grace: int | None) -> None:
        """A key becomes current, or previous with a grace period, also one that was revoked before."""
        self.entries[digest(key(name))] = Entry("default", None if grace is None else self.now + grace)

    @rule(name=NAMES)
    def revoke(self, name: str) -> None:
        self.entries.pop(digest(key(name)), None)

    @rule(seconds=st.floats(0.001, 100))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.passed = [(name, at) for name, at in self.passed if self.now - at < LINGER_SECONDS]

    @rule()
    def follow(self) -> None:
        self.digests.write(self.entries, self.now)
        for name in "abc":
            assert self.nginx_takes(name) == self.valid(name)

    @rule(name=NAMES)
    def request(self, name: str) -> None:
        if self.nginx_takes(name):
            self.passed.append((name, self.now))

    @rule()
    def restart_without_aws(self) -> None:
        before = [name for name in "abc" if self.nginx_takes(name)]
        self.digests = Digests(self.keys, group=None)
        self.digests.write(merged(self.digests.read(self.now)), self.now, complete=False)
        assert [name for name in "abc" if self.nginx_takes(name)] == before

    @rule(survived=st.integers(0, 6))
    def die_in_a_pass(self, survived: int) -> None:
        with killed_after(survived):
            self.digests.write(self.entries, self.now)
        self.digests = Digests(self.keys, group=None)

    @precondition(lambda self: not self.passed)
    @rule()
    def follow_on_a_full_tmpfs(self) -> None:
        """Revokes without the minute for requests that are being sent, so this test has none."""
        full = OSError(errno.ENOSPC, "No space left on device")
        with mock.patch.object(digests_module, "replace", side_effect=full), suppress(OSError):
            self.digests.write(self.entries, self.now)
        for name in "abc":
            assert self.valid(name) or not self.nginx_takes(name)

    # --- what always holds

    @invariant()
    def nothing_passes_nginx_and_fails_at_a_worker(self) -> None:
        for name in [*(name for name in "abc" if self.nginx_takes(name)), *(name for name, _ in self.passed)]:
            assert self.worker_takes(name)


Sequences.TestCase.settings = settings(max_examples=150, stateful_step_count=40)
TestSequences = Sequences.TestCase
