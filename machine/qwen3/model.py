"""qwen3-model: downloads and verifies the model's folder, once.

Every file from S3 is compared with SHA256SUMS next to it (and that file with QWEN3_MODEL_SHA256, if set). From Hugging
Face, every large file is compared with the digest that the Hub has for the pinned commit.
"""

import fcntl
import hashlib
import os
import re
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from .environment import required
from .s3 import PARALLEL_DOWNLOADS, S3, Prefix, parse_prefix

SUMS = "SHA256SUMS"
PROGRESS_SECONDS = 5.0


def main() -> None:
    target = Path(required("QWEN3_MODEL_PATH"))
    source = required("QWEN3_MODEL_SOURCE")
    target.parent.mkdir(parents=True, exist_ok=True)
    with locked(target.with_name(target.name + ".lock")):
        if (target / ".complete").exists():
            print(f"{target} is complete")
            return
        partial = target.with_name(target.name + ".partial")
        partial.mkdir(exist_ok=True)
        print(f"fetching {source}", flush=True)
        fetch(source, partial)
        make_readable(partial)
        # On the disk before the mark: after a power failure, a partial file must not count as complete.
        os.sync()
        (partial / ".complete").touch()
        shutil.rmtree(target, ignore_errors=True)
        partial.rename(target)
        os.sync()
        print(f"{target} is complete: every file matches its digest")


def fetch(source: str, folder: Path) -> None:
    """Downloads and verifies. Exits with what to do if a file is not correct."""
    if prefix := parse_prefix(source):
        fetch_from_s3(prefix, folder)
    elif match := re.fullmatch(r"hf://([^@]+)@([0-9a-f]{40})", source):
        fetch_from_hugging_face(match[1], match[2], folder)
    else:
        sys.exit(f"QWEN3_MODEL_SOURCE is {source!r}; allowed: hf://OWNER/NAME@COMMIT or s3://BUCKET/PREFIX")


def fetch_from_s3(prefix: Prefix, folder: Path) -> None:
    s3 = S3()
    sizes = s3.sizes(prefix)
    if SUMS not in sizes:
        sys.exit(f"{prefix} has no {SUMS}: make it with `sha256sum * > {SUMS}` and upload it")
    progress = Progress(sum(sizes.values()))
    s3.download(prefix, [SUMS], folder, progress.add)
    sums = read_sums(folder / SUMS, os.environ.get("QWEN3_MODEL_SHA256"))
    if missing := sorted(set(sums) - set(sizes)):
        sys.exit(f"{prefix} lacks {', '.join(missing)}, which {SUMS} names: upload them")
    if extra := sorted(set(sizes) - set(sums) - {SUMS}):
        sys.exit(f"{prefix} contains {', '.join(extra)}, which {SUMS} does not name: remove or add them")
    remove_others(folder, {*sums, SUMS})
    # Files that an earlier attempt downloaded completely are kept.
    names = [name for name in sums if sha256(folder / name) != sums[name]]
    progress.skip(sum(sizes[name] for name in sums if name not in names))
    s3.download(prefix, names, folder, progress.add)
    verify(folder, sums)


def fetch_from_hugging_face(repository: str, revision: str, folder: Path) -> None:
    # The client's own files are in the folder, because this unit cannot write to root's home.
    os.environ.setdefault("HF_HOME", str(folder / ".cache"))
    from huggingface_hub import HfApi, snapshot_download

    snapshot_download(repository, revision=revision, local_dir=folder, token=False, max_workers=PARALLEL_DOWNLOADS)
    files = HfApi(token=False).model_info(repository, revision=revision, files_metadata=True).siblings or []
    shutil.rmtree(folder / ".cache", ignore_errors=True)
    remove_others(folder, {each.rfilename for each in files})
    sums = {each.rfilename: each.lfs.sha256 for each in files if each.lfs is not None}
    if not sums:
        sys.exit(f"the Hub has no digest for any file of {repository} at {revision}, so the weights cannot be verified")
    verify(folder, sums)
    print(f"{len(sums)} large files match their digests; {len(files) - len(sums)} small ones are those of the commit")


def read_sums(path: Path, expected: str | None) -> dict[str, str]:
    """Digests by file name, in the format of `sha256sum`."""
    text = path.read_bytes()
    actual = hashlib.sha256(text).hexdigest()
    if expected and actual != expected:
        sys.exit(f"{SUMS} has SHA-256 {actual}; the setting modelSha256 requires {expected}. Rejected these weights.")
    lines = [re.fullmatch(r"([0-9a-f]{64})[ ][ *](?:\./)?(.+)", line) for line in text.decode().splitlines() if line]
    if not lines or not all(lines):
        sys.exit(f"{SUMS} is not what `sha256sum` writes: 64 hexadecimal digits, two spaces and a name in each line")
    return {match[2]: match[1] for match in lines if match and match[2] != SUMS}


def verify(folder: Path, sums: dict[str, str]) -> None:
    """Compares every file with its digest. Removes one that differs, so that the next attempt downloads it again."""
    with ThreadPoolExecutor() as pool:
        actual = dict(zip(sums, pool.map(lambda name: sha256(folder / name), sums), strict=True))
    wrong = sorted(name for name, expected in sums.items() if actual[name] != expected)
    for name in wrong:
        (folder / name).unlink(missing_ok=True)
    if wrong:
        sys.exit(f"files that do not match their digests: {', '.join(wrong)}; removed, to be downloaded again")


def sha256(path: Path) -> str | None:
    """Hexadecimal digest of a file. None if the file is missing."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return None


def remove_others(folder: Path, names: set[str]) -> None:
    """Removes files without a digest, because SGLang would load them."""
    for path in folder.rglob("*"):
        if not path.is_dir() and str(path.relative_to(folder)) not in names:
            path.unlink()


def make_readable(folder: Path) -> None:
    """The workers' user can read the weights, but owns none of them."""
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)


class Progress:
    """Writes a line to the journal every few seconds: percent and rate."""

    def __init__(self, total: int) -> None:
        self._total, self._done = total, 0
        self._begin = self._last = time.monotonic()
        self._lock = threading.Lock()

    def skip(self, count: int) -> None:
        """Excludes bytes that existed already."""
        self._total -= count

    def add(self, count: int) -> None:
        with self._lock:
            self._done += count
            now = time.monotonic()
            if now - self._last < PROGRESS_SECONDS:
                return
            self._last = now
            rate = self._done / (now - self._begin) / 1e6
            print(
                f"{100 * self._done / max(self._total, 1):.0f} % of {self._total / 1e9:.1f} GB, {rate:.0f} MB/s",
                flush=True,
            )


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Of the instances that share a store, only one downloads. The others wait and find it complete."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    main()
