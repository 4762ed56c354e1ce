"""The keys on this instance: their agent, and their digests against Secrets Manager."""

import time
from collections.abc import Mapping
from pathlib import Path

from ..agent import Secrets, key_digest, valid_versions
from ..contract import DIGESTS, KEYS, LOADED, POLL_SECONDS, STALE
from ..digests import DIGEST, Entry, read_entry
from .row import Check, Failed, until
from .system import properties

UNIT = "qwen3-keys.service"
PATIENCE_SECONDS = 4 * POLL_SECONDS
"""A change in Secrets Manager, or a problem that was over at once, has reached the folder by then."""
END_TOLERANCE_SECONDS = 1.0


class Keys:
    """The valid keys as Secrets Manager has them, each with its entry, and the folder of the agent."""

    def __init__(self, aws: Secrets, folder: Path = KEYS) -> None:
        self._aws = aws
        self._folder = folder

    def expected(self) -> dict[str, tuple[str, Entry]]:
        """By digest: the key, which stays in this process, and its entry. Raises botocore's errors and ValueError."""
        index = self._aws.index()
        found: dict[str, tuple[str, Entry]] = {}
        for client, arn in index.clients.items():
            versions = self._aws.versions(arn)
            try:
                valid = valid_versions(client, versions, index.grace_seconds)
            except ValueError:
                raise Failed(f"the secret of client {client} has no version AWSCURRENT") from None
            for version, entry in valid:
                key = self._aws.value(arn, version.id)
                try:
                    found[key_digest(key)] = (key, entry)
                except ValueError:
                    # Not a key, which the agent refuses and reports.
                    continue
        return found

    def present(self) -> dict[str, Entry]:
        """The entries that nginx accepts now, by digest. An incomplete file counts as a digest of no client."""
        now = time.time()
        entries = {
            path.name: read_entry(path) or Entry("an incomplete file", None)
            for path in (self._folder / DIGESTS).iterdir()
            if DIGEST.fullmatch(path.name)
        }
        return {name: entry for name, entry in entries.items() if entry.valid(now)}

    def compare(self) -> str:
        expected = {name: entry for name, (_, entry) in self.expected().items()}
        problems = differences(expected, self.present())
        if problems:
            raise Failed("; ".join(problems))
        previous = sum(entry.not_after is not None for entry in expected.values())
        clients = len({entry.client for entry in expected.values()})
        return f"{len(expected)} keys of {clients} clients, {previous} of them in their grace period, and no others"

    def agent(self) -> str:
        state = properties(UNIT, "ActiveState", "StatusText")
        if state["ActiveState"] != "active":
            raise Failed(f"the unit is {state['ActiveState']}")
        stale = self._folder / STALE
        if stale.exists():
            raise Failed(f"since {time.ctime(stale.stat().st_mtime)} not everything can be read or written")
        if not (self._folder / LOADED).exists():
            raise Failed("no keys were loaded since the boot: every request gets 503")
        return f"active, {state['StatusText']}"


def differences(expected: Mapping[str, Entry], present: Mapping[str, Entry]) -> list[str]:
    """What differs, by client and without a digest."""
    problems = []
    for client in sorted({entry.client for entry in (*expected.values(), *present.values())}):
        wanted = {name: entry for name, entry in expected.items() if entry.client == client}
        found = {name: entry for name, entry in present.items() if entry.client == client}
        missing, surplus = wanted.keys() - found.keys(), found.keys() - wanted.keys()
        ends = [name for name in wanted.keys() & found.keys() if not same_end(wanted[name], found[name])]
        if missing:
            problems.append(f"client {client}: {len(missing)} valid keys are not accepted")
        if surplus:
            problems.append(f"client {client}: {len(surplus)} keys are accepted that Secrets Manager does not have")
        if ends:
            problems.append(f"client {client}: {len(ends)} keys have another end than their grace period")
    return problems


def same_end(one: Entry, other: Entry) -> bool:
    if one.not_after is None or other.not_after is None:
        return one.not_after is other.not_after
    return abs(one.not_after - other.not_after) <= END_TOLERANCE_SECONDS


def checks(keys: Keys, patience: float = PATIENCE_SECONDS) -> list[Check]:
    return [
        Check(
            "the key agent follows Secrets Manager",
            "keys",
            "a revoked key may remain valid: journalctl --namespace='*' -u qwen3-keys "
            "--priority warning says what cannot be read",
            lambda: until(keys.agent, patience),
        ),
        Check(
            "the digests are those of Secrets Manager",
            "keys",
            "systemctl restart qwen3-keys, which reads every version again; then journalctl "
            "--namespace='*' -u qwen3-keys",
            lambda: until(keys.compare, patience),
        ),
    ]
