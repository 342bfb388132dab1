"""Conditional logit: what matters to people who chose one of several."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["fit_conditional_logit"]

_ROUNDS = 50


def fit_conditional_logit(
    choices: Sequence[NDArray[np.float64]], choice_weights: Sequence[float], ridge: float = 1.0
) -> NDArray[np.float64]:
    """Return theta (d,) float64 >= 0 that maximises the likelihood of the choices.

        sum over choices c of weight_c log(exp(theta x_0) / sum_j exp(theta x_j)) - ridge / 2 |theta|^2

    which is concave, so Newton's method finds it; a weight that would fall below 0 is held there (projected Newton,
    Bertsekas 1982).

    choices: of each, (k, d) float64 the features of what was on offer, the chosen one first. choice_weights: how much each
    counts, of which only the proportions matter.
    """
    x = np.concatenate(choices)
    lengths = np.array([len(one) for one in choices])
    begins = np.cumsum(lengths) - lengths
    owner = np.repeat(np.arange(len(choices)), lengths)
    counts = np.asarray(choice_weights, np.float64) / np.mean(choice_weights)
    theta = np.zeros(x.shape[1])
    value, shares = _likelihood(x, begins, owner, counts, theta, ridge)
    for _ in range(_ROUNDS):
        means = np.add.reduceat(shares[:, None] * x, begins)
        slope = counts @ (x[begins] - means) - ridge * theta
        free = (theta > 0.0) | (slope > 0.0)
        if not free.any():
            break
        weighed = (counts[owner] * shares)[:, None] * x
        curve = weighed.T @ x - (counts[:, None] * means).T @ means + ridge * np.eye(len(theta))
        step = np.zeros_like(theta)
        step[free] = np.linalg.solve(curve[np.ix_(free, free)], slope[free])
        size = 1.0
        while size > 1e-6:
            tried = np.maximum(theta + size * step, 0.0)
            better, odds = _likelihood(x, begins, owner, counts, tried, ridge)
            if better > value:
                break
            size /= 2.0
        else:
            break
        gain, theta, value, shares = better - value, tried, better, odds
        if gain < 1e-7 * abs(value):
            break
    return theta


def _likelihood(
    x: NDArray[np.float64],
    begins: NDArray[np.int64],
    owner: NDArray[np.int64],
    counts: NDArray[np.float64],
    theta: NDArray[np.float64],
    ridge: float,
) -> tuple[float, NDArray[np.float64]]:
    """Return the penalised log likelihood, and the probability (n,) of each row within its choice."""
    scores = x @ theta
    scores = scores - np.maximum.reduceat(scores, begins)[owner]
    odds = np.exp(scores)
    total = np.add.reduceat(odds, begins)
    value = float(counts @ (scores[begins] - np.log(total))) - ridge / 2.0 * float(theta @ theta)
    return value, odds / total[owner]
