"""Uncertainty of a mean and of a difference: bootstrap intervals, paired randomisation tests, Holm's correction.

Queries of one user are not independent, so users are drawn and flipped as a whole, not their queries.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Estimate", "bootstrap", "holm", "p_words", "paired_test"]

_AT_ONCE = 4_000_000


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean with its interval (95 % unless said otherwise), over `n` queries."""

    mean: float
    low: float
    high: float
    n: int

    def to_dict(self) -> dict[str, float | int | None]:
        """Return JSON values; None for a number that is not known."""
        return {
            "mean": _number(self.mean),
            "low": _number(self.low),
            "high": _number(self.high),
            "n": self.n,
        }

    @classmethod
    def from_dict(cls, found: Mapping[str, float | int | None]) -> Estimate:
        mean, low, high = (float("nan") if found[name] is None else float(found[name]) for name in ("mean", "low", "high"))  # type: ignore[arg-type]
        return cls(mean, low, high, int(found["n"] or 0))


def bootstrap(
    values: NDArray[np.float64],
    rng: np.random.Generator,
    *,
    groups: Sequence[str] | None = None,
    rounds: int = 1_000,
    level: float = 0.95,
) -> Estimate:
    """Return the mean of `values` (n,), NaNs left out, and its percentile bootstrap interval (Efron 1979).

    groups: whom each value belongs to; groups are drawn, not values. Without a value all is NaN.
    """
    sums, counts = _grouped(values, groups)
    if not len(sums):
        return Estimate(float("nan"), float("nan"), float("nan"), 0)
    means = np.empty(rounds)
    step = max(1, _AT_ONCE // len(sums))
    for begin in range(0, rounds, step):
        drawn = rng.integers(len(sums), size=(min(step, rounds - begin), len(sums)))
        means[begin : begin + len(drawn)] = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    tail = (1.0 - level) / 2.0
    low, high = np.quantile(means, [tail, 1.0 - tail])
    return Estimate(float(sums.sum() / counts.sum()), float(low), float(high), int(counts.sum()))


def paired_test(
    one: NDArray[np.float64],
    other: NDArray[np.float64],
    rng: np.random.Generator,
    *,
    groups: Sequence[str] | None = None,
    rounds: int = 10_000,
) -> float:
    """Return the two-sided p-value that the means of two rankers on the same queries differ, by the paired randomisation test.

    Which of the two rankers a query's value came from is a coin's toss (Fisher 1935; Smucker, Allan and Carterette 2007).
    Queries where either value is NaN are left out; 1 where nothing differs. At least 1 / (rounds + 1).
    """
    sums, _ = _grouped(one - other, groups)
    sums = sums[sums != 0.0]
    if not len(sums):
        return 1.0
    found = abs(float(sums.sum()))
    extreme = 0
    step = max(1, _AT_ONCE // len(sums))
    for begin in range(0, rounds, step):
        signs = rng.integers(0, 2, size=(min(step, rounds - begin), len(sums)), dtype=np.int8)
        totals = (2.0 * signs - 1.0) @ sums
        extreme += int((np.abs(totals) >= found * (1.0 - 1e-12)).sum())
    return (extreme + 1) / (rounds + 1)


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """Adjust p-values for being many (Holm 1979).

    The chance of any false finding stays below what they are compared with.
    """
    adjusted: dict[str, float] = {}
    largest = 0.0
    for place, name in enumerate(sorted(p_values, key=lambda key: (p_values[key], key))):
        largest = max(largest, min(1.0, (len(p_values) - place) * p_values[name]))
        adjusted[name] = largest
    return {name: adjusted[name] for name in p_values}


def p_words(p: float) -> str:
    """Return a p-value in words, as it is read."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def _grouped(values: NDArray[np.float64], groups: Sequence[str] | None) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return sum and count of the values of each group, NaNs left out."""
    there = ~np.isnan(values)
    if groups is None:
        return values[there], np.ones(int(there.sum()))
    # Who asks as nobody is not one person.
    labels = [group or f"\0{row}" for row, group in enumerate(groups)]
    _, inverse = np.unique(np.array(labels, dtype=object)[there].astype(str), return_inverse=True)
    n = int(inverse.max(initial=-1)) + 1
    sums = np.bincount(inverse, values[there], minlength=n).astype(np.float64)
    return sums, np.bincount(inverse, minlength=n).astype(np.float64)


def _number(value: float) -> float | None:
    return None if np.isnan(value) else round(float(value), 6)
