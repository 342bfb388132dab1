"""Available memory of a Linux system or container, and rarer garbage collections."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

__all__ = ["available_memory", "rare_collections"]

_UNLIMITED = 1 << 60


@dataclass(frozen=True, slots=True)
class _Files:
    """The kernel's files with figures; tests give another root."""

    root: Path = Path("/")

    def number(self, path: str) -> int | None:
        text = self.text(path).strip()
        if text == "max":
            return _UNLIMITED
        return int(text) if text.isdigit() else None

    def text(self, path: str) -> str:
        try:
            return (self.root / path).read_text(encoding="ascii", errors="replace")
        except OSError:
            return ""

    def table(self, path: str) -> dict[str, int]:
        rows = (line.replace(":", " ").split() for line in self.text(path).splitlines())
        return {row[0]: int(row[1]) for row in rows if len(row) > 1 and row[1].isdigit()}


def available_memory(root: Path = Path("/")) -> int | None:
    """Return the bytes that may still be used: what the system has available, or what a container's limit leaves, if less.

    None on other systems than Linux.
    """
    if sys.platform != "linux":
        return None
    files = _Files(root)
    kib = files.table("proc/meminfo").get("MemAvailable")
    figures = [] if kib is None else [kib * 1024]
    figures += [left for left in (_cgroup2(files), _cgroup1(files)) if left is not None]
    return min(figures, default=None)


def _cgroup2(files: _Files) -> int | None:
    """Return what the tightest limit leaves, from the process's own group up to the root."""
    group = next((line[3:] for line in files.text("proc/self/cgroup").splitlines() if line.startswith("0::")), "/")
    parts = [part for part in group.strip().split("/") if part and part != ".."]
    left: list[int] = []
    for depth in range(len(parts), -1, -1):
        folder = "/".join(["sys/fs/cgroup", *parts[:depth]])
        limit, used = files.number(f"{folder}/memory.max"), files.number(f"{folder}/memory.current")
        if limit is not None and used is not None and limit < _UNLIMITED:
            # Cached file pages are counted as used, but given back when asked for.
            left.append(max(limit - used + files.table(f"{folder}/memory.stat").get("inactive_file", 0), 0))
    return min(left, default=None)


def _cgroup1(files: _Files) -> int | None:
    folder = "sys/fs/cgroup/memory"
    limit, used = files.number(f"{folder}/memory.limit_in_bytes"), files.number(f"{folder}/memory.usage_in_bytes")
    if limit is None or used is None or limit >= _UNLIMITED:
        return None
    return max(limit - used + files.table(f"{folder}/memory.stat").get("total_inactive_file", 0), 0)


@contextmanager
def rare_collections() -> Iterator[None]:
    """Have garbage collected more rarely while the block lasts, as where millions of rows come and go that form no cycles."""
    before = gc.get_threshold()
    gc.set_threshold(100_000, 20, 20)
    try:
        yield
    finally:
        gc.set_threshold(*before)
