"""The best of many scores, in an order that doesn't depend on how they were computed."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["best", "decay"]


def best(scores: NDArray[Any], n: int) -> NDArray[np.int64]:
    """(<= n,) int64 places of the n highest scores, highest first; equal ones by place."""
    if n <= 0 or not len(scores):
        return np.zeros(0, np.int64)
    places = np.arange(len(scores))
    if len(scores) > n:
        least = np.partition(scores, len(scores) - n)[len(scores) - n]
        above, equal = np.flatnonzero(scores > least), np.flatnonzero(scores == least)
        places = np.concatenate([above, equal[: n - len(above)]])
    order = np.lexsort((places, -scores[places]))
    return places[order].astype(np.int64, copy=False)


def decay(ages: NDArray[np.float64], half_life: float) -> NDArray[np.float64]:
    """2 ** (-age / half_life); an infinite half-life forgets nothing."""
    if np.isinf(half_life):
        return np.ones(len(ages))
    result: NDArray[np.float64] = np.exp2(-ages / half_life)
    return result
