"""One budget of time for all that a call waits for Elasticsearch: its round trips, and what is tried again of them."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from elastic_transport import ConnectionTimeout

__all__ = ["TimeBudget", "spending", "within_budget"]


class TimeBudget:
    """Seconds that a call may wait. What is waited for at the same time counts once."""

    def __init__(self, seconds: float) -> None:
        self._left = seconds
        self._waiting = 0
        self._since = 0.0
        self._lock = threading.Lock()

    def begin(self) -> float:
        """Begin to wait, and return the seconds that are left. Raises ConnectionTimeout where none are."""
        with self._lock:
            now = time.monotonic()
            left = self._left - (now - self._since if self._waiting else 0.0)
            if left <= 0.0:
                raise ConnectionTimeout("The call has waited as long as it may.")
            if not self._waiting:
                self._since = now
            self._waiting += 1
            return left

    def end(self) -> None:
        with self._lock:
            self._waiting -= 1
            if not self._waiting:
                self._left -= time.monotonic() - self._since


_budget: ContextVar[TimeBudget | None] = ContextVar("es_recsys_time_budget", default=None)


@contextmanager
def within_budget(seconds: float) -> Iterator[None]:
    """Let all requests inside a `with` block wait so long together; inside another block its budget stays."""
    if _budget.get() is not None:
        yield
        return
    token = _budget.set(TimeBudget(seconds))
    try:
        yield
    finally:
        _budget.reset(token)


@contextmanager
def spending(timeout_s: float | None = None) -> Iterator[float | None]:
    """Count the time of a `with` block as waited, and yield how long it may take: `timeout_s` at most; None: any time.

    Raises ConnectionTimeout where nothing of the budget is left.
    """
    budget = _budget.get()
    if budget is None:
        yield timeout_s
        return
    left = budget.begin()
    try:
        yield left if timeout_s is None else min(left, timeout_s)
    finally:
        budget.end()
