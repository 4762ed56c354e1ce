"""The passes of qwen3-keys: from Secrets Manager's versions to digests and certificate on tmpfs."""

import logging
import re
import subprocess
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from botocore.exceptions import BotoCoreError, ClientError

from .aws import Index, Version
from .certificate import Certificate
from .clients import describe, error_code, is_outage
from .contract import LONGEST_KEY, SHORTEST_KEY, TOKEN
from .digests import Digests, Entry, digest
from .problems import Problems

log = logging.getLogger("qwen3-keys")

CERTIFICATE_POLLS = 12
"""The certificate is read at every twelfth pass, because it is renewed months in advance."""
DELETED_POLLS = 3
"""A secret that is missing in this many passes counts as deleted, and its keys expire."""
PATIENCE_POLLS = 3
"""For this many passes, a problem with one client causes 503 for unknown keys. After that they get 401."""
PARALLEL_CALLS = 8


class Secrets(Protocol):
    """What `aws.Aws` reads. Its docstrings list the exceptions."""

    def index(self) -> Index: ...

    def versions(self, arn: str) -> list[Version]: ...

    def value(self, arn: str, version_id: str) -> str: ...


class Agent:
    """Keeps the results of one pass for the next, except for keys."""

    def __init__(self, aws: Secrets, digests: Digests, certificate: Certificate) -> None:
        self.problems = Problems()
        self._aws = aws
        self._digests = digests
        self._certificate = certificate
        self._index: Index | None = None
        self._entries = digests.read()
        """By client and digest, from each client's last good pass."""
        self._digest_of: dict[str, str] = {}
        self._refused: dict[str, str] = {}
        """By version ID: a digest, or why the value is not a key. The value of a version never changes."""
        self._not_found: dict[str, int] = {}
        self._certificate_version: str | None = None
        self._certificate_due = 0
        self._passes = 0
        """The passes that reached AWS."""

    @property
    def ready(self) -> bool:
        """Whether nginx and the workers have what they need, from this process or an earlier one."""
        return self._digests.loaded and self._certificate.present

    def follow(self) -> bool:
        """One pass. Returns whether it reached AWS; `problems` has everything that it could not read or write."""
        self._read_index()
        reached = self._index is not None and self._read_clients(self._index)
        if self._index is not None and reached:
            self._passes += 1
            self._read_certificate(self._index.tls)
        self._write()
        return reached

    def _read_index(self) -> None:
        try:
            self._index = self._aws.index()
            self.problems.end("index")
        except (BotoCoreError, ClientError, ValueError) as error:
            self.problems.begin("index", f"{describe(error)}; the last one stays in use")

    def _read_clients(self, index: Index) -> bool:
        """Returns whether Secrets Manager was available. Once one call fails, no further calls are made."""
        down = threading.Event()

        def read(client: str, arn: str) -> None:
            if down.is_set():
                return
            try:
                self._entries[client] = self._valid_entries(client, arn, index.grace_seconds)
                self._not_found.pop(client, None)
                self.problems.end(f"client {client}")
            except (BotoCoreError, ClientError, ValueError) as error:
                if is_outage(error):
                    down.set()
                    self.problems.begin("Secrets Manager", f"{describe(error)}; the last keys stay in use")
                else:
                    self._keep_client(client, error)

        with ThreadPoolExecutor(PARALLEL_CALLS) as pool:
            list(pool.map(read, index.clients.keys(), index.clients.values()))
        if not down.is_set():
            self.problems.end("Secrets Manager")
        self._entries = {client: found for client, found in self._entries.items() if client in index.clients}
        self.problems.keep_clients(set(index.clients))
        return not down.is_set()

    def _keep_client(self, client: str, error: Exception) -> None:
        """One client's secret cannot be read: its keys remain in use, unless the secret is deleted."""
        consequence = "its last keys stay in use"
        if error_code(error) == "ResourceNotFoundException":
            self._not_found[client] = self._not_found.get(client, 0) + 1
            if self._not_found[client] >= DELETED_POLLS:
                self._entries.pop(client, None)
                consequence = "its keys are refused"
        self.problems.begin(f"client {client}", f"{describe(error)}; {consequence}")

    def _valid_entries(self, client: str, arn: str, grace_seconds: float) -> dict[str, Entry]:
        """The entries of a client's current and previous key, by digest. Raises botocore's errors and ValueError."""
        valid = valid_versions(client, self._aws.versions(arn), grace_seconds)
        if len(valid) == 1:
            self.problems.end(f"client {client} AWSPREVIOUS")
        entries: dict[str, Entry] = {}
        for version, entry in valid:
            self._add(entries, arn, version, entry)
        return entries

    def _add(self, entries: dict[str, Entry], arn: str, version: Version, entry: Entry) -> None:
        """Adds the version's entry, or only logs a line if its value is not a key."""
        about = f"client {entry.client} {'AWSCURRENT' if entry.not_after is None else 'AWSPREVIOUS'}"
        if version.id not in self._digest_of and version.id not in self._refused:
            try:
                self._digest_of[version.id] = key_digest(self._aws.value(arn, version.id))
                log.info("client %s: read version %s", entry.client, version.id)
            except ValueError as error:
                self._refused[version.id] = str(error)
        if version.id in self._refused:
            self.problems.begin(about, f"{self._refused[version.id]}; version {version.id} is refused")
        else:
            self.problems.end(about)
            entries[self._digest_of[version.id]] = entry

    def _read_certificate(self, arn: str) -> None:
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
            self.problems.end("certificate")
        except (BotoCoreError, ClientError, ValueError, OSError, subprocess.SubprocessError) as error:
            self.problems.begin("certificate", f"{describe(error)}; the last one stays in use")

    def _write(self) -> None:
        try:
            self._digests.write(merged(self._entries), complete=self._index is not None and not self.problems)
            if self._entries and (not self.problems or self._passes >= PATIENCE_POLLS):
                self._digests.mark_loaded()
            self.problems.end("digests")
        except OSError as error:
            self.problems.begin("digests", f"{error}; what could not be written stays as it was, or is refused")

    def mark_stale(self, since: float | None) -> None:
        """Writes a mark for alarms while there are problems, or removes it."""
        try:
            self._digests.mark_stale(since)
            self.problems.end("mark of problems")
        except OSError as error:
            self.problems.begin("mark of problems", str(error))


def merged(entries: Mapping[str, dict[str, Entry]]) -> dict[str, Entry]:
    """All clients' entries by digest."""
    return {name: entry for found in entries.values() for name, entry in found.items()}


def valid_versions(client: str, versions: list[Version], grace_seconds: float) -> list[tuple[Version, Entry]]:
    """The versions whose keys are valid now, each with its entry. Raises ValueError if there is no current one.

    The current version is the last, so that its entry wins if both have the same value.
    """
    current, previous = labelled(versions, "AWSCURRENT"), labelled(versions, "AWSPREVIOUS")
    if current is None:
        raise ValueError("its secret has no version AWSCURRENT")
    end = current.created.timestamp() + grace_seconds
    in_grace = previous is not None and grace_seconds > 0 and time.time() < end
    return [*([(previous, Entry(client, end))] if previous and in_grace else []), (current, Entry(client, None))]


def labelled(versions: list[Version], stage: str) -> Version | None:
    return next((version for version in versions if stage in version.stages), None)


def key_digest(key: str) -> str:
    """The digest of a key. Raises ValueError, without the value, for a value that cannot be a key."""
    if not (SHORTEST_KEY <= len(key) <= LONGEST_KEY and re.fullmatch(TOKEN, key)):
        raise ValueError(
            f"a value of {len(key)} characters is not a key; allowed: {SHORTEST_KEY} to {LONGEST_KEY} printable ASCII "
            "characters without spaces"
        )
    return digest(key)
