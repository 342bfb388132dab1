"""How far a long write is."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["Meter", "Progress"]


@dataclass(frozen=True, slots=True)
class Progress:
    """done: documents settled, the `failed` ones among them; total: None where it is not known. rate: documents a
    second since the start. remaining_s: seconds left at that rate. paused: why nothing is written at the moment."""

    done: int
    total: int | None
    failed: int
    rate: float
    remaining_s: float | None
    paused: str | None = None


class Meter:
    """Counts documents and tells `on_progress`, one call at a time, from whatever thread they were settled on."""

    def __init__(self, on_progress: Callable[[Progress], None] | None = None, total: int | None = None) -> None:
        self.total = total
        self._tell = on_progress
        self._lock = threading.Lock()
        self._started = time.monotonic()
        self._done = 0
        self._failed = 0

    def advance(self, done: int, failed: int = 0) -> None:
        with self._lock:
            self._done += done
            self._failed += failed
            self._report(None)

    def pause(self, reason: str) -> None:
        with self._lock:
            self._report(reason)

    def _report(self, paused: str | None) -> None:
        if self._tell is None:
            return
        rate = self._done / max(time.monotonic() - self._started, 1e-9)
        remaining = (self.total - self._done) / rate if self.total is not None and self._done else None
        self._tell(
            Progress(self._done, self.total, self._failed, rate, None if remaining is None else max(remaining, 0.0), paused)
        )
