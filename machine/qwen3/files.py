"""Files that are written atomically: a reader never sees a partial file."""

import os
import shutil
from pathlib import Path


def replace(path: Path, text: str, mode: int, gid: int = -1) -> None:
    """Writes a file atomically, replacing what exists. gid -1 keeps the group. Raises OSError."""
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
    """Changes the target of a symbolic link atomically. Raises OSError."""
    partial = partial_path(path)
    partial.unlink(missing_ok=True)
    partial.symlink_to(target)
    os.replace(partial, path)


def partial_path(path: Path) -> Path:
    return path.with_name(f".{path.name}.partial")


def remove(path: Path) -> None:
    """Removes a file, a link or a folder, if it exists. Raises OSError."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def read(path: Path) -> str | None:
    """A file's text. None if it cannot be read."""
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError):
        return None
