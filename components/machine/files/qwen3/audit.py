"""qwen3-audit: searches this machine for its own API keys and its certificate's private key.

It reads the keys with the machine's role, looks everywhere they must not be, and prints one JSON document:
{"checks": [{"name", "ok", "evidence"}]}. Places are named, keys never. Exits with 1 when something was found.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from .aws import Aws

FOLDERS = (
    *("/etc", "/opt/qwen3", "/var/lib/qwen3", "/var/lib/cloud", "/var/log", "/var/cache/qwen3"),
    *("/run", "/tmp", "/home", "/root", "/dev/shm"),
)
PACKAGES = ("/var/lib/qwen3/venvs", "/var/lib/qwen3/uv")
"""Left out: installed from the lock by hash, before the first key was read."""
CERTIFICATE_FOLDER = "/run/qwen3/tls"
OVERLAP = 8192
CHUNK = 1 << 22


class Needles:
    """What is searched for: each key, and one line of the private key's body."""

    def __init__(self, keys: list[str], private_key: str) -> None:
        self.keys = [key.encode() for key in keys]
        body = [line for line in private_key.splitlines() if line and not line.startswith("-")]
        self.tls = body[0].encode()

    def key_in(self, data: bytes) -> bool:
        return any(key in data for key in self.keys)


def main() -> None:
    needles = load()
    checks = [
        look("no key in a process argument", process_files("cmdline"), needles.key_in),
        look("no key in an environment", process_files("environ"), needles.key_in),
        look("no key in the journal", command(["journalctl", "--no-pager", "--output=cat"]), needles.key_in),
        look("no key in a unit's properties", command(["systemctl", "show", "qwen3-*", "nginx"]), needles.key_in),
        look("no key in a file", files(()), needles.key_in),
        look("no private key in a file but nginx's", files((CERTIFICATE_FOLDER,)), lambda data: needles.tls in data),
    ]
    print(json.dumps({"checks": checks}))
    sys.exit(0 if all(check["ok"] for check in checks) else 1)


def load() -> Needles:
    """The keys that count and the one before, of every client."""
    aws = Aws()
    index = aws.index()
    keys = [aws.value(arn, version.id) for arn in index.clients.values() for version in aws.versions(arn)]
    current = next(version for version in aws.versions(index.tls) if "AWSCURRENT" in version.stages)
    return Needles(keys, json.loads(aws.value(index.tls, current.id))["privateKey"])


Place = tuple[str, Iterable[bytes]]
"""Where, and what is there, in pieces that overlap."""


def look(name: str, places: Iterable[Place], found) -> dict[str, object]:
    count, hits = 0, []
    for where, pieces in places:
        count += 1
        if any(found(piece) for piece in pieces):
            hits.append(where)
    evidence = f"searched {count}, found in {', '.join(hits[:5])}" if hits else f"searched {count}, found in none"
    return {"name": name, "ok": not hits and count > 0, "evidence": evidence}


def process_files(file: str) -> Iterator[Place]:
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                yield f"process {folder.name}", [(folder / file).read_bytes()]
            except OSError:
                continue  # it ended meanwhile


def command(arguments: list[str]) -> Iterator[Place]:
    with subprocess.Popen(arguments, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        yield " ".join(arguments), overlapping(process.stdout)


def files(without: tuple[str, ...]) -> Iterator[Place]:
    for top in FOLDERS:
        for folder, folders, names in os.walk(top):
            folders[:] = [each for each in folders if os.path.join(folder, each) not in PACKAGES + without]
            for name in names:
                path = os.path.join(folder, name)
                try:
                    # Sockets, pipes and links are not files.
                    if not os.path.islink(path) and os.path.isfile(path):
                        with open(path, "rb") as file:
                            yield path, overlapping(file)
                except OSError:
                    continue


def overlapping(stream) -> Iterator[bytes]:
    """A stream in pieces, each beginning with the end of the one before, so that no key falls between two."""
    tail = b""
    try:
        while piece := stream.read(CHUNK):
            yield tail + piece
            tail = piece[-OVERLAP:]
    except OSError:
        return  # files in /run may refuse to be read


if __name__ == "__main__":
    main()
