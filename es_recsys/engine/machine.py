"""What this machine has left: memory and disk, read before a node is started."""

from __future__ import annotations

import shutil
from pathlib import Path

from es_recsys.errors import EngineError
from es_recsys.memory import available_memory

__all__ = ["DISK_FLOOR", "available_memory", "check_disk", "check_memory", "free_disk", "heap_bytes", "memory_needed"]

MIB = 1 << 20
DISK_FLOOR = 1536 * MIB  # the node's own lowest watermark, 1 GiB, and room to work


def heap_bytes(heap: str) -> int:
    """ "512m" or "2g" -> bytes."""
    return int(heap[:-1]) * (MIB if heap[-1] == "m" else 1024 * MIB)


def memory_needed(heap: str) -> int:
    """Bytes that a node of this heap grows to: metaspace, code, threads and buffers come on top of the heap."""
    return int(heap_bytes(heap) * 1.2) + 320 * MIB


def check_memory(heap: str, available: int | None) -> None:
    """Raises EngineError where `available` bytes are too few for a node of this heap; unknown is let through."""
    needed = memory_needed(heap)
    if available is not None and available < needed:
        raise EngineError(
            f"The embedded node with a heap of {heap} needs {needed // MIB:,} MiB of memory; "
            f"{available // MIB:,} MiB are available.",
            "Close something, or set a smaller heap, such as ES_RECSYS_HEAP=512m.",
        )


def free_disk(folder: Path) -> int:
    """Bytes free where `folder` is, or will be."""
    there = folder.absolute()
    while not there.exists():
        there = there.parent
    return shutil.disk_usage(there).free


def check_disk(folder: Path, free: int) -> None:
    """Raises EngineError where `free` bytes are too few for a node with its data in `folder`."""
    if free < DISK_FLOOR:
        raise EngineError(
            f"The embedded node needs {DISK_FLOOR // MIB:,} MiB free for {folder}; {free // MIB:,} MiB are.",
            "Free some, or set another folder with ES_RECSYS_HOME.",
        )
