"""Gives up what fails again and again, for a while."""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["CircuitBreaker", "CircuitOpen"]

_FAILURES, _PAUSE_S = 5, 10.0


class CircuitOpen(Exception):
    """Nothing was tried, as what was tried before failed."""


class CircuitBreaker:
    """Opens after some failures in a row; after a pause the next call is tried."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures = 0
        self._opened_at = 0.0

    @property
    def is_open(self) -> bool:
        """Whether nothing is to be tried now."""
        return self._failures >= _FAILURES and self._clock() - self._opened_at < _PAUSE_S

    def succeeded(self) -> None:
        self._failures = 0

    def failed(self) -> None:
        self._failures += 1
        self._opened_at = self._clock()
