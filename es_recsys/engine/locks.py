"""A lock between processes that the kernel frees when its holder dies."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from es_recsys.private import make_folder, opener

__all__ = ["locked", "locked_if_free"]

if sys.platform == "win32":
    import msvcrt

    def _lock(file: IO[bytes]) -> None:
        while True:
            try:
                msvcrt.locking(file.fileno(), msvcrt.LK_LOCK, 1)  # tries for ten seconds
                return
            except OSError:
                continue

    def _lock_if_free(file: IO[bytes]) -> bool:
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _lock(file: IO[bytes]) -> None:
        fcntl.flock(file, fcntl.LOCK_EX)

    def _lock_if_free(file: IO[bytes]) -> bool:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Holds the lock file `path` (made where it is not there), waiting for whoever holds it."""
    make_folder(path.parent)
    with open(path, "ab", opener=opener) as file:
        _lock(file)
        yield


@contextmanager
def locked_if_free(path: Path) -> Iterator[bool]:
    """Holds the lock file where nobody else does; says whether it does, and never waits."""
    make_folder(path.parent)
    with open(path, "ab", opener=opener) as file:
        yield _lock_if_free(file)
