"""Cost of a training: seconds and memory."""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

__all__ = ["Cost", "measured"]

T = TypeVar("T")

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")


@dataclass(frozen=True, slots=True)
class Cost:
    """Time and memory that a training took.

    seconds: of the wall clock. peak_mib: the most memory that the process held meanwhile, over what it held before, MiB.
    """

    seconds: float
    peak_mib: float


def measured(act: Callable[[], T]) -> tuple[T, Cost]:
    """Call `act` and return its result with its cost.

    On Linux the peak is that of the call alone; elsewhere only what exceeds the largest that the process ever held is seen.
    """
    gc.collect()
    _reset_peak()
    before = _resident()
    started = time.perf_counter()
    result = act()
    seconds = time.perf_counter() - started
    return result, Cost(seconds, max(_peak() - before, 0.0))


def _reset_peak() -> None:
    try:
        _CLEAR.write_text("5")
    except OSError:
        return  # not Linux, or not allowed: the peak is that of the process's life


def _resident() -> float:
    return _status("VmRSS") or _largest()


def _peak() -> float:
    return _status("VmHWM") or _largest()


def _status(name: str) -> float | None:
    try:
        lines = _STATUS.read_text().splitlines()
    except OSError:
        return None
    return next((float(line.split()[1]) / 1_024.0 for line in lines if line.startswith(f"{name}:")), None)


def _largest() -> float:
    try:
        import resource
    except ImportError:
        return 0.0  # Windows: not measured
    # Kilobytes on Linux, bytes on macOS.
    unit = 1_048_576.0 if sys.platform == "darwin" else 1_024.0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
