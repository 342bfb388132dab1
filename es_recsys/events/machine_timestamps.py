"""Timestamps that a machine made: dates without a time of day, imports, clocks of whole minutes. They say nothing of pace."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

__all__ = ["ClockCounts", "CoarseTimes", "first_of_bursts", "is_coarse"]

_MINUTE, _DAY = 60.0, 86_400.0
_ENOUGH = 20
_COMMON = 0.01
_DAYS = 3
_COARSE = 0.9
_LISTED = 200
_IMPORT = 5
_IMPORTS_A_MINUTE = 5


class CoarseTimes(NamedTuple):
    """Which times say no more than their day: those at one of these times of day (seconds), and whole minutes where `minutes`."""

    clocks: tuple[float, ...]
    minutes: bool


@dataclass(frozen=True, slots=True)
class ClockCounts:
    """How often events happen at each time of day: exact for the most frequent ones.

    times: of how many events; whole_minutes: of how many at a whole minute. listed: time of day in seconds -> how often, and up
    to three of the days; others: how often any other one occurs at most.
    """

    times: int = 0
    whole_minutes: int = 0
    listed: Mapping[float, tuple[int, tuple[int, ...]]] = field(default_factory=dict)
    others: int = 0

    @classmethod
    def of(cls, times: pl.Series) -> ClockCounts:
        """Count times (epoch seconds)."""
        counted = _clocks(times).sort("n", "clock", descending=True)
        listed = {clock: (n, tuple(days)) for clock, n, days in counted.head(_LISTED).iter_rows()}
        others = counted["n"][_LISTED] if len(counted) > _LISTED else 0
        return cls(len(times), _whole_minutes(times), listed, others)

    def with_times(self, times: pl.Series) -> ClockCounts:
        """Return the counts with more events."""
        listed, most = dict(self.listed), 0
        for clock, n, days in _clocks(times).iter_rows():
            if clock in listed:
                before, some = listed[clock]
                listed[clock] = before + n, tuple(dict.fromkeys([*some, *days]))[:_DAYS]
            else:
                most = max(most, n)
        return ClockCounts(self.times + len(times), self.whole_minutes + _whole_minutes(times), listed, self.others + most)

    def coarse(self) -> CoarseTimes | None:
        """Return which times say no more than their day; None where that takes counting all of them.

        That is any time of day (midnight somewhere, noon) that 1 in 100 of all events have, on three days at least; and every
        whole minute, where 9 in 10 are.
        """
        often = max(_ENOUGH, _COMMON * self.times)
        if self.others >= often:
            return None
        clocks = (clock for clock, (n, days) in self.listed.items() if n >= often and len(days) >= _DAYS)
        return CoarseTimes(tuple(sorted(clocks)), self.times >= _ENOUGH and self.whole_minutes > _COARSE * self.times)

    def to_json(self) -> list[Any]:
        return [self.times, self.whole_minutes, [[clock, *counts] for clock, counts in self.listed.items()], self.others]

    @classmethod
    def from_json(cls, value: Any) -> ClockCounts:
        times, whole_minutes, listed, others = value
        return cls(times, whole_minutes, {clock: (n, tuple(days)) for clock, n, days in listed}, others)


def is_coarse(times: pl.Series, coarse: CoarseTimes) -> pl.Series:
    """Return (n,) bool: whether each time (epoch seconds) says no more than its day, or its minute. Midnight in UTC does, too."""
    frame = pl.DataFrame({"time": times})
    clock = pl.col("time") % _DAY
    made = (clock == 0.0) | clock.is_in(pl.Series(coarse.clocks, dtype=pl.Float64).implode())
    return frame.select(made | (pl.col("time") % _MINUTE == 0.0) if coarse.minutes else made).to_series()


def _clocks(times: pl.Series) -> pl.DataFrame:
    """Return each time of day, how often it occurs, and up to three of its days."""
    frame = pl.DataFrame({"clock": times % _DAY, "day": (times / _DAY).floor().cast(pl.Int64)})
    return frame.group_by("clock").agg(n=pl.len(), days=pl.col("day").unique().head(_DAYS))


def _whole_minutes(times: pl.Series) -> int:
    return int((times % _MINUTE == 0.0).sum())


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
