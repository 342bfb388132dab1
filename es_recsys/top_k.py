"""The highest of many scores."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["ScoredItems", "nth_largest", "top_k", "top_scores"]

ScoredItems = tuple[NDArray[np.int64], NDArray[np.float32]]
"""item_idx of some items and their raw scores, best first."""

_STEP = 16
_MANY = 4_096


def top_k(scores: NDArray[Any], n: int) -> NDArray[np.int64]:
    """Return the positions (<= n,) int64 of the n highest scores, highest first; equal ones by position."""
    if n <= 0 or not len(scores):
        return np.zeros(0, np.int64)
    positions = np.arange(len(scores))
    if len(scores) > n:
        least = nth_largest(scores, n)
        above, equal = np.flatnonzero(scores > least), np.flatnonzero(scores == least)
        positions = np.concatenate([above, equal[: n - len(above)]])
    order = np.lexsort((positions, -scores[positions]))
    return positions[order].astype(np.int64, copy=False)


def top_scores(scores: NDArray[np.float32], n: int, exclude: NDArray[np.int64]) -> ScoredItems:
    """Return item_idx and scores of the n best above 0, best first, without those at `exclude`."""
    most = n + len(exclude)
    least = nth_largest(scores, most) if 0 < most < len(scores) else 0
    candidates = np.flatnonzero(scores >= least) if least > 0 else np.flatnonzero(scores > 0)
    if len(candidates) and len(exclude):
        places = np.minimum(np.searchsorted(candidates, exclude), len(candidates) - 1)
        candidates = np.delete(candidates, places[candidates[places] == exclude])
    values = scores[candidates]
    chosen = top_k(values, n)
    return candidates[chosen], values[chosen]


def nth_largest(scores: NDArray[Any], n: int) -> Any:
    """Return the nth largest of at least n scores, none of them NaN; n >= 1.

    Of many scores a sample tells which are too low, so that few are left to be looked at closely.
    """
    if len(scores) >= _MANY and n * _STEP <= len(scores):
        sample = scores[::_STEP]
        at = len(sample) - (2 * n // _STEP + _STEP)
        high = scores[scores > np.partition(sample, at)[at]]
        scores = high if len(high) >= n else scores
    return np.partition(scores, len(scores) - n)[len(scores) - n]
