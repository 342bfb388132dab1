"""The features of users, items and pairs as of a moment, and those of a history alone."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from es_recsys.dataset import History, Interactions, ItemTable
from es_recsys.features.columns import ITEM_COLUMNS, USER_COLUMNS, Column, column_names
from es_recsys.features.events import Events, events_of_histories, events_of_history, events_until
from es_recsys.features.item_features import compute_item_features
from es_recsys.features.item_properties import ItemProperties, compute_item_properties
from es_recsys.features.pair_features import PairFeatures
from es_recsys.features.user_features import compute_user_features
from es_recsys.features.user_item_pairs import conversion_rates, user_item_pairs

__all__ = ["FeatureTable", "HistoryFeatures", "compute_features", "features_of_history", "user_features_of_histories"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class FeatureTable:
    """Features of users, items and pairs from what had happened by `now`; columns as in columns.py, NaN for unknown.

    user_ids (n_users,) as in the interactions; item_ids (n_items,) those of the interactions and of the catalogue, sorted;
    users (n_users, f), items (n_items, g) float32; pairs(users, items) -> (m, p) float32 by index. properties: what
    `features_of_history` reads of the items.
    """

    now: float
    user_ids: NDArray[np.str_]
    item_ids: NDArray[np.str_]
    users: NDArray[np.float32]
    items: NDArray[np.float32]
    pairs: PairFeatures
    properties: ItemProperties


@dataclass(frozen=True, slots=True, eq=False)
class HistoryFeatures:
    """Features of one history: user (f,) float32 as a row of `FeatureTable.users`, and pairs."""

    user: NDArray[np.float32]
    _pairs: PairFeatures

    def pairs(self, items: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return (m, p) float32 of the user with each of the items, by item_idx."""
        return self._pairs(np.zeros(len(items), np.int64), items)


def compute_features(data: Interactions, items: ItemTable | None, now: float | None = None) -> FeatureTable:
    """Return the features as of `now` (epoch seconds; None: the newest event), as if nothing later had happened.

    Events after `now` change nothing, nor does the order of the rows. Without times all events count, undecayed, and what
    is about time is unknown; without types of events so is what is about purchases, ratings and dwell. A million events
    take about two seconds.
    """
    moment = float(data.times.max(initial=0.0)) if now is None else float(now)
    item_ids = data.item_ids if items is None else np.union1d(data.item_ids, items.item_ids)
    events = events_until(data, np.searchsorted(item_ids, data.item_ids).astype(np.int64), moment)
    pairs = user_item_pairs(events, len(item_ids))
    item_idx = np.zeros(0, np.int64) if items is None else np.searchsorted(item_ids, items.item_ids).astype(np.int64)
    properties = compute_item_properties(events, items, item_idx, len(item_ids), moment, conversion_rates(pairs))
    clock = moment if data.timed else math.nan
    users = compute_user_features(events, pairs, properties, clock)
    return FeatureTable(
        moment,
        data.user_ids,
        item_ids,
        _stacked(users, USER_COLUMNS),
        _stacked(compute_item_features(events, pairs, properties, clock), ITEM_COLUMNS),
        _pairs(events, properties, users),
        properties,
    )


def features_of_history(
    history: History, item_idx: NDArray[np.int64], properties: ItemProperties, now: float | None = None
) -> HistoryFeatures:
    """Return the features of somebody of whom only a history is known.

    item_idx (n,) int64: of each item of the history in `properties`, -1 for one that it lacks. now: epoch seconds; what
    is about time is unknown without it, or where the history does not say when it ended. Quantities, dwell times and
    ratings are not in a history, so purchases count as one each, and the last two are unknown.
    """
    events = events_of_history(history, item_idx, now)
    users = compute_user_features(
        events, user_item_pairs(events, len(properties.price)), properties, math.nan if now is None else now
    )
    return HistoryFeatures(_stacked(users, USER_COLUMNS)[0], _pairs(events, properties, users))


def user_features_of_histories(
    users: NDArray[np.int64],
    item_idx: NDArray[np.int64],
    weights: NDArray[np.float64],
    ages: NDArray[np.float64],
    type_idx: NDArray[np.int8],
    newest: NDArray[np.float64],
    properties: ItemProperties,
) -> NDArray[np.float32]:
    """Return (n_users, f) float32: for many users what `features_of_history` gives at their newest event.

    users, item_idx (m,) int64 of the events; weights (m,) float64, signed; ages (m,) float64 days before the user's newest
    event; type_idx (m,) int8 index into EVENT_TYPES, -1 where the type is not known: then nothing about types is known of this
    user. newest (n_users,) float64 epoch seconds of the newest event, NaN where it is not known: then nothing about time is.
    """
    n = len(newest)
    timed = ~np.isnan(newest)
    typed = np.bincount(users[type_idx < 0], minlength=n) == 0
    rows = np.full((n, len(USER_COLUMNS)), np.nan, np.float32)
    for when, description in ((True, True), (True, False), (False, True), (False, False)):
        mine = (timed == when) & (typed == description)
        if not mine.any():
            continue
        own, index = mine[users], np.cumsum(mine) - 1
        events = events_of_histories(
            index[users[own]],
            item_idx[own],
            weights[own],
            ages[own] if when else None,
            type_idx[own] if description else None,
            int(mine.sum()),
        )
        found = compute_user_features(events, user_item_pairs(events, len(properties.price)), properties, newest[mine])
        rows[mine] = _stacked(found, USER_COLUMNS)
    return rows


def _pairs(events: Events, properties: ItemProperties, users: Mapping[str, Floats]) -> PairFeatures:
    return PairFeatures.of(events, properties, users["price"], users["price_spread"])


def _stacked(found: Mapping[str, Floats], columns: tuple[Column, ...]) -> NDArray[np.float32]:
    return np.stack([found[name] for name in column_names(columns)], axis=1).astype(np.float32)
