"""Sums, means and shares by group, with NaN for what is unknown."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from es_recsys.features.columns import FAST, SLOW

__all__ = ["counts", "distinct", "least", "levels", "mean", "ratio", "surplus", "total"]

Floats = NDArray[np.float64]


def counts(groups: NDArray[np.int64], n: int) -> Floats:
    """(n,) how many of each group."""
    return np.bincount(groups, minlength=n).astype(np.float64)


def total(groups: NDArray[np.int64], values: Floats, n: int) -> Floats:
    """(n,) sum of the values of each group."""
    result: Floats = np.bincount(groups, weights=values, minlength=n).astype(np.float64)
    return result


def ratio(over: Floats, under: Floats) -> Floats:
    """(n,) over / under, NaN where under is 0."""
    return over / np.where(under == 0, np.nan, under)


def mean(groups: NDArray[np.int64], values: Floats, weights: Floats, n: int) -> Floats:
    """(n,) weighted mean of the values that are known, NaN without any."""
    known = ~np.isnan(values)
    groups, values, weights = groups[known], values[known], weights[known]
    return ratio(total(groups, values * weights, n), total(groups, weights, n))


def least(groups: NDArray[np.int64], values: Floats, n: int) -> Floats:
    """(n,) smallest value of each group, NaN without any."""
    found = np.full(n, np.inf)
    np.minimum.at(found, groups, np.where(np.isnan(values), np.inf, values))
    return np.where(np.isinf(found), np.nan, found)


def distinct(groups: NDArray[np.int64], things: NDArray[np.int64], n: int) -> Floats:
    """(n,) how many different things (>= 0) of each group."""
    width = int(things.max(initial=0)) + 1
    return counts(np.unique(groups * width + things) // width, n)


def surplus(groups: NDArray[np.int64], ages: Floats, weights: Floats, n: int) -> Floats:
    """(n,) (recent - expected) / sqrt(expected + 1), in about standard deviations; NaN where there is no time.

    A steady rate r gives a decayed count of r * half_life / ln 2, so `expected` is the slow count scaled to the fast
    half-life.
    """
    if np.isnan(ages).any():
        return np.full(n, np.nan)
    recent = total(groups, weights * np.exp2(-ages / FAST), n)
    expected = total(groups, weights * np.exp2(-ages / SLOW), n) * (FAST / SLOW)
    return (recent - expected) / np.sqrt(expected + 1.0)


def levels(values: Floats, groups: NDArray[Any], among: NDArray[np.bool_]) -> Floats:
    """(n,) place of each value among those of its group where `among`, from 0 to 1: the share of them below it, equal ones
    by half; NaN for an unknown value."""
    result = np.full(len(values), np.nan)
    known = np.flatnonzero(~np.isnan(values))
    order = known[np.lexsort((values[known], groups[known]))]
    group, value = groups[order], values[order]
    new_group = np.ones(len(order), bool)
    new_group[1:] = group[1:] != group[:-1]
    new_value = new_group.copy()
    new_value[1:] |= value[1:] != value[:-1]
    # How many of those that count come before each place in this order.
    before = np.concatenate([[0], np.cumsum(among[order])])
    first, last = _run(new_group, before)
    least, most = _run(new_value, before)
    result[order] = ratio((least + most) / 2.0 - first, last - first)
    return result


def _run(starts: NDArray[np.bool_], before: NDArray[np.int64]) -> tuple[Floats, Floats]:
    """`before` at the begin and at the end of the run that each place is in."""
    begins = np.flatnonzero(starts)
    ends = np.append(begins[1:], len(starts))
    run = np.cumsum(starts) - 1
    return before[begins][run].astype(np.float64), before[ends][run].astype(np.float64)
