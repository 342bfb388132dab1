"""Examination of each position of an answer, how likely it is looked at, estimated from the answer log itself.

An item that was shown at two neighbouring positions for the same kind of query (the words of a search, the user of a
recommendation) is as relevant at both, so the ratio of its rewards there is the ratio of their examination (adjacent-chain
estimator by intervention harvesting; Agarwal et al. 2019).
With S the (query, item) pairs shown at both k and k + 1, each weighted by its showings,

    e[k + 1] / e[k] = (sum over S of rate at k + 1) / (sum over S of rate at k),  e[1] = 1,

where a rate is weighed by 1 / propensity of the position. The ratio is kept at 1 or below, and positions with too few rewards
take that of the position before them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from es_recsys.evaluation.counterfactual import Impressions

__all__ = ["examination"]

_ENOUGH = 20.0
_LEAST = 0.01


def examination(log: Impressions, positions: int = 20, *, enough: float = _ENOUGH) -> NDArray[np.float64]:
    """Estimate the chance that each position is looked at: (positions,) float64 in (0, 1], falling from 1.

    enough: rewards that a pair of positions needs, to be told apart.

    A log in which no item ever moved says nothing: then all is 1.
    """
    shown, gained = _tables(log, positions)
    chances = np.ones(positions)
    ratio = 1.0
    for k in range(positions - 1):
        both = (shown[:, k] > 0) & (shown[:, k + 1] > 0)
        # Each pair counts as much as the rarer of its two showings allows.
        weight = np.minimum(shown[both, k], shown[both, k + 1])
        upper = float((weight * gained[both, k] / shown[both, k]).sum())
        lower = float((weight * gained[both, k + 1] / shown[both, k + 1]).sum())
        if upper + lower >= enough and upper > 0:
            ratio = min(lower / upper, 1.0)
        chances[k + 1] = max(chances[k] * ratio, _LEAST)
    return chances


def _tables(log: Impressions, positions: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return showings and rewards (pairs, positions) of each (query, item), both weighted by 1 / propensity."""
    names = [f"{context}\0{item}" for context, item in zip(log.contexts, log.item_ids, strict=True)]
    _, pairs = np.unique(np.array(names, dtype=np.str_), return_inverse=True)
    inside = log.positions <= positions
    cells = pairs[inside] * positions + log.positions[inside] - 1
    size = (int(pairs.max(initial=-1)) + 1) * positions
    weights = 1.0 / log.propensities[inside]
    shown = np.bincount(cells, weights, minlength=size).astype(np.float64)
    gained = np.bincount(cells, weights * log.rewards[inside], minlength=size).astype(np.float64)
    return shown.reshape(-1, positions), gained.reshape(-1, positions)
