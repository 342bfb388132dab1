"""A mean with its interval, and how many it takes to see a difference."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from es_recsys.errors import InputError

__all__ = ["MeanEstimate", "estimate", "half_width", "sample_size", "significant_after"]

_NORMAL = NormalDist()


@dataclass(frozen=True, slots=True)
class MeanEstimate:
    """A mean over independent subjects with its confidence interval.

    low, high: bounds of the interval. error: standard error of the mean, infinite for a single subject. groups: number of
    subjects.
    """

    mean: float
    low: float
    high: float
    error: float
    groups: int

    @property
    def sure(self) -> bool:
        """Whether the interval leaves out 0."""
        return self.low > 0.0 or self.high < 0.0

    @property
    def p(self) -> float:
        """Two-sided p-value of a mean of 0, normal as the interval is; 1 where nothing differs."""
        if not self.mean:
            return 1.0
        return 2.0 * _NORMAL.cdf(-abs(self.mean) / self.error) if self.error else 0.0

    def __str__(self) -> str:
        return f"{self.mean:.4f} [{self.low:.4f}, {self.high:.4f}]"


def estimate(values: NDArray[np.float64], groups: NDArray[np.str_] | None = None, confidence: float = 0.95) -> MeanEstimate:
    """Return the mean of (n,) values.

    groups: (n,) whose values they are; those of one subject go together, so that a person who was asked ten times does not
    count as ten people:

        error ** 2 = G / (G - 1) * sum over subjects g of (sum over i in g of (x_i - mean)) ** 2 / n ** 2

    (cluster-robust variance of a mean, Liang and Zeger 1986). Raises InputError without values.
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
    error = math.sqrt(square) if count > 1 else math.inf
    beside = half_width(error, confidence)
    return MeanEstimate(mean, mean - beside, mean + beside, error, count)


def half_width(error: float, confidence: float = 0.95) -> float:
    """Return how far the interval of a normal mean with this standard error goes to either side."""
    return _NORMAL.inv_cdf(0.5 + confidence / 2.0) * error


def sample_size(deviation: float, effect: float, *, confidence: float = 0.95, power: float = 0.8) -> int:
    """Return how many subjects each of two groups needs to detect a difference of means of `effect`.

    n = 2 * ((z(1 - alpha / 2) + z(power)) * deviation / effect) ** 2. deviation: standard deviation of a subject's value.
    Raises InputError for an effect of 0.
    """
    if not effect:
        raise InputError(
            "A difference of nothing can't be seen, however many are asked.", "Give the smallest effect that counts."
        )
    z = _NORMAL.inv_cdf(0.5 + confidence / 2.0) + _NORMAL.inv_cdf(power)
    return max(2, math.ceil(2.0 * (z * deviation / effect) ** 2))


def significant_after(looks: Sequence[tuple[int, MeanEstimate]]) -> int | None:
    """Return the count from which on every look leaves out 0, None where the last doesn't.

    looks: (how many were asked, their estimate), the fewest first. Who looks often and stops at the first significant look is
    wrong more often than the interval says; so a look counts only if none after it takes it back.
    """
    found = None
    for count, look in reversed(looks):
        if not look.sure:
            break
        found = count
    return found
