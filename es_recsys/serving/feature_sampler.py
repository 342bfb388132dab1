"""Which answers are logged with their features: all of a small shop, a sample where many are asked."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Lock

__all__ = ["FeatureSampler"]

ANSWERS_PER_SECOND = 1.0
AT_ONCE = 1_000.0


class FeatureSampler:
    """Lets one answer a second pass, and after a quiet time 1,000 at once. Thread-safe.

    Features of an answer cost about as much as all else that is computed for it, and a learned ranking needs thousands of
    answers, not millions. clock: seconds that never go back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = Lock()
        self._left, self._at = AT_ONCE, clock()

    def take(self) -> bool:
        """Return whether this answer is logged with its features."""
        with self._lock:
            now = self._clock()
            self._left = min(self._left + (now - self._at) * ANSWERS_PER_SECOND, AT_ONCE)
            self._at = now
            passes = self._left >= 1.0
            self._left -= float(passes)
            return passes
