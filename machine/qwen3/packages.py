"""python -m qwen3.packages FOLDER: fetches the mirrored packages from QWEN3_PACKAGE_MIRROR, `s3://BUCKET/PREFIX`.

What they are is not asked here: whoever installs them compares each with the locks' hashes.
"""

import os
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from .environment import required

PARALLEL_DOWNLOADS = 8


def main(folder: Path) -> None:
    import boto3

    source = required("QWEN3_PACKAGE_MIRROR")
    match = re.fullmatch(r"s3://([^/]+)/(.+?)/?", source)
    if not match:
        sys.exit(f"QWEN3_PACKAGE_MIRROR is {source!r}; allowed: s3://BUCKET/PREFIX")
    bucket, prefix = match[1], match[2] + "/"
    s3 = boto3.client(
        "s3", region_name=required("AWS_REGION"), endpoint_url=os.environ.get("AWS_ENDPOINT_URL") or None
    )
    folder.mkdir(parents=True, exist_ok=True)
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    sizes = {each["Key"][len(prefix) :]: each["Size"] for page in pages for each in page.get("Contents", [])}
    # Wheels alone, and none below another folder.
    wanted = {name: size for name, size in sizes.items() if name.endswith(".whl") and "/" not in name}
    if not wanted:
        sys.exit(f"{source} holds no wheels: fill it with `npm run mirror`")

    def download(name: str) -> None:
        path = folder / name
        # What an earlier try has fetched whole stays.
        if not path.exists() or path.stat().st_size != wanted[name]:
            s3.download_file(bucket, prefix + name, str(path))

    print(f"fetching {len(wanted)} packages, {sum(wanted.values()) / 1e9:.1f} GB, from {source}", flush=True)
    with ThreadPoolExecutor(PARALLEL_DOWNLOADS) as pool:
        list(pool.map(download, wanted))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m qwen3.packages FOLDER")
    main(Path(sys.argv[1]))
