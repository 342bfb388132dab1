"""Sessions: an actor's events without a long silence between them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["SESSION_GAP_S", "sessionize"]

SESSION_GAP_S = 1_800.0


def sessionize(users: NDArray[np.int32], times: NDArray[np.float64], gap: float = SESSION_GAP_S) -> NDArray[np.int32]:
    """Return the session number of each event; events are sorted by user, then time.

    users (n,), times (n,) in seconds -> (n,) int32, from 0, never falling: a new session begins with another user, or
    after more than `gap` seconds of silence. Half an hour is the usual convention of web analytics. Means nothing
    where events have an order only.
    """
    if len(users) == 0:
        return np.zeros(0, np.int32)
    begins = (users[1:] != users[:-1]) | (np.diff(times) > gap)
    return np.concatenate(([0], np.cumsum(begins))).astype(np.int32)
