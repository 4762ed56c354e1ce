"""qwen3-audit: searches this instance for its own API keys and its certificate's private key.

It reads the keys with the instance's role, searches every place where they must not be, and prints one JSON document:
{"checks": [{"name", "ok", "evidence"}]}. It names places, but never keys. It exits with 1 if it finds a key, or if a
search fails. qwen3-check searches too.

It finds a secret as it is and in base64, wherever it begins in the encoded text. Of the journals it reads what was
written since the oldest of the secrets was created: what is older cannot contain one.

It does not search its own memory, nor what was installed by digest before the first key was read: SGLang's packages
and the model's weights.
"""

import errno
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from botocore.exceptions import BotoCoreError, ClientError

from .aws import Aws
from .contract import CACHE, HOME, STORE, TLS
from .needles import key_needles, private_key_needles

FOLDERS = (
    *("/etc", str(HOME), str(STORE), "/var/lib/cloud", "/var/lib/systemd", "/var/lib/nginx"),
    *(str(CACHE), "/var/crash", "/var/log", "/var/spool", "/var/tmp"),
    *("/run", "/tmp", "/dev/shm", "/home", "/root"),
    # Systems Manager's agent keeps the text and the output of commands there.
    *("/var/lib/amazon", "/var/snap/amazon-ssm-agent"),
)
INSTALLED = tuple(str(STORE / name) for name in ("venvs", "uv", "models"))
JOURNALS = ("/var/log/journal", "/run/log/journal")
JOURNAL = ["journalctl", "--quiet", "--no-pager", "--all", "--output=cat"]
"""The system's journal. journald compresses long entries of it."""
JOURNAL_FIELDS = "--output-fields=MESSAGE,_CMDLINE,COREDUMP_CMDLINE,COREDUMP_ENVIRON"
CLOCK_SECONDS = 3600
"""By which this instance's clock may have been behind Secrets Manager's."""
UNITS = ["systemctl", "show", "--all", "qwen3-*.service", "nginx.service"]
OVERLAP = 8192
"""In bytes, more than the longest key."""
CHUNK = 1 << 22


class BinaryStream(Protocol):
    def read(self, size: int, /) -> bytes | None: ...


Place = tuple[str, Iterable[bytes]]
"""A name, and the contents in pieces that overlap."""


@dataclass(frozen=True)
class Secrets:
    keys: list[str]
    private_key: str
    """In PEM."""
    since: float
    """When the oldest of them was created, in seconds since the epoch."""


def main() -> None:
    found = checks()
    print(json.dumps({"checks": found}))
    sys.exit(0 if all(check["ok"] for check in found) else 1)


def checks() -> list[dict[str, object]]:
    try:
        secrets = load(Aws())
        needles = {
            "key": pattern(needle for key in secrets.keys for needle in key_needles(key)),
            "private key": pattern(private_key_needles(secrets.private_key)),
        }
    except (BotoCoreError, ClientError, ValueError, KeyError) as error:
        # Only the error's type, because its text may contain a secret.
        return [{"name": "the keys to search for", "ok": False, "evidence": f"cannot be read: {type(error).__name__}"}]
    return [
        *search("process arguments", process_files("cmdline"), needles),
        *search("process environments", process_files("environ"), needles),
        *search("the journals", journals(secrets.since), needles),
        *search("the units' properties", output(UNITS), needles),
        *search("files, packages and weights apart", files(), needles),
    ]


def load(aws: Aws) -> Secrets:
    """Every labelled version of every client's key, and the current private key."""
    index = aws.index()
    versions = [(arn, version) for arn in index.clients.values() for version in aws.versions(arn)]
    current = next((version for version in aws.versions(index.tls) if "AWSCURRENT" in version.stages), None)
    if not versions or current is None:
        raise ValueError("no version carries a label")
    return Secrets(
        keys=[aws.value(arn, version.id) for arn, version in versions],
        private_key=json.loads(aws.value(index.tls, current.id))["privateKey"],
        since=min(version.created.timestamp() for version in [current, *(version for _, version in versions)]),
    )


def pattern(needles: Iterable[bytes]) -> re.Pattern[bytes]:
    """Grouped by the first byte: one alternative for each needle would be tried at every position.

    With 20 clients that took 1 s for 1.2 MB.
    """
    groups: dict[bytes, set[bytes]] = {}
    for needle in needles:
        groups.setdefault(needle[:1], set()).add(needle[1:])
    return re.compile(b"|".join(re.escape(first) + alternatives(rest) for first, rest in sorted(groups.items())))


def alternatives(texts: Iterable[bytes]) -> bytes:
    return b"(?:" + b"|".join(re.escape(text) for text in sorted(texts)) + b")"


def search(where: str, places: Iterator[Place], needles: dict[str, re.Pattern[bytes]]) -> list[dict[str, object]]:
    """One check per kind of secret, in one pass over the places."""
    begin, count, size = time.monotonic(), 0, 0
    hits: dict[str, list[str]] = {kind: [] for kind in needles}
    problem = None
    try:
        for name, pieces in places:
            count += 1
            for piece in pieces:
                size += len(piece)
                for kind, needle in needles.items():
                    if name not in hits[kind] and needle.search(piece) and not expected(kind, name):
                        hits[kind].append(name)
    except (OSError, subprocess.SubprocessError) as error:
        problem = f"could not be searched: {error}"
    if count == 0 or size == 0:
        problem = problem or "could not be searched: nothing is there"
    extent = f"{count} searched, {size / 1e6:.1f} MB, {time.monotonic() - begin:.1f} s"
    return [
        {
            "name": f"no {kind} in {where}",
            "ok": not found and problem is None,
            "evidence": problem or f"{extent}, {len(found)} hits{': ' + ', '.join(found[:5]) if found else ''}",
        }
        for kind, found in hits.items()
    ]


def expected(kind: str, name: str) -> bool:
    """nginx reads its private key from there."""
    return kind == "private key" and Path(name).is_relative_to(TLS)


def process_files(file: str) -> Iterator[Place]:
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                yield f"process {folder.name}", [(folder / file).read_bytes()]
            except OSError:
                continue  # it has ended


def journals(since: float) -> Iterator[Place]:
    """What the journals have received since a time, in seconds since the epoch. Raises OSError if units have none."""
    begin = since - CLOCK_SECONDS
    yield from output([*JOURNAL, JOURNAL_FIELDS, f"--since=@{begin:.0f}"])
    # The last entry shows that it can be read.
    yield from output([*JOURNAL, "--lines=1"])
    # Those of units are not compressed: their files are searched, which is faster than to read their entries.
    found = [file for top in JOURNALS for file in Path(top).glob("*.*/*.journal*")]
    if not found:
        raise FileNotFoundError(f"no journal of a unit in {' or '.join(JOURNALS)}")
    for file in found:
        if changed(file) >= begin:
            yield from contents(str(file))


def changed(file: Path) -> float:
    """When a file was last written to; 0 if journald has removed it."""
    try:
        return file.stat().st_mtime
    except FileNotFoundError:
        return 0


def output(arguments: list[str]) -> Iterator[Place]:
    """A command's output. Raises SubprocessError if the command fails, because its output then shows nothing."""
    with subprocess.Popen(arguments, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        yield arguments[0], overlapping(process.stdout)
    if process.returncode != 0:
        raise subprocess.CalledProcessError(process.returncode, arguments[0])


def files() -> Iterator[Place]:
    for top in FOLDERS:
        for folder, folders, names in os.walk(top):
            folders[:] = [each for each in folders if os.path.join(folder, each) not in (*INSTALLED, *JOURNALS)]
            for name in names:
                path = os.path.join(folder, name)
                # Links point to files that are searched at their own path; sockets and pipes have no contents.
                if os.path.islink(path) or not os.path.isfile(path):
                    continue
                yield from contents(path)


def contents(path: str) -> Iterator[Place]:
    """A file, or nothing if it was removed meanwhile."""
    try:
        with open(path, "rb", buffering=0) as file:
            yield path, overlapping(file)
    except OSError:
        return


def overlapping(stream: BinaryStream) -> Iterator[bytes]:
    """A stream in pieces, each of which begins with the end of the previous one, so that no key is split."""
    tail = b""
    try:
        while piece := stream.read(CHUNK):
            yield tail + piece
            tail = (tail + piece)[-OVERLAP:]
    except OSError as error:
        if error.errno == errno.EIO:
            raise
        # Some files in /run cannot be read.


if __name__ == "__main__":
    main()
