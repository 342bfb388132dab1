"""Memory and disk that this machine has left, and what a node needs of them."""

from __future__ import annotations

import shutil
from pathlib import Path

from es_recsys.errors import EngineError
from es_recsys.memory import available_memory

__all__ = [
    "MIN_FREE_DISK",
    "available_memory",
    "check_disk",
    "check_memory",
    "free_disk",
    "heap_bytes",
    "memory_needed",
    "nearest_existing",
]

MIB = 1 << 20
MIN_FREE_DISK = 1536 * MIB  # the node's own lowest watermark, 1 GiB, and room to work


def heap_bytes(heap: str) -> int:
    """Return the bytes of a heap size such as "512m" or "2g"."""
    return int(heap[:-1]) * (MIB if heap[-1] == "m" else 1024 * MIB)


def memory_needed(heap: str) -> int:
    """Return the bytes that a node of this heap grows to: metaspace, code, threads and buffers come on top of the heap."""
    return int(heap_bytes(heap) * 1.2) + 320 * MIB


def check_memory(heap: str, available: int | None) -> None:
    """Raise EngineError where `available` bytes are too few for a node of this heap; None (unknown) passes."""
    needed = memory_needed(heap)
    if available is not None and available < needed:
        raise EngineError(
            f"The embedded node with a heap of {heap} needs {needed // MIB:,} MiB of memory; "
            f"{available // MIB:,} MiB are available.",
            "Close something, or set a smaller heap, such as ES_RECSYS_HEAP=512m.",
        )


def free_disk(folder: Path) -> int:
    """Return the bytes free where `folder` is, or will be."""
    return shutil.disk_usage(nearest_existing(folder)).free


def nearest_existing(path: Path) -> Path:
    """Return `path`, or the nearest folder above it that exists, as an absolute path."""
    existing = path.absolute()
    while not existing.exists():
        existing = existing.parent
    return existing


def check_disk(folder: Path, free: int) -> None:
    """Raise EngineError where `free` bytes are too few for a node with its data in `folder`."""
    if free < MIN_FREE_DISK:
        raise EngineError(
            f"The embedded node needs {MIN_FREE_DISK // MIB:,} MiB free for {folder}; {free // MIB:,} MiB are.",
            "Free some, or set another folder with ES_RECSYS_HOME.",
        )
