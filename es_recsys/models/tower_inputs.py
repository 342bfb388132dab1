"""What the user tower reads of histories, alike in training and when asked."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from es_recsys.models.histories import Batch
from es_recsys.models.segment_map import SegmentMap

__all__ = ["CONTEXT", "RECENCY", "Inputs", "inputs", "numbers"]

RECENCY = 3
CONTEXT = 4


@dataclass(frozen=True, slots=True, eq=False)
class Inputs:
    """Padded histories of b users, newest event first, l events at most.

    items (b, l) int64 places, 0 where padded; weights (b, l) float32 signed, 0 where padded; recency (b, l, 3) float32:
    log1p of the place, the place over 50, log1p of the age; context (b, 4) float32: log1p of the number of events, of the
    age of the oldest and of the second newest, and the share of distinct items.
    """

    items: NDArray[np.int64]
    weights: NDArray[np.float32]
    recency: NDArray[np.float32]
    context: NDArray[np.float32]


def inputs(batch: Batch, length: int, ordered: bool) -> Inputs:
    """The newest `length` events of each user. ordered: False leaves all recency out, where it tells nothing."""
    users = len(batch)
    lengths = np.minimum(np.diff(batch.starts), length)
    wide = int(lengths.max(initial=1)) or 1
    offsets = np.arange(wide)
    real = offsets < lengths[:, None]
    at = np.where(real, batch.starts[1:, None] - 1 - offsets, 0)
    if not len(batch.items):
        empty = np.zeros((users, wide))
        return Inputs(
            empty.astype(np.int64),
            empty.astype(np.float32),
            np.zeros((users, wide, RECENCY), np.float32),
            np.zeros((users, CONTEXT), np.float32),
        )
    items = np.where(real, batch.items[at], 0)
    # Where order tells nothing a piece is out of order, and an age may be below 0.
    ages = np.maximum(np.where(real, batch.ages[at], 0.0), 0.0)
    places = np.where(real, batch.places[at], 0.0)
    recency = np.stack([np.log1p(places), places / 50.0, np.log1p(ages)], axis=2)
    context = np.stack(
        [np.log1p(lengths), np.log1p(ages.max(axis=1)), np.log1p(ages[:, min(1, wide - 1)]), _distinct(items, real)], axis=1
    )
    if not ordered:
        recency, context[:, 1:3] = np.zeros_like(recency), 0.0
    weights = np.where(real, batch.weights[at], 0.0)
    return Inputs(items, weights.astype(np.float32), recency.astype(np.float32), context.astype(np.float32))


def numbers(segments: SegmentMap | None, given: Inputs) -> NDArray[np.int64]:
    """(b,) int64 from 1: the segment that what is read of each user is nearest to; 0 where nothing is liked, or for all without
    segments."""
    if segments is None:
        return np.zeros(len(given.items), np.int64)
    return segments.nearest(given.items, given.weights) + 1


def _distinct(items: NDArray[np.int64], real: NDArray[np.bool_]) -> NDArray[np.float64]:
    alone = np.sort(np.where(real, items, -1), axis=1)
    kinds = (alone[:, :1] >= 0).sum(axis=1) + ((alone[:, 1:] != alone[:, :-1]) & (alone[:, 1:] >= 0)).sum(axis=1)
    result: NDArray[np.float64] = kinds / np.maximum(real.sum(axis=1), 1)
    return result
