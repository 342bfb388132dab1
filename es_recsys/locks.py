"""A lock between processes that the kernel frees when its holder dies."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from es_recsys.private import FILE, make_folder

__all__ = ["file_lock", "try_file_lock"]


@contextmanager
def file_lock(path: Path) -> Iterator[None]:
    """Hold the lock file `path`, made where it is missing; wait for whoever holds it."""
    with _lock(path):
        yield


@contextmanager
def try_file_lock(path: Path) -> Iterator[bool]:
    """Hold the lock file unless somebody else does, and yield whether it is held; never wait."""
    lock = _lock(path)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


def _lock(path: Path) -> FileLock:
    make_folder(path.parent)
    # No fallback to a file that merely exists: nobody would remove it after its holder's death.
    return FileLock(path, mode=FILE, fallback_to_soft=False)
