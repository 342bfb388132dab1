"""Whether the newest times of some files lie in the future, as local times do that are read as UTC."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from es_recsys.values.timezones import is_naive

__all__ = ["FutureTimes"]

_TOLERANCE_S = 300.0
_EASTERNMOST_S = 14.25 * 3_600.0
_BIN_S = 300.0
_FEW = 3
_DENSITY = 0.25


class FutureTimes:
    """Counts times around now. Memory is flat.

    now: epoch seconds. count: times ahead by more than five minutes; span: seconds by which the newest is, those aside that
    no zone explains.
    """

    def __init__(self, now: float) -> None:
        self._now = now
        self._bins: dict[int, int] = {}
        self._beyond = 0
        self._local = self._zoned = 0
        self.count = 0
        self.span = 0.0

    def add(self, time: float, written: Any = None) -> None:
        """Count one time. time: epoch seconds; written: as the file has it."""
        future = time - self._now
        if future <= -_EASTERNMOST_S:
            return
        if future > _TOLERANCE_S:
            self.count += 1
            if is_naive(written):
                self._local += 1
            else:
                self._zoned += 1
            if future > _EASTERNMOST_S:
                self._beyond += 1
                return
            self.span = max(self.span, future)
        bin_idx = math.floor(future / _BIN_S)
        self._bins[bin_idx] = self._bins.get(bin_idx, 0) + 1

    def add_all(self, times: Sequence[datetime], written: Sequence[Any]) -> None:
        """Count many times, as `add` does."""
        earliest = datetime.fromtimestamp(self._now - _EASTERNMOST_S, UTC)
        for time, text in zip(times, written, strict=True):
            if time > earliest:
                self.add(time.timestamp(), text)

    @property
    def local(self) -> bool:
        """Whether the times ahead name no zone."""
        return self._local > self._zoned

    @property
    def block(self) -> bool:
        """Whether they are the file's newest hours, as many as in the hours before, rather than those of some wrong clocks."""
        future = self.count - self._beyond
        behind = sum(n for bin_idx, n in self._bins.items() if -self.span <= bin_idx * _BIN_S < 0.0)
        return future >= max(_FEW, _DENSITY * behind, self._beyond)

    @property
    def offset(self) -> str:
        """The least offset from UTC at which none is ahead: "+09:00"."""
        halves = min(math.ceil((self.span - _TOLERANCE_S) / 1_800.0), 28)
        return f"+{halves // 2:02}:{halves % 2 * 30:02}"
