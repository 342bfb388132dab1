"""Uncertainty of a mean and of a difference: normal and bootstrap intervals, paired randomisation tests, Holm's correction.

Queries of one user are not independent, so users are drawn and flipped as a whole, not their queries.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Z95", "Estimate", "bootstrap", "difference_words", "holm", "p_words", "paired_test"]

_AT_ONCE = 4_000_000
Z95 = 1.959963984540054
"""Standard errors from the mean to either end of a normal interval of 95 %."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean with its interval (95 % unless said otherwise), over `n` queries or users."""

    mean: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        return f"{self.mean:.4f} [{self.low:.4f}, {self.high:.4f}]"

    @classmethod
    def normal(cls, mean: float, error: float, n: int) -> Estimate:
        """Return a mean with the normal interval of its standard error."""
        return cls(mean, mean - Z95 * error, mean + Z95 * error, n)

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
    from scipy import stats

    sums, counts = _grouped(values, groups)
    if not len(sums):
        return Estimate(float("nan"), float("nan"), float("nan"), 0)
    mean = float(sums.sum() / counts.sum())
    if len(sums) == 1:
        return Estimate(mean, mean, mean, int(counts.sum()))
    found = stats.bootstrap(
        (sums, counts),
        lambda sums, counts, axis: sums.sum(axis=axis) / counts.sum(axis=axis),
        n_resamples=rounds,
        batch=max(1, _AT_ONCE // len(sums)),
        paired=True,
        confidence_level=level,
        method="percentile",
        rng=rng,
    ).confidence_interval
    return Estimate(mean, float(found.low), float(found.high), int(counts.sum()))


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
    from scipy import stats

    sums, _ = _grouped(one - other, groups)
    sums = sums[sums != 0.0]
    if len(sums) < 2:
        return 1.0
    found = stats.permutation_test(
        (sums,),
        lambda sums, axis: sums.sum(axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=rounds,
        batch=max(1, _AT_ONCE // len(sums)),
        rng=rng,
    )
    return float(found.pvalue)


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


def difference_words(difference: Estimate) -> str:
    """Return a difference of two means with its interval, as it is read."""
    return f"{difference.mean:+.4f} [{difference.low:+.4f}, {difference.high:+.4f}]"


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
