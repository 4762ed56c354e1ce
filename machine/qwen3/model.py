"""qwen3-model: makes the model's folder complete and verified, once.

From S3 every file is compared with SHA256SUMS beside it (and that file with QWEN3_MODEL_SHA256, where set); from
Hugging Face every large file with the digest that the Hub names for the pinned commit.
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

PARALLEL_DOWNLOADS = 8
PROGRESS_SECONDS = 5.0
CHUNK = 1 << 20


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
        # On the disk before the mark: a machine that loses power must not believe half a file.
        os.sync()
        (partial / ".complete").touch()
        shutil.rmtree(target, ignore_errors=True)
        partial.rename(target)
        os.sync()
        print(f"{target} is complete: every file as its digest says")


def fetch(source: str, folder: Path) -> None:
    """Download and verify; exits with what to do when a file is not what it should be."""
    if match := re.fullmatch(r"s3://([^/]+)/(.+?)/?", source):
        fetch_from_s3(match[1], match[2] + "/", folder)
    elif match := re.fullmatch(r"hf://([^@]+)@([0-9a-f]{40})", source):
        fetch_from_hugging_face(match[1], match[2], folder)
    else:
        sys.exit(f"QWEN3_MODEL_SOURCE is {source!r}; allowed: hf://OWNER/NAME@COMMIT or s3://BUCKET/PREFIX")


def fetch_from_s3(bucket: str, prefix: str, folder: Path) -> None:
    import boto3

    s3 = boto3.client(
        "s3", region_name=required("AWS_REGION"), endpoint_url=os.environ.get("AWS_ENDPOINT_URL") or None
    )
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    sizes = {each["Key"][len(prefix) :]: each["Size"] for page in pages for each in page.get("Contents", [])}
    sizes = {name: size for name, size in sizes.items() if name and not name.endswith("/")}
    if "SHA256SUMS" not in sizes:
        sys.exit(f"s3://{bucket}/{prefix} has no SHA256SUMS: make it with `sha256sum * > SHA256SUMS` and upload it")
    for name in sizes:
        if ".." in Path(name).parts:
            sys.exit(f"s3://{bucket}/{prefix} holds {name!r}, which would leave the model's folder")
    progress = Progress(sum(sizes.values()))

    def download(name: str) -> None:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        s3.download_file(bucket, prefix + name, str(path), Callback=progress.add)

    download("SHA256SUMS")
    sums = read_sums(folder / "SHA256SUMS", os.environ.get("QWEN3_MODEL_SHA256"))
    if missing := sorted(set(sums) - set(sizes)):
        sys.exit(f"s3://{bucket}/{prefix} lacks {', '.join(missing)}, which SHA256SUMS names: upload them")
    if extra := sorted(set(sizes) - set(sums) - {"SHA256SUMS"}):
        sys.exit(f"s3://{bucket}/{prefix} holds {', '.join(extra)}, which SHA256SUMS does not name: remove or add them")
    remove_others(folder, {*sums, "SHA256SUMS"})
    # What an earlier try has fetched whole stays.
    wanted = [name for name in sums if sha256(folder / name) != sums[name]]
    progress.skip(sum(sizes[name] for name in sums if name not in wanted))
    with ThreadPoolExecutor(PARALLEL_DOWNLOADS) as pool:
        list(pool.map(download, wanted))
    verify(folder, sums)


def fetch_from_hugging_face(repository: str, revision: str, folder: Path) -> None:
    # Its own bookkeeping goes with the folder; root's home is closed to this unit.
    os.environ.setdefault("HF_HOME", str(folder / ".cache"))
    from huggingface_hub import HfApi, snapshot_download

    snapshot_download(repository, revision=revision, local_dir=folder, token=False, max_workers=PARALLEL_DOWNLOADS)
    files = HfApi(token=False).model_info(repository, revision=revision, files_metadata=True).siblings or []
    shutil.rmtree(folder / ".cache", ignore_errors=True)
    remove_others(folder, {each.rfilename for each in files})
    sums = {each.rfilename: each.lfs.sha256 for each in files if each.lfs is not None}
    if not sums:
        sys.exit(f"the Hub names no digest for any file of {repository} at {revision}: refusing these weights")
    verify(folder, sums)
    print(f"{len(sums)} large files as their digests say; {len(files) - len(sums)} small ones as the commit has them")


def read_sums(path: Path, expected: str | None) -> dict[str, str]:
    """Digests by file name, as `sha256sum` writes them."""
    text = path.read_bytes()
    actual = hashlib.sha256(text).hexdigest()
    if expected and actual != expected:
        sys.exit(f"SHA256SUMS has SHA-256 {actual}; the setting modelSha256 names {expected}. Refusing these weights.")
    lines = [re.fullmatch(r"([0-9a-f]{64})[ ][ *](?:\./)?(.+)", line) for line in text.decode().splitlines() if line]
    if not lines or not all(lines):
        sys.exit("SHA256SUMS is not what `sha256sum` writes: 64 hexadecimal digits, two spaces and a name in each line")
    return {match[2]: match[1] for match in lines if match and match[2] != "SHA256SUMS"}


def verify(folder: Path, sums: dict[str, str]) -> None:
    """Compare every file with its digest; a file that differs is removed, so that the next try fetches it again."""
    with ThreadPoolExecutor() as pool:
        actual = dict(zip(sums, pool.map(lambda name: sha256(folder / name), sums)))
    wrong = sorted(name for name, expected in sums.items() if actual[name] != expected)
    for name in wrong:
        (folder / name).unlink(missing_ok=True)
    if wrong:
        sys.exit(f"not what their digests say: {', '.join(wrong)}; they were removed and are fetched again")


def sha256(path: Path) -> str | None:
    """Hexadecimal digest of a file; None where there is none."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return None


def remove_others(folder: Path, wanted: set[str]) -> None:
    """Remove what nothing vouches for: SGLang would load it."""
    for path in folder.rglob("*"):
        if not path.is_dir() and str(path.relative_to(folder)) not in wanted:
            path.unlink()


def make_readable(folder: Path) -> None:
    """The workers' user reads the weights and owns none of them."""
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)


class Progress:
    """A line for the journal every few seconds: percent and rate."""

    def __init__(self, total: int) -> None:
        self._total, self._done = total, 0
        self._begin = self._last = time.monotonic()
        self._lock = threading.Lock()

    def skip(self, count: int) -> None:
        """Count bytes that were here already."""
        self._total -= count

    def add(self, count: int) -> None:
        with self._lock:
            self._done += count
            now = time.monotonic()
            if now - self._last < PROGRESS_SECONDS:
                return
            self._last = now
            rate = self._done / (now - self._begin) / 1e6
            print(f"{100 * self._done / max(self._total, 1):.0f} % of {self._total / 1e9:.1f} GB, {rate:.0f} MB/s", flush=True)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Only one of the machines that share a store fetches; the others wait and find it complete."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    main()
