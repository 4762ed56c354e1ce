"""python -m qwen3.wheels FOLDER: downloads the mirrored packages from QWEN3_PACKAGE_MIRROR, `s3://BUCKET/PREFIX`.

It does not verify them: pip and uv, which install them, compare each one with the locks' hashes.
"""

import sys
from pathlib import Path

from .environment import required
from .s3 import S3, parse_prefix


def main(folder: Path) -> None:
    source = required("QWEN3_PACKAGE_MIRROR")
    prefix = parse_prefix(source)
    if prefix is None:
        sys.exit(f"QWEN3_PACKAGE_MIRROR is {source!r}; allowed: s3://BUCKET/PREFIX")
    s3 = S3()
    # Only wheels, and none below another folder.
    wheels = {name: size for name, size in s3.sizes(prefix).items() if name.endswith(".whl") and "/" not in name}
    if not wheels:
        sys.exit(f"{source} contains no wheels: fill it with `npm run mirror`")
    print(f"downloading {len(wheels)} packages, {sum(wheels.values()) / 1e9:.1f} GB, from {source}", flush=True)
    folder.mkdir(parents=True, exist_ok=True)
    # Files that an earlier run downloaded completely are kept.
    s3.download(prefix, [name for name, size in wheels.items() if size_of(folder / name) != size], folder)


def size_of(path: Path) -> int | None:
    return path.stat().st_size if path.exists() else None


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m qwen3.wheels FOLDER")
    main(Path(sys.argv[1]))
