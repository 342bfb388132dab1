"""Folders and files that only their owner may read, whatever the umask, as they tell what people did."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

__all__ = ["FILE", "FOLDER", "make_folder", "private_opener", "restrict_to_owner"]

FOLDER, FILE = 0o700, 0o600
_OTHERS = 0o007


def make_folder(path: Path) -> None:
    """Make the folder and those above it that are missing; one that is there stays as it is.

    Raises OSError.
    """
    if path.is_dir():
        return
    missing = [path]
    while not missing[-1].parent.exists():
        missing.append(missing[-1].parent)
    for folder in reversed(missing):
        try:
            folder.mkdir(FOLDER)
        except FileExistsError:
            if not folder.is_dir():
                raise
        else:
            folder.chmod(FOLDER)


def private_opener(path: str, flags: int) -> int:
    """Open a file, as `opener` of `open`, so that a new one can be read by its owner only."""
    return os.open(path, flags, FILE)


def restrict_to_owner(path: Path) -> None:
    """Take the rights of others from a file or folder of ours; a group that shares it keeps its own."""
    with suppress(OSError):  # somebody else's, or on a file system without rights
        mode = path.stat().st_mode
        if mode & _OTHERS:
            path.chmod(mode & 0o7777 & ~_OTHERS)
