"""Files below a prefix in S3, downloaded to a folder."""

import re
import sys
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import boto3

from .clients import options

PARALLEL_DOWNLOADS = 8


@dataclass(frozen=True)
class Prefix:
    """Objects of a bucket whose keys begin with `keys`, which ends in a slash."""

    bucket: str
    keys: str

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.keys}"


def parse_prefix(url: str) -> Prefix | None:
    """The prefix of `s3://BUCKET/PREFIX`. None for anything else."""
    match = re.fullmatch(r"s3://([^/]+)/(.+?)/?", url)
    return Prefix(match[1], match[2] + "/") if match else None


class S3:
    """Reads with the instance's role. Raises botocore's errors."""

    def __init__(self) -> None:
        self._client = boto3.client("s3", **options())

    def sizes(self, prefix: Prefix) -> dict[str, int]:
        """Size of each file below the prefix, by its name without the prefix."""
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=prefix.bucket, Prefix=prefix.keys)
        sizes = {each["Key"][len(prefix.keys) :]: each["Size"] for page in pages for each in page.get("Contents", [])}
        return {name: size for name, size in sizes.items() if name and not name.endswith("/")}

    def download(
        self,
        prefix: Prefix,
        names: Collection[str],
        folder: Path,
        progress: Callable[[int], None] = lambda _: None,
    ) -> None:
        """Downloads files to a folder, several at a time. Exits if a name leads out of the folder.

        progress: called with the number of bytes since its last call, from any thread
        """
        paths = {name: path_inside(folder, name, prefix) for name in names}

        def download(name: str) -> None:
            paths[name].parent.mkdir(parents=True, exist_ok=True)
            self._client.download_file(prefix.bucket, prefix.keys + name, str(paths[name]), Callback=progress)

        with ThreadPoolExecutor(PARALLEL_DOWNLOADS) as pool:
            list(pool.map(download, names))


def path_inside(folder: Path, name: str, prefix: Prefix) -> Path:
    """The path of a downloaded file. Exits for a name that leads out of the folder, for example `../x` or `/etc/x`."""
    path = (folder / name).resolve()
    if not path.is_relative_to(folder.resolve()):
        sys.exit(f"{prefix} contains {name!r}, which would be written outside {folder}")
    return path
