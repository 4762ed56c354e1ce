"""The digests of the API keys on tmpfs, one file each, as nginx and the workers look them up.

    door/SHA256   the workers'     {"client": "default", "notAfter": null}
    edge/SHA256   nginx's          `notAfter`: seconds since the epoch, or null for no end

A new digest is in the door before it is at the edge, and an old one leaves the edge first: no request passes one and
fails at the other.
"""

import grp
import hashlib
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path

DOOR_LINGERS_SECONDS = 10.0
"""How long the door still takes what has left the edge: a request on its way."""


@dataclass(frozen=True)
class Entry:
    """Whose a digest is, and until when it is honoured."""

    client: str
    not_after: float | None

    def text(self) -> str:
        return json.dumps({"client": self.client, "notAfter": self.not_after})


def digest(key: str) -> str:
    """SHA-256 of a key, hexadecimal: 64 digits."""
    return hashlib.sha256(key.encode()).hexdigest()


class Digests:
    """Keeps the two folders equal to what `write` was last given, whatever was in them."""

    def __init__(self, folder: Path, group: str | None = "qwen3-keys") -> None:
        self._folder = folder
        self._gid = grp.getgrnam(group).gr_gid if group else -1
        self._leaving: dict[str, float] = {}
        for part in (folder, self._door, self._edge):
            part.mkdir(parents=True, exist_ok=True)
            part.chmod(0o750)
            os.chown(part, -1, self._gid)

    @property
    def _door(self) -> Path:
        return self._folder / "door"

    @property
    def _edge(self) -> Path:
        return self._folder / "edge"

    def write(self, entries: dict[str, Entry], now: float | None = None) -> None:
        """Make the folders hold exactly these digests. Raises OSError, with what stood before still in place."""
        now = time.time() if now is None else now
        wanted = {name: entry for name, entry in entries.items() if entry.not_after is None or entry.not_after > now}
        for name, entry in wanted.items():
            self._put(self._door / name, entry)
        for name, entry in wanted.items():
            self._put(self._edge / name, entry)
        for path in self._strangers(self._edge, wanted):
            path.unlink(missing_ok=True)
        for path in self._strangers(self._door, wanted):
            if now >= self._leaving.setdefault(path.name, now + DOOR_LINGERS_SECONDS):
                path.unlink(missing_ok=True)
        remaining = {path.name for path in self._strangers(self._door, wanted)}
        self._leaving = {name: end for name, end in self._leaving.items() if name in remaining}

    def mark_loaded(self) -> None:
        """Say that a request with an unknown digest is a stranger's; before that, nobody can know."""
        marker = self._folder / "loaded"
        if not marker.exists():
            marker.touch(mode=0o644)

    def mark_stale(self, since: float | None) -> None:
        """Leave a sign for alarms that AWS cannot be read, or take it away."""
        sign = self._folder / "stale"
        if since is None:
            sign.unlink(missing_ok=True)
        else:
            replace(sign, f"{since:.0f}\n", 0o644, -1)

    def _put(self, path: Path, entry: Entry) -> None:
        try:
            if path.read_text() == entry.text():
                return
        except (OSError, UnicodeDecodeError):
            pass
        replace(path, entry.text(), 0o640, self._gid)

    @staticmethod
    def _strangers(folder: Path, wanted: dict[str, Entry]) -> list[Path]:
        return [path for path in folder.iterdir() if path.name not in wanted]


def replace(path: Path, text: str, mode: int, gid: int) -> None:
    """Write a file whole or not at all: a reader never sees half of it."""
    partial = path.with_name(f".{path.name}.partial")
    try:
        with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, mode), "w") as file:
            os.fchown(file.fileno(), -1, gid)
            os.fchmod(file.fileno(), mode)
            file.write(text)
        os.replace(partial, path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise
