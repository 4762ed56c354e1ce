"""qwen3-keys: follows the API keys in Secrets Manager and keeps their digests, never the keys, on tmpfs.

Every QWEN3_POLL_SECONDS (5) it asks S3 whether the index has changed and Secrets Manager for the labelled versions of
each client's secret. A key is read only when a version is new to it, hashed, and let go. AWSCURRENT counts without
end; AWSPREVIOUS until the grace after the *current* version's creation, which Secrets Manager keeps, has passed.

What it costs: one ListSecretVersionIds a client and poll, at $0.05 for 10,000 calls: 518,400 calls or $2.59 a month
for each client (and the certificate) at 5 seconds. docs/keys.md has the table.

If AWS cannot be read, the last digests stand; a line in the journal, the unit's status and the file `stale` say so.
"""

import logging
import os
import random
import signal
import sys
import time
from pathlib import Path
from types import FrameType

from botocore.exceptions import BotoCoreError, ClientError

from .aws import Aws, Version
from .certificate import Certificate, reload_nginx
from .digests import Digests, Entry, digest
from .notify import notify

log = logging.getLogger("qwen3-keys")

SHORTEST_KEY = 32
"""Characters. The stack's own keys have 54; a shorter value was put there by hand, or by mistake."""
REMIND_SECONDS = 600.0
LONGEST_WAIT_SECONDS = 60.0
CERTIFICATE_POLLS = 12
"""The certificate is asked for at every twelfth poll: a renewal has half a year."""


class Agent:
    """One pass after another; what one pass learned is kept for the next, keys excepted."""

    def __init__(self, aws: Aws, digests: Digests, certificate: Certificate) -> None:
        self._aws = aws
        self._digests = digests
        self._certificate = certificate
        self._known: dict[str, str] = {}
        """Digests by version ID: a version's value never changes."""
        self._last: dict[str, dict[str, Entry]] = {}
        """Entries of each client's last good pass."""
        self._certificate_version: str | None = None
        self._passes = 0
        self._complaints: dict[str, str] = {}

    def run_once(self) -> bool:
        """One pass. Answers whether everything could be read; what could not keeps its last state."""
        try:
            index = self._aws.index()
        except (BotoCoreError, ClientError, ValueError, KeyError) as error:
            self._complain("index", f"the stack's index cannot be read: {describe(error)}")
            self._write()
            return False
        self._settle("index")
        self._last = {client: entries for client, entries in self._last.items() if client in index.clients}
        complete = True
        for client, arn in index.clients.items():
            try:
                self._last[client] = self._entries(client, arn, index.grace_seconds)
                self._settle(client)
            except (BotoCoreError, ClientError, ValueError) as error:
                complete = False
                self._complain(client, f"client {client}: {describe(error)}; its last keys stand")
        complete = self._follow_certificate(index.tls) and complete
        self._forget()
        self._write()
        # A single client's trouble must not shut the others out.
        if self._last:
            self._digests.mark_loaded()
        self._passes += 1
        return complete

    def _entries(self, client: str, arn: str, grace_seconds: float) -> dict[str, Entry]:
        versions = self._aws.versions(arn)
        current = labelled(versions, "AWSCURRENT")
        if current is None:
            raise ValueError("its secret has no version AWSCURRENT")
        entries = {self._digest(arn, current): Entry(client, None)}
        previous = labelled(versions, "AWSPREVIOUS")
        end = current.created.timestamp() + grace_seconds
        if previous is not None and end > time.time():
            try:
                entries.setdefault(self._digest(arn, previous), Entry(client, end))
            except ValueError as error:
                self._complain(f"{client} previous", f"client {client}: its previous key: {describe(error)}")
        return entries

    def _digest(self, arn: str, version: Version) -> str:
        if version.id not in self._known:
            key = self._aws.value(arn, version.id)
            if len(key) < SHORTEST_KEY or not key.isascii() or not key.isprintable() or " " in key:
                raise ValueError(
                    f"version {version.id} is not a key: allowed are {SHORTEST_KEY} or more printable ASCII characters "
                    "without spaces"
                )
            self._known[version.id] = digest(key)
            log.info("read version %s of %s", version.id, arn)
        return self._known[version.id]

    def _follow_certificate(self, arn: str) -> bool:
        if self._certificate_version is not None and self._passes % CERTIFICATE_POLLS != 0:
            return True
        try:
            current = labelled(self._aws.versions(arn), "AWSCURRENT")
            if current is None:
                raise ValueError("its secret has no version AWSCURRENT")
            if current.id != self._certificate_version:
                if self._certificate.write(self._aws.value(arn, current.id)):
                    reload_nginx()
                self._certificate_version = current.id
            self._settle("certificate")
            return True
        except (BotoCoreError, ClientError, ValueError, OSError) as error:
            self._complain("certificate", f"the certificate: {describe(error)}; the last one stands")
            return False

    @property
    def has_certificate(self) -> bool:
        return self._certificate_version is not None

    def _forget(self) -> None:
        """Let go of digests that no entry names any more."""
        named = {name for entries in self._last.values() for name in entries}
        self._known = {version: name for version, name in self._known.items() if name in named}

    def _write(self) -> None:
        merged = {name: entry for entries in self._last.values() for name, entry in entries.items()}
        if not merged:
            # Nothing was read since this process began: what an earlier one wrote stands.
            return
        try:
            self._digests.write(merged)
            self._settle("tmpfs")
        except OSError as error:
            self._complain("tmpfs", f"the digests cannot be written: {error}; those there stand")

    def _complain(self, about: str, message: str) -> None:
        """A line when something begins to fail or fails otherwise, not one a poll."""
        if self._complaints.get(about) != message:
            log.warning("%s", message)
        self._complaints[about] = message

    def _settle(self, about: str) -> None:
        if self._complaints.pop(about, None) is not None:
            log.warning("%s: well again", about)


def labelled(versions: list[Version], stage: str) -> Version | None:
    return next((version for version in versions if stage in version.stages), None)


def describe(error: Exception) -> str:
    """What AWS said, which holds no secret's value."""
    if isinstance(error, ClientError):
        return f"{error.operation_name}: {error.response['Error'].get('Code')}"
    return str(error) or type(error).__name__


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s", stream=sys.stdout)
    # botocore logs requests and answers at DEBUG, and warns of endpoints: neither belongs here.
    logging.getLogger("botocore").setLevel(logging.ERROR)
    poll = float(os.environ.get("QWEN3_POLL_SECONDS") or 5)
    digests = Digests(Path(os.environ.get("QWEN3_KEYS_DIR", "/run/qwen3/keys")))
    certificate = Certificate(Path(os.environ.get("QWEN3_TLS_DIR", "/run/qwen3/tls")))
    agent = Agent(Aws(), digests, certificate)
    signal.signal(signal.SIGTERM, stop)
    ready, stale_since, failures, reminded = False, None, 0, 0.0
    while True:
        complete = agent.run_once()
        if complete:
            failures, stale_since = 0, None
        else:
            failures, stale_since = failures + 1, stale_since or time.time()
            if time.time() - reminded > REMIND_SECONDS:
                log.warning("not everything could be read since %s; the last digests stand", time.ctime(stale_since))
                reminded = time.time()
        digests.mark_stale(stale_since)
        notify(f"STATUS={'following' if complete else 'STALE: the last digests stand'}")
        if not ready and agent.has_certificate and (complete or failures > 2):
            notify("READY=1")
            ready = True
        wait = poll if complete else min(poll * 2 ** min(failures - 1, 5), LONGEST_WAIT_SECONDS)
        time.sleep(wait * random.uniform(0.8, 1.2) if failures else wait)


def stop(signum: int, frame: FrameType | None) -> None:
    sys.exit(0)


if __name__ == "__main__":
    main()
