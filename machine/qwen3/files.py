"""Files that are written whole or not at all: a reader never sees half of one."""

import os
import shutil
from pathlib import Path


def replace(path: Path, text: str, mode: int, gid: int = -1) -> None:
    """Write a file in one step, whatever was there; gid -1 leaves the group. Raises OSError."""
    partial = partial_path(path)
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


def link(path: Path, target: str) -> None:
    """Point a symbolic link elsewhere in one step. Raises OSError."""
    partial = partial_path(path)
    partial.unlink(missing_ok=True)
    partial.symlink_to(target)
    os.replace(partial, path)


def partial_path(path: Path) -> Path:
    return path.with_name(f".{path.name}.partial")


def remove(path: Path) -> None:
    """Remove a file, a link or a folder; nothing to do where there is none. Raises OSError."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def read(path: Path) -> str | None:
    """A file's text; None where it cannot be read."""
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError):
        return None
