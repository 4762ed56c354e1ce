"""The digests of the API keys on tmpfs, as nginx and the workers look them up.

    digests/SHA256   {"client": "default", "notAfter": null}; `notAfter`: seconds since the epoch, or null for no end
    loaded           exists once an unknown digest means a wrong key
    stale            exists while something cannot be read from AWS: seconds since the epoch when that began

A key that is no longer valid gets an end in its file. nginx refuses it from that time. The workers accept it for
LINGER_SECONDS more, and the file is kept for as long: a request that nginx has accepted does not fail at a worker. All
state is in the files, so an agent that restarts continues.
"""

import grp
import hashlib
import json
import math
import os
import re
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from .contract import CLIENT_NAME, DIGESTS, KEYS_GROUP, LINGER_SECONDS, LOADED, STALE
from .files import read, remove, replace

DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Entry:
    """A digest's client and end, in seconds since the epoch."""

    client: str
    not_after: float | None

    def valid(self, now: float) -> bool:
        """Whether nginx accepts the key."""
        return self.not_after is None or now < self.not_after

    def valid_at_worker(self, now: float) -> bool:
        """Whether a worker accepts the key."""
        return self.valid(now - LINGER_SECONDS)

    def text(self) -> str:
        return json.dumps({"client": self.client, "notAfter": self.not_after})


def parse_entry(text: str | bytes) -> Entry:
    """The inverse of `Entry.text`. Raises ValueError for anything else. nginx's auth.js has the same rules."""
    try:
        # As in JavaScript, where every number is a float.
        document = json.loads(text, parse_int=float)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(document, dict) or "notAfter" not in document:
        raise ValueError("not the entry of a digest")
    client, end = document.get("client"), document["notAfter"]
    if not isinstance(client, str) or not re.fullmatch(CLIENT_NAME, client):
        raise ValueError("client is not a client's name")
    if end is not None and not (isinstance(end, float) and math.isfinite(end)):
        raise ValueError("notAfter is not a time")
    return Entry(client, end)


def digest(key: str | bytes) -> str:
    """SHA-256 of a key, hexadecimal: 64 digits."""
    return hashlib.sha256(key.encode() if isinstance(key, str) else key).hexdigest()


class Digests:
    """Keeps the folder equal to the last argument of `write`, regardless of its previous contents."""

    def __init__(self, folder: Path, group: str | None = KEYS_GROUP) -> None:
        self._loaded = folder / LOADED
        self._stale = folder / STALE
        self._digests = folder / DIGESTS
        self._gid = group_id(group) if group else -1
        for part in (folder, self._digests):
            part.mkdir(parents=True, exist_ok=True)
            part.chmod(0o750)
            os.chown(part, -1, self._gid)

    def read(self, now: float | None = None) -> dict[str, dict[str, Entry]]:
        """The valid entries of an earlier process, by client and digest, without incomplete files."""
        now = time.time() if now is None else now
        found: dict[str, dict[str, Entry]] = {}
        for path in self._digests.iterdir():
            entry = read_entry(path) if DIGEST.fullmatch(path.name) else None
            if entry is not None and entry.valid(now):
                found.setdefault(entry.client, {})[path.name] = entry
        return found

    def write(self, entries: dict[str, Entry], now: float | None = None, complete: bool = True) -> None:
        """Makes these digests the valid ones. Every other one expires now.

        complete: whether `entries` has every valid key. If not, an incomplete file is kept, because its key may be
        valid: it is neither accepted nor refused.

        Does everything possible before it raises OSError: a full tmpfs must not keep a revoked key valid.
        """
        now = time.time() if now is None else now
        valid = {name: entry for name, entry in entries.items() if entry.valid(now)}
        others = [path for path in self._digests.iterdir() if path.name not in valid]
        steps = [
            *(partial(self._put, self._digests / name, entry) for name, entry in valid.items()),
            *(partial(self._end, path, now, complete) for path in others),
        ]
        failures: list[OSError] = []
        for step in steps:
            try:
                step()
            except OSError as error:
                failures.append(error)
        if failures:
            raise failures[0]

    def _put(self, path: Path, entry: Entry) -> None:
        if read(path) != entry.text():
            self._replace(path, entry)

    def _end(self, path: Path, now: float, complete: bool) -> None:
        """Writes an end into a digest's file, or removes the file if its time has come."""
        if not DIGEST.fullmatch(path.name):
            remove(path)
            return
        entry = read_entry(path)
        if entry is None:
            if complete:
                remove(path)
        elif entry.valid(now):
            try:
                self._replace(path, Entry(entry.client, now))
            except OSError:
                remove(path)
                raise
        elif not entry.valid_at_worker(now):
            remove(path)

    def _replace(self, path: Path, entry: Entry) -> None:
        replace(path, entry.text(), 0o640, self._gid)

    @property
    def loaded(self) -> bool:
        return self._loaded.exists()

    def mark_loaded(self) -> None:
        """From now on an unknown digest means a wrong key. Raises OSError."""
        if not self.loaded:
            self._loaded.touch(mode=0o644)

    def mark_stale(self, since: float | None) -> None:
        """Writes a mark for alarms, or removes it. Raises OSError."""
        if since is None:
            self._stale.unlink(missing_ok=True)
        elif not self._stale.exists():
            replace(self._stale, f"{since:.0f}\n", 0o644)


def read_entry(path: Path) -> Entry | None:
    """A digest's entry. None if its file is incomplete."""
    text = read(path)
    try:
        return None if text is None else parse_entry(text)
    except ValueError:
        return None


def group_id(name: str) -> int:
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        raise SystemExit(f"there is no group {name}; install.sh of the bundle creates it") from None
