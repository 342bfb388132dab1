"""Timestamps that a machine made: dates without a time of day, imports, clocks of whole minutes. They say nothing of pace."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

__all__ = ["first_of_bursts", "is_coarse"]

_MINUTE, _DAY = 60.0, 86_400.0
_ENOUGH = 20
_COMMON = 0.01
_DAYS = 3
_COARSE = 0.9
_IMPORT = 5
_IMPORTS_A_MINUTE = 5


def is_coarse(times: pl.Series) -> pl.Series:
    """Return (n,) bool: whether each time (epoch seconds) says no more than its day, or its minute.

    Midnight in UTC; any other time of day (midnight somewhere, noon) that 1 in 100 of all events have, on three days at least;
    and every whole minute, where 9 in 10 are.
    """
    frame = pl.DataFrame({"time": times}).with_columns(clock=pl.col("time") % _DAY, day=(pl.col("time") / _DAY).floor())
    usual = frame.group_by("clock").agg(n=pl.len(), days=pl.col("day").n_unique())
    often = usual.filter((pl.col("n") >= max(_ENOUGH, _COMMON * len(times))) & (pl.col("days") >= _DAYS))["clock"]
    whole = pl.col("time") % _MINUTE == 0.0
    coarse = len(times) >= _ENOUGH and bool(frame.select((whole.mean() > _COARSE).fill_null(False)).item())
    made = (pl.col("clock") == 0.0) | pl.col("clock").is_in(often.implode())
    return frame.select(made | whole if coarse else made).to_series()


def first_of_bursts(actors: NDArray[np.int32], times: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return (n,) bool: which events are an action of their own; arrays (n,) are sorted by actor and time.

    Of many at one instant (a wish list that was moved, imported ratings) it is the first, unless instant follows upon instant,
    as only a machine's do.
    """
    n = len(times)
    if not n:
        return np.zeros(0, np.bool_)
    first = np.ones(n, np.bool_)
    first[1:] = (actors[1:] != actors[:-1]) | (times[1:] != times[:-1])
    starts = np.flatnonzero(first)
    lengths = np.diff(starts, append=n)
    one = lengths >= _IMPORT
    imports = starts[one]
    minutes = np.stack([actors[imports].astype(np.float64), times[imports] // _MINUTE], axis=1)
    _, which, counts = np.unique(minutes, axis=0, return_inverse=True, return_counts=True)
    one[one] = counts[which.reshape(-1)] <= _IMPORTS_A_MINUTE
    return first | ~np.repeat(one, lengths)
