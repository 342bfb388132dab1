"""Calibration: a page has the categories of the user's history, in the same shares. Scores stay; only the order changes.

Steck 2018, "Calibrated recommendations". With p(c) the share of category c in the history, and q(c) in the items taken so far,

    KL(p, q) = sum over c of p(c) * log(p(c) / ((1 - a) * q(c) + a * p(c))),    a = 0.01

each step takes the row with the largest (1 - calibration) * score / best score - calibration * KL(p, q with the row). An item
of several categories counts once for each of them, in the history as on the page, and both are divided by their sums.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["calibrate", "divergence"]

_SMOOTHING = 0.01


def calibrate(
    values: Sequence[float],
    categories: Sequence[Collection[str]],
    history: Mapping[str, float],
    calibration: float,
    steps: int,
) -> list[int]:
    """Return the order of the rows: `steps` that are chosen one by one, then the rest as they were.

    values (n,): scores over the best one, best first. categories: of each row. history: category -> share, summing to 1; without
    any, or with a calibration of 0, the order stays.
    """
    n = len(values)
    if calibration <= 0.0 or not history or n < 2:
        return list(range(n))
    relevance = (1.0 - calibration) * np.asarray(values, np.float64)
    wanted = np.array(list(history.values()), np.float64)
    counts = np.array([[float(category in own) for category in history] for own in map(frozenset, categories)]).reshape(n, -1)
    sizes = np.array([len(frozenset(own)) for own in categories], np.float64)
    taken, total = np.zeros(len(wanted)), 0.0
    left = np.ones(n, bool)
    order: list[int] = []
    for _ in range(min(steps, n)):
        sums = np.maximum(total + sizes, 1.0)
        gain = relevance - calibration * divergence(wanted, (taken + counts) / sums[:, None])
        # Rounded, so that rows that are equally good keep their order whatever the last bit of a sum says.
        row = int(np.argmax(np.where(left, np.round(gain, 12), -np.inf)))
        taken, total = taken + counts[row], total + sizes[row]
        order.append(row)
        left[row] = False
    return [*order, *np.flatnonzero(left).tolist()]


def divergence(wanted: NDArray[np.float64], shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return KL(p, q) of each list (n,), nats, from 0 to log(100) = 4.6. wanted (c,): p > 0. shares (n, c): q."""
    smoothed = (1.0 - _SMOOTHING) * shares + _SMOOTHING * wanted
    found: NDArray[np.float64] = (wanted * np.log(wanted / smoothed)).sum(axis=1)
    return found
