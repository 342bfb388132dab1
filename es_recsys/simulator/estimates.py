"""Means over simulated users, what their intervals say, and how many users it takes to see a difference."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from es_recsys.errors import InputError
from es_recsys.evaluation.statistics import Z95, Estimate

__all__ = ["estimate", "is_sure", "p_value", "sample_size", "significant_after", "standard_error"]

_NORMAL = NormalDist()


def estimate(values: NDArray[np.float64], groups: NDArray[np.str_] | None = None) -> Estimate:
    """Return the mean of (n,) values with its normal interval, over as many subjects as there are groups.

    groups: (n,) whose values they are; those of one subject go together, so that a person who was asked ten times does not
    count as ten people:

        error ** 2 = G / (G - 1) * sum over subjects g of (sum over i in g of (x_i - mean)) ** 2 / n ** 2

    (cluster-robust variance of a mean, Liang and Zeger 1986); infinite for a single subject. Raises InputError without values.
    """
    if not len(values):
        raise InputError("There is nothing to take a mean of.", "Give one value at least.")
    mean = float(np.mean(values))
    totals = np.asarray(values, np.float64) - mean
    if groups is not None:
        _, group_idx = np.unique(groups, return_inverse=True)
        totals = np.asarray(np.bincount(group_idx, weights=totals), np.float64)
    count = len(totals)
    square = float((totals**2).sum()) * count / max(count - 1, 1) / len(values) ** 2
    return Estimate.normal(mean, math.sqrt(square) if count > 1 else math.inf, count)


def standard_error(found: Estimate) -> float:
    """Return the standard error that a normal interval was made of."""
    return (found.high - found.low) / (2.0 * Z95)


def is_sure(found: Estimate) -> bool:
    """Return whether the interval leaves out 0."""
    return found.low > 0.0 or found.high < 0.0


def p_value(found: Estimate) -> float:
    """Return the two-sided p-value of a mean of 0, normal as the interval is; 1 where nothing differs."""
    if not found.mean:
        return 1.0
    error = standard_error(found)
    return 2.0 * _NORMAL.cdf(-abs(found.mean) / error) if error else 0.0


def sample_size(deviation: float, effect: float, *, power: float = 0.8) -> int:
    """Return how many subjects each of two groups needs to detect a difference of means of `effect` at the 5 % level.

    n = 2 * ((z(.975) + z(power)) * deviation / effect) ** 2. deviation: standard deviation of a subject's value.
    Raises InputError for an effect of 0.
    """
    if not effect:
        raise InputError(
            "A difference of nothing can't be seen, however many are asked.", "Give the smallest effect that counts."
        )
    return max(2, math.ceil(2.0 * ((Z95 + _NORMAL.inv_cdf(power)) * deviation / effect) ** 2))


def significant_after(looks: Sequence[tuple[int, Estimate]]) -> int | None:
    """Return the count from which on every look leaves out 0, None where the last doesn't.

    looks: (how many were asked, their estimate), the fewest first. Who looks often and stops at the first significant look is
    wrong more often than the interval says; so a look counts only if none after it takes it back.
    """
    found = None
    for count, look in reversed(looks):
        if not is_sure(look):
            break
        found = count
    return found
