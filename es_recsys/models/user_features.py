"""Features of users from their histories, read in one way in training and in serving."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from es_recsys.features import USER_COLUMNS, ItemProperties, user_features_of_histories
from es_recsys.models.types import HistoryBatch

__all__ = ["scale_of", "scaled", "user_features"]

# Events after which a user's features count half; what one event says of them is mostly chance.
_EVIDENCE = 5.0
_FARTHEST = 3.0
_NAMES = [column.name for column in USER_COLUMNS]


def user_features(batch: HistoryBatch, properties: ItemProperties) -> NDArray[np.float32]:
    """Return USER_COLUMNS (n, f) float32 of each user, from the history alone and as of its newest event.

    NaN stands for what is not known. `properties` are of the batch's items.

    How long ago the newest event was is not in it (`recency` is 0), as models are not told when they are asked; nor are
    quantities, dwell times and ratings, which histories do not have.
    """
    there = batch.weights != 0
    users = np.repeat(np.arange(len(batch)), np.diff(batch.starts))[there]
    unknown = np.full(len(users), -1, np.int8)
    return user_features_of_histories(
        users,
        batch.items[there],
        batch.weights[there].astype(np.float64),
        batch.ages[there],
        unknown if batch.type_idx is None else batch.type_idx[there],
        np.full(len(batch), np.nan) if batch.newest is None else batch.newest,
        properties,
    )


def scale_of(features: NDArray[np.float32], names: Sequence[str]) -> NDArray[np.float64]:
    """Return mean and standard deviation (2, f) of the named of USER_COLUMNS over users (n, all of them)."""
    values = _chosen(features, names)
    known = ~np.isnan(values)
    count = np.maximum(known.sum(axis=0), 1)
    mean = np.where(known, values, 0.0).sum(axis=0) / count
    deviation = np.sqrt((np.where(known, values - mean, 0.0) ** 2).sum(axis=0) / count)
    return np.stack([mean, np.where(deviation > 1e-9, deviation, np.inf)])


def scaled(features: NDArray[np.float32], scale: NDArray[np.float64], names: Sequence[str]) -> NDArray[np.float64]:
    """Return the named columns scaled, (n, f) float64.

    They are deviations from the mean, within three of them, drawn to 0 where there are few
    events, and 0 where unknown."""
    events = features[:, _NAMES.index("events")].astype(np.float64)
    z = np.clip((_chosen(features, names) - scale[0]) / scale[1], -_FARTHEST, _FARTHEST)
    result: NDArray[np.float64] = np.nan_to_num(z) * (events / (events + _EVIDENCE))[:, None]
    return result


def _chosen(features: NDArray[np.float32], names: Sequence[str]) -> NDArray[np.float64]:
    columns = [_NAMES.index(name) for name in names]
    skewed = np.array([USER_COLUMNS[column].skewed for column in columns])
    values = features[:, columns].astype(np.float64)
    result: NDArray[np.float64] = np.where(skewed, np.log1p(np.maximum(values, 0.0)), values)
    return result
