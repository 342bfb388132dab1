"""Waiting for what happens in another thread or process, however slow the machine."""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["wait_until"]


def wait_until(condition: Callable[[], bool], timeout_s: float = 60.0) -> bool:
    """Return whether the condition became true in time; it is looked at every hundredth of a second."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True
