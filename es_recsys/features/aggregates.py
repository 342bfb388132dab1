"""Sums, means and shares by group, with NaN for what is unknown."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from es_recsys.features.columns import FAST_HALF_LIFE, SLOW_HALF_LIFE

__all__ = ["count_distinct", "counts", "mean", "minimum", "percentile_ranks", "ratio", "total", "trend"]

Floats = NDArray[np.float64]


def counts(groups: NDArray[np.int64], n: int) -> Floats:
    """Return (n,): how many of each group."""
    return np.bincount(groups, minlength=n).astype(np.float64)


def total(groups: NDArray[np.int64], values: Floats, n: int) -> Floats:
    """Return (n,): the sum of the values of each group."""
    result: Floats = np.bincount(groups, weights=values, minlength=n).astype(np.float64)
    return result


def ratio(over: Floats, under: Floats) -> Floats:
    """Return (n,): over / under, NaN where under is 0."""
    return over / np.where(under == 0, np.nan, under)


def mean(groups: NDArray[np.int64], values: Floats, weights: Floats, n: int) -> Floats:
    """Return (n,): the weighted mean of the values that are known, NaN without any."""
    known = ~np.isnan(values)
    groups, values, weights = groups[known], values[known], weights[known]
    return ratio(total(groups, values * weights, n), total(groups, weights, n))


def minimum(groups: NDArray[np.int64], values: Floats, n: int) -> Floats:
    """Return (n,): the smallest value of each group, NaN without any."""
    found = np.full(n, np.inf)
    np.minimum.at(found, groups, np.where(np.isnan(values), np.inf, values))
    return np.where(np.isinf(found), np.nan, found)


def count_distinct(groups: NDArray[np.int64], values: NDArray[np.int64], n: int) -> Floats:
    """Return (n,): how many different values (>= 0) of each group."""
    width = int(values.max(initial=0)) + 1
    return counts(np.unique(groups * width + values) // width, n)


def trend(groups: NDArray[np.int64], ages: Floats, weights: Floats, n: int) -> Floats:
    """Return (n,): (recent - expected) / sqrt(expected + 1), in about standard deviations; NaN where there is no time.

    A steady rate r gives a decayed count of r * half_life / ln 2, so `expected` is the slow count scaled to the fast
    half-life.
    """
    if np.isnan(ages).any():
        return np.full(n, np.nan)
    recent = total(groups, weights * np.exp2(-ages / FAST_HALF_LIFE), n)
    expected = total(groups, weights * np.exp2(-ages / SLOW_HALF_LIFE), n) * (FAST_HALF_LIFE / SLOW_HALF_LIFE)
    return (recent - expected) / np.sqrt(expected + 1.0)


def percentile_ranks(values: Floats, groups: NDArray[Any], among: NDArray[np.bool_]) -> Floats:
    """Return (n,): the percentile rank, 0 to 1, of each value among those of its group that count (`among`).

    It is the share of them below the value, equal ones by half; NaN for an unknown value.
    """
    result = np.full(len(values), np.nan)
    known = np.flatnonzero(~np.isnan(values))
    order = known[np.lexsort((values[known], groups[known]))]
    group, value = groups[order], values[order]
    new_group = np.ones(len(order), bool)
    new_group[1:] = group[1:] != group[:-1]
    new_value = new_group.copy()
    new_value[1:] |= value[1:] != value[:-1]
    # How many of those that count come before each row in this order.
    before = np.concatenate([[0], np.cumsum(among[order])])
    first, last = _run(new_group, before)
    minimum, most = _run(new_value, before)
    result[order] = ratio((minimum + most) / 2.0 - first, last - first)
    return result


def _run(starts: NDArray[np.bool_], before: NDArray[np.int64]) -> tuple[Floats, Floats]:
    """Return `before` at the begin and at the end of the run that each row is in."""
    begins = np.flatnonzero(starts)
    ends = np.append(begins[1:], len(starts))
    run = np.cumsum(starts) - 1
    return before[begins][run].astype(np.float64), before[ends][run].astype(np.float64)
