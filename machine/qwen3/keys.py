"""qwen3-keys: follows the API keys in Secrets Manager and keeps their digests, never the keys, on tmpfs.

Every QWEN3_POLL_SECONDS (5), or at once on SIGHUP, it asks S3 whether the index has changed and Secrets Manager for
the labelled versions of each client's secret. A value is read only when its version is new, hashed, and let go.
AWSCURRENT counts without end; AWSPREVIOUS until keyGraceSeconds after the *current* version's creation, which Secrets
Manager keeps; nothing else counts. What is honoured is a function of Secrets Manager and the index alone.

What it costs a machine and 30 days at 5 seconds: 518,400 ListSecretVersionIds a client at $0.05 for 10,000, $2.59;
a twelfth of that, $0.22, for the certificate; $0.21 for S3's GETs.

If AWS cannot be read, the last digests stand, also across a restart of this process; a line in the journal, the
unit's status and the file `stale` say so.
"""

import logging
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError

from .aws import Aws, Index, Version
from .certificate import Certificate
from .digests import Digests, Entry, digest
from .notify import notify

log = logging.getLogger("qwen3-keys")

SHORTEST_KEY = 32
LONGEST_KEY = 512
"""Characters. The stack's own keys have 54; nginx and the door take no more than 512."""
REMIND_SECONDS = 600.0
LONGEST_WAIT_SECONDS = 60.0
CERTIFICATE_POLLS = 12
"""The certificate is asked for at every twelfth poll: a renewal has months."""
GONE_POLLS = 3
"""A secret that does not exist, so many times in a row, is deleted and its keys with it."""
PATIENCE_POLLS = 3
"""So long one client's trouble keeps the endpoint at 503; then its key is a stranger's and the others are served."""
PARALLEL_CALLS = 8
THROTTLED = {"ThrottlingException", "Throttling", "TooManyRequestsException", "SlowDown", "RequestLimitExceeded"}


class Troubles:
    """What cannot be followed now. A line in the journal when one begins, changes, ends, and every ten minutes."""

    def __init__(self) -> None:
        self._open: dict[str, tuple[str, float]] = {}

    def __bool__(self) -> bool:
        return bool(self._open)

    def begin(self, about: str, message: str) -> None:
        known, said = self._open.get(about, ("", 0.0))
        if known != message or time.monotonic() - said >= REMIND_SECONDS:
            log.warning("%s: %s", about, message)
            said = time.monotonic()
        self._open[about] = (message, said)

    def end(self, about: str) -> None:
        if self._open.pop(about, None) is not None:
            log.warning("%s: well again", about)

    def keep(self, clients: set[str]) -> None:
        """Forget the troubles of clients that are no more."""
        for about in list(self._open):
            if about.startswith("client ") and about.split()[1] not in clients:
                del self._open[about]


class Agent:
    """One pass after another; what one pass learned is kept for the next, keys excepted."""

    def __init__(self, aws: Aws, digests: Digests, certificate: Certificate) -> None:
        self.troubles = Troubles()
        self._aws = aws
        self._digests = digests
        self._certificate = certificate
        self._index: Index | None = None
        self._entries = digests.read()
        """What each client's last good pass found, by digest."""
        self._digest_of: dict[str, str] = {}
        self._refused: dict[str, str] = {}
        """By version ID: a digest, or why the value is no key. A version's value never changes."""
        self._not_found: dict[str, int] = {}
        self._certificate_version: str | None = None
        self._certificate_due = 0
        self._passes = 0
        """Those that reached AWS."""

    @property
    def ready(self) -> bool:
        """Whether nginx and the workers have what they need, from this process or an earlier one."""
        return self._digests.loaded and self._certificate.present

    def follow(self) -> bool:
        """One pass. Answers whether AWS was there to be asked; what it could not follow is in `troubles`."""
        self._follow_index()
        reached = self._index is not None and self._follow_clients(self._index)
        if self._index is not None and reached:
            self._passes += 1
            self._follow_certificate(self._index.tls)
        self._write()
        return reached

    def _follow_index(self) -> None:
        try:
            self._index = self._aws.index()
            self.troubles.end("index")
        except (BotoCoreError, ClientError, ValueError) as error:
            self.troubles.begin("index", f"{describe(error)}; the last one stands")

    def _follow_clients(self, index: Index) -> bool:
        """Answers whether Secrets Manager was there. The first call without an answer spares the rest their wait."""
        away = threading.Event()

        def follow(client: str, arn: str) -> None:
            if away.is_set():
                return
            try:
                self._entries[client] = self._read(client, arn, index.grace_seconds)
                self._not_found.pop(client, None)
                self.troubles.end(f"client {client}")
            except (BotoCoreError, ClientError, ValueError) as error:
                if is_outage(error):
                    away.set()
                    self.troubles.begin("Secrets Manager", f"{describe(error)}; the last keys stand")
                else:
                    self._refuse(client, error)

        with ThreadPoolExecutor(PARALLEL_CALLS) as pool:
            list(pool.map(follow, index.clients.keys(), index.clients.values()))
        if not away.is_set():
            self.troubles.end("Secrets Manager")
        self._entries = {client: found for client, found in self._entries.items() if client in index.clients}
        self.troubles.keep(set(index.clients))
        return not away.is_set()

    def _refuse(self, client: str, error: Exception) -> None:
        """One client's secret cannot be read, and the others' can."""
        standing = "its last keys stand"
        if error_code(error) == "ResourceNotFoundException":
            self._not_found[client] = self._not_found.get(client, 0) + 1
            if self._not_found[client] >= GONE_POLLS:
                self._entries.pop(client, None)
                standing = "its keys are refused"
        self.troubles.begin(f"client {client}", f"{describe(error)}; {standing}")

    def _read(self, client: str, arn: str, grace_seconds: float) -> dict[str, Entry]:
        """The entries that a client's secret asks for, by digest. Raises botocore's errors and ValueError."""
        versions = self._aws.versions(arn)
        current, previous = labelled(versions, "AWSCURRENT"), labelled(versions, "AWSPREVIOUS")
        if current is None:
            raise ValueError("its secret has no version AWSCURRENT")
        entries = {}
        end = current.created.timestamp() + grace_seconds
        if previous is not None and grace_seconds > 0 and time.time() < end:
            self._add(entries, arn, previous, Entry(client, end))
        else:
            self.troubles.end(f"client {client} AWSPREVIOUS")
        self._add(entries, arn, current, Entry(client, None))
        return entries

    def _add(self, entries: dict[str, Entry], arn: str, version: Version, entry: Entry) -> None:
        """Add the version's entry, or nothing but a line in the journal when its value is no key."""
        about = f"client {entry.client} {'AWSCURRENT' if entry.not_after is None else 'AWSPREVIOUS'}"
        if version.id not in self._digest_of and version.id not in self._refused:
            try:
                self._digest_of[version.id] = key_digest(self._aws.value(arn, version.id))
                log.info("client %s: read version %s", entry.client, version.id)
            except ValueError as error:
                self._refused[version.id] = str(error)
        if version.id in self._refused:
            self.troubles.begin(about, f"{self._refused[version.id]}; version {version.id} is refused")
        else:
            self.troubles.end(about)
            entries[self._digest_of[version.id]] = entry

    def _follow_certificate(self, arn: str) -> None:
        if self._passes < self._certificate_due:
            return
        try:
            current = labelled(self._aws.versions(arn), "AWSCURRENT")
            if current is None:
                raise ValueError("its secret has no version AWSCURRENT")
            if current.id != self._certificate_version:
                self._certificate.follow(self._aws.value(arn, current.id))
                log.info("certificate: read version %s", current.id)
            self._certificate_version = current.id
            self._certificate_due = self._passes + CERTIFICATE_POLLS
            self.troubles.end("certificate")
        except (BotoCoreError, ClientError, ValueError, OSError, subprocess.SubprocessError) as error:
            self.troubles.begin("certificate", f"{describe(error)}; the last one stands")

    def _write(self) -> None:
        try:
            self._digests.write({name: entry for found in self._entries.values() for name, entry in found.items()})
            if self._entries and (not self.troubles or self._passes >= PATIENCE_POLLS):
                self._digests.mark_loaded()
            self.troubles.end("digests")
        except OSError as error:
            self.troubles.begin("digests", f"{error}; what could not be written stands as it was")


def labelled(versions: list[Version], stage: str) -> Version | None:
    return next((version for version in versions if stage in version.stages), None)


def key_digest(key: str) -> str:
    """The digest of what can be a key. Raises ValueError, without the value, for anything else."""
    if not (SHORTEST_KEY <= len(key) <= LONGEST_KEY and key.isascii() and key.isprintable() and " " not in key):
        raise ValueError(
            f"a value of {len(key)} characters is no key; allowed: {SHORTEST_KEY} to {LONGEST_KEY} printable ASCII "
            "characters without spaces"
        )
    return digest(key)


def error_code(error: Exception) -> str:
    return str(error.response.get("Error", {}).get("Code")) if isinstance(error, ClientError) else ""


def is_outage(error: Exception) -> bool:
    """Whether AWS was not there: no connection, no credentials, an error of its own, or too many calls."""
    if isinstance(error, ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return status >= 500 or error_code(error) in THROTTLED
    return isinstance(error, BotoCoreError)


def describe(error: Exception) -> str:
    """What went wrong in one line; AWS's messages hold no secret's value."""
    if isinstance(error, ClientError):
        message = error.response.get("Error", {}).get("Message", "")
        return f"{error.operation_name}: {error_code(error)}: {message}"[:300]
    return f"{type(error).__name__}: {error}"[:300] if isinstance(error, BotoCoreError | OSError) else str(error)


class Backoff:
    """Seconds until the next pass: the poll's, or more and more while AWS is away, and never in step with others."""

    def __init__(self, poll: float) -> None:
        self._poll = poll
        self._failures = 0

    def after(self, reached: bool) -> float:
        self._failures = 0 if reached else min(self._failures + 1, 10)
        if reached:
            return self._poll
        return min(self._poll * 2**self._failures, LONGEST_WAIT_SECONDS) * random.uniform(0.5, 1)


def run(agent: Agent, digests: Digests, backoff: Backoff, sleep: Callable[[float], object]) -> None:
    """Follow for ever."""
    stale_since: float | None = None
    if agent.ready:
        # From an earlier process: nginx need not wait until AWS answers, or does not.
        notify("READY=1")
    while True:
        reached = agent.follow()
        stale_since = (stale_since or time.time()) if agent.troubles else None
        try:
            digests.mark_stale(stale_since)
        except OSError as error:
            agent.troubles.begin("sign of trouble", str(error))
        else:
            agent.troubles.end("sign of trouble")
        status = "following" if stale_since is None else f"since {time.ctime(stale_since)} not all can be followed"
        notify(f"STATUS={status}\nWATCHDOG=1" + ("\nREADY=1" if agent.ready else ""))
        sleep(backoff.after(reached))


def poll_seconds() -> float:
    text = os.environ.get("QWEN3_POLL_SECONDS") or "5"
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 1 <= seconds <= LONGEST_WAIT_SECONDS:
        raise SystemExit(f"QWEN3_POLL_SECONDS is {text!r}; allowed: seconds from 1 to {LONGEST_WAIT_SECONDS:.0f}")
    return seconds


class JournalFormatter(logging.Formatter):
    """Gives each line its priority, so that `journalctl --priority warning` finds it; see sd-daemon(3)."""

    def format(self, record: logging.LogRecord) -> str:
        line = super().format(record)
        return f"<{4 if record.levelno >= logging.WARNING else 6}>{line}" if "JOURNAL_STREAM" in os.environ else line


def log_to_journal() -> None:
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JournalFormatter("%(levelname)s %(message)s"))
    # Nothing of botocore's, which logs requests and answers at DEBUG.
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    log.propagate = False


def main() -> None:
    log_to_journal()
    wake = threading.Event()
    signal.signal(signal.SIGHUP, lambda *_: wake.set())
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))

    def sleep(seconds: float) -> None:
        wake.wait(seconds)
        wake.clear()

    poll = poll_seconds()
    digests = Digests(Path(os.environ.get("QWEN3_KEYS_DIR", "/run/qwen3/keys")))
    certificate = Certificate(Path(os.environ.get("QWEN3_TLS_DIR", "/run/qwen3/tls")))
    run(Agent(Aws(), digests, certificate), digests, Backoff(poll), sleep)


if __name__ == "__main__":
    main()
