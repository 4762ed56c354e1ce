"""The digests of the API keys on tmpfs, one file each, as nginx and the workers look them up.

    edge/SHA256   nginx's         {"client": "default", "notAfter": null}
    door/SHA256   the workers'    the same; `notAfter`: seconds since the epoch, or null for no end
    loaded        exists once a request with an unknown digest is a stranger's
    stale         exists while something cannot be followed: seconds since the epoch when that began

A new digest is in the door before it is at the edge, and an old one leaves the edge first: no request passes one and
fails at the other.
"""

import grp
import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

DOOR_LINGERS_SECONDS = 60.0
"""How long the door still takes what has left the edge: a request whose body is on its way. It is on localhost alone."""


@dataclass(frozen=True)
class Entry:
    """Whose a digest is, and until when it is honoured, in seconds since the epoch."""

    client: str
    not_after: float | None

    def text(self) -> str:
        return json.dumps({"client": self.client, "notAfter": self.not_after})


def parse_entry(text: str) -> Entry:
    """The opposite of `Entry.text`. Raises ValueError for anything else."""
    document = json.loads(text)
    if not isinstance(document, dict) or not isinstance(document.get("client"), str) or "notAfter" not in document:
        raise ValueError("not the entry of a digest")
    end = document["notAfter"]
    if not (end is None or isinstance(end, int | float)):
        raise ValueError("notAfter is no time")
    return Entry(document["client"], end)


def digest(key: str) -> str:
    """SHA-256 of a key, hexadecimal: 64 digits."""
    return hashlib.sha256(key.encode()).hexdigest()


class Digests:
    """Keeps the two folders equal to what `write` was last given, whatever was in them."""

    def __init__(self, folder: Path, group: str | None = "qwen3-keys") -> None:
        self._folder = folder
        self._door = folder / "door"
        self._edge = folder / "edge"
        self._gid = group_id(group) if group else -1
        self._leaving: dict[str, float] = {}
        for part in (folder, self._door, self._edge):
            part.mkdir(parents=True, exist_ok=True)
            part.chmod(0o750)
            os.chown(part, -1, self._gid)

    def read(self) -> dict[str, dict[str, Entry]]:
        """What an earlier process left, by client and digest. Files that are not whole are left out."""
        found: dict[str, dict[str, Entry]] = {}
        for path in self._edge.iterdir():
            for copy in (path, self._door / path.name):
                try:
                    entry = parse_entry(copy.read_text())
                except (OSError, ValueError):
                    continue
                found.setdefault(entry.client, {})[path.name] = entry
                break
        return found

    def write(self, entries: dict[str, Entry], now: float | None = None) -> None:
        """Make the folders hold exactly these digests and nothing else.

        Does all that can be done before it raises OSError: a full tmpfs must not keep a revoked key alive.
        """
        now = time.time() if now is None else now
        wanted = {name: entry for name, entry in entries.items() if entry.not_after is None or entry.not_after > now}
        failures: list[OSError] = []

        def done(step: Callable[[], None]) -> bool:
            try:
                step()
                return True
            except OSError as error:
                failures.append(error)
                return False

        for name, entry in wanted.items():
            # Not at the edge before it is in the door.
            if done(lambda: self._put(self._door / name, entry)):
                done(lambda: self._put(self._edge / name, entry))
        for path in strangers(self._edge, wanted):
            done(lambda: remove(path))
        present = set()
        for path in strangers(self._door, wanted):
            present.add(path.name)
            if now >= self._leaving.setdefault(path.name, now + DOOR_LINGERS_SECONDS):
                done(lambda: remove(path))
        self._leaving = {name: end for name, end in self._leaving.items() if name in present}
        if failures:
            raise failures[0]

    @property
    def loaded(self) -> bool:
        return (self._folder / "loaded").exists()

    def mark_loaded(self) -> None:
        """Say that a request with an unknown digest is a stranger's; before that, nobody can know. Raises OSError."""
        if not self.loaded:
            (self._folder / "loaded").touch(mode=0o644)

    def mark_stale(self, since: float | None) -> None:
        """Leave a sign for alarms, or take it away. Raises OSError."""
        sign = self._folder / "stale"
        if since is None:
            sign.unlink(missing_ok=True)
        elif not sign.exists():
            replace(sign, f"{since:.0f}\n", 0o644, -1)

    def _put(self, path: Path, entry: Entry) -> None:
        try:
            if path.read_text() == entry.text():
                return
        except (OSError, UnicodeDecodeError):
            pass
        replace(path, entry.text(), 0o640, self._gid)


def group_id(name: str) -> int:
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        raise SystemExit(f"there is no group {name}; install.sh of the bundle makes it") from None


def strangers(folder: Path, wanted: dict[str, Entry]) -> Iterator[Path]:
    return (path for path in list(folder.iterdir()) if path.name not in wanted)


def remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def replace(path: Path, text: str, mode: int, gid: int) -> None:
    """Write a file whole or not at all: a reader never sees half of it. Raises OSError."""
    partial = path.with_name(f".{path.name}.partial")
    try:
        with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, mode), "w") as file:
            os.fchown(file.fileno(), -1, gid)
            os.fchmod(file.fileno(), mode)
            file.write(text)
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        os.replace(partial, path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise
