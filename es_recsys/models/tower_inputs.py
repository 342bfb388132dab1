"""What the user tower reads of histories, alike in training and when asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from es_recsys.features import USER_COLUMNS, ItemFacts
from es_recsys.models.habits import habits, scaled
from es_recsys.models.histories import HistoryBatch
from es_recsys.models.segment_map import SegmentMap

__all__ = ["CONTEXT", "HABITS", "RECENCY", "Inputs", "Reader", "inputs"]

HABITS = tuple(column.name for column in USER_COLUMNS if column.name not in ("recency", "dwell", "rating"))
"""The features of users that a history tells as of its newest event, see habits.py."""

RECENCY = 3
_COUNTS = 4
CONTEXT = _COUNTS + len(HABITS)
# Begins the names of arrays that are those of the segments.
_OF_SEGMENTS = "segments_"


@dataclass(frozen=True, slots=True, eq=False)
class Reader:
    """What is known besides a history: facts of the items, all as of the end of the training; scale (2, f) float64 of HABITS
    over the users of the training; the segments, None where there are none, with the same facts."""

    facts: ItemFacts
    scale: NDArray[np.float64]
    segments: SegmentMap | None

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What `from_arrays` reads back."""
        facts = self.facts.arrays()
        own = {} if self.segments is None else self.segments.arrays()
        return {**facts, "habits": self.scale, **{f"{_OF_SEGMENTS}{name}": own[name] for name in own if name not in facts}}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        facts = ItemFacts.from_arrays(arrays)
        own = {name.removeprefix(_OF_SEGMENTS): array for name, array in arrays.items() if name.startswith(_OF_SEGMENTS)}
        return cls(facts, arrays["habits"], SegmentMap.from_arrays({**own, **facts.arrays()}) if own else None)


@dataclass(frozen=True, slots=True, eq=False)
class Inputs:
    """Padded histories of b users, newest event first, l events at most.

    items (b, l) int64 places, 0 where padded; weights (b, l) float32 signed, 0 where padded; recency (b, l, 3) float32: log1p
    of the place, the place over 50, log1p of the age; context (b, 4 + f) float32: log1p of the number of events, of the age
    of the oldest and of the second newest, and the share of distinct items, then HABITS in deviations from the mean over the
    root of how many they are, 0 where unknown (habits.py); segments (b,) int64 from 1: the nearest, 0 where nothing is liked,
    or for all without segments. Context and segments are of the same events, as of the newest of them.
    """

    items: NDArray[np.int64]
    weights: NDArray[np.float32]
    recency: NDArray[np.float32]
    context: NDArray[np.float32]
    segments: NDArray[np.int64]


def inputs(batch: HistoryBatch, length: int, ordered: bool, reader: Reader) -> Inputs:
    """The newest `length` events of each user. ordered: False leaves all recency out, where it tells nothing."""
    batch = batch.last(length)
    lengths = np.diff(batch.starts)
    wide = int(lengths.max(initial=1)) or 1
    offsets = np.arange(wide)
    real = offsets < lengths[:, None]
    at = np.where(real, batch.starts[1:, None] - 1 - offsets, 0)
    told = habits(batch, reader.facts)
    segments = np.zeros(len(batch), np.int64) if reader.segments is None else reader.segments.nearest(batch, told) + 1
    items = _padded(batch.items, at, real)
    places, ages = _padded(batch.places, at, real), _padded(batch.ages, at, real)
    recency = np.stack([np.log1p(places), places / 50.0, np.log1p(ages)], axis=2)
    counts = [np.log1p(lengths), np.log1p(ages.max(axis=1)), np.log1p(ages[:, min(1, wide - 1)]), _distinct(items, real)]
    # Many as they are, habits weigh no more than one of the counts.
    context = np.hstack([np.stack(counts, axis=1), scaled(told, reader.scale, HABITS) / np.sqrt(len(HABITS))])
    if not ordered:
        recency, context[:, 1:3] = np.zeros_like(recency), 0.0
    weights = _padded(batch.weights, at, real)
    return Inputs(items, weights.astype(np.float32), recency.astype(np.float32), context.astype(np.float32), segments)


def _padded(values: NDArray[Any], at: NDArray[np.int64], real: NDArray[np.bool_]) -> NDArray[Any]:
    """The values at each place, 0 where there is none."""
    return np.where(real, values[at], 0) if len(values) else np.zeros(at.shape, values.dtype)


def _distinct(items: NDArray[np.int64], real: NDArray[np.bool_]) -> NDArray[np.float64]:
    alone = np.sort(np.where(real, items, -1), axis=1)
    kinds = (alone[:, :1] >= 0).sum(axis=1) + ((alone[:, 1:] != alone[:, :-1]) & (alone[:, 1:] >= 0)).sum(axis=1)
    result: NDArray[np.float64] = kinds / np.maximum(real.sum(axis=1), 1)
    return result
