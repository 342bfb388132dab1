"""The highest of many scores."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["ScoredItems", "highest", "top_k", "top_scores"]

ScoredItems = tuple[NDArray[np.int64], NDArray[np.float32]]
"""item_idx of some items and their raw scores, best first."""

_STEP = 16
_MANY = 4_096


def top_k(scores: NDArray[Any], n: int) -> NDArray[np.int64]:
    """Return the positions (<= n,) int64 of the n highest scores, highest first; equal ones by position."""
    positions = highest(scores, n)
    order = np.argsort(-scores[positions], kind="stable")[: max(n, 0)]
    return positions[order].astype(np.int64, copy=False)


def top_scores(scores: NDArray[np.float32], n: int, exclude: NDArray[np.int64]) -> ScoredItems:
    """Return item_idx and scores of the n best above 0, best first, without those at `exclude`."""
    candidates = highest(scores, n + len(exclude))
    candidates = candidates[scores[candidates] > 0]
    if len(candidates) and len(exclude):
        places = np.minimum(np.searchsorted(candidates, exclude), len(candidates) - 1)
        candidates = np.delete(candidates, places[candidates[places] == exclude])
    chosen = candidates[top_k(scores[candidates], n)]
    return chosen, scores[chosen]


def highest(scores: NDArray[Any], n: int) -> NDArray[np.int64]:
    """Return the positions, ascending, of the n highest scores and of all that equal the last of them; none is NaN.

    Of many scores a sample tells which are too low, so that few are looked at closely.
    """
    if n <= 0:
        return np.zeros(0, np.int64)
    if n >= len(scores):
        return np.arange(len(scores))
    positions, values = None, scores
    if len(scores) >= _MANY and n * _STEP <= len(scores):
        sample = scores[::_STEP]
        at = len(sample) - (2 * n // _STEP + _STEP)
        high = np.flatnonzero(scores > np.partition(sample, at)[at])
        if len(high) >= n:
            positions, values = high, scores[high]
    found = np.flatnonzero(values >= np.partition(values, len(values) - n)[len(values) - n])
    return found if positions is None else positions[found]
