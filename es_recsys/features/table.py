"""One table of features as of a moment, and the same columns for a history alone."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from es_recsys.features.columns import ITEM_COLUMNS, USER_COLUMNS, Column, names
from es_recsys.features.events import Events, of_histories, until
from es_recsys.features.events import of_history as events_of
from es_recsys.features.facts import ItemFacts, facts_of
from es_recsys.features.items import item_features
from es_recsys.features.met import met, rates_of
from es_recsys.features.pairs import Pairs
from es_recsys.features.users import user_features
from es_recsys.types import History, Interactions, ItemTable

__all__ = ["FeatureTable", "HistoryFeatures", "features", "of_history", "users_of"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class FeatureTable:
    """Features of users, items and pairs from what had happened by `now`; the columns are those of columns.py, NaN is what
    is not known.

    user_ids (n_users,) as in the interactions; item_ids (n_items,) those of the interactions and of the catalogue, sorted;
    users (n_users, f), items (n_items, g) float32; pairs(users, items) -> (m, p) float32 of places. facts: what
    `of_history` needs to know of the items.
    """

    now: float
    user_ids: NDArray[np.str_]
    item_ids: NDArray[np.str_]
    users: NDArray[np.float32]
    items: NDArray[np.float32]
    pairs: Pairs
    facts: ItemFacts


@dataclass(frozen=True, slots=True, eq=False)
class HistoryFeatures:
    """What a history tells: user (f,) float32 as a row of `FeatureTable.users`, and pairs."""

    user: NDArray[np.float32]
    _pairs: Pairs

    def pairs(self, items: NDArray[np.int64]) -> NDArray[np.float32]:
        """(m, p) float32 of the user with each of the items, by place."""
        return self._pairs(np.zeros(len(items), np.int64), items)


def features(data: Interactions, items: ItemTable | None, now: float | None = None) -> FeatureTable:
    """The features as of `now` (epoch seconds; None: the newest event), as if nothing later had happened.

    Events after `now` change nothing, nor does the order of the rows. Without times all events count, undecayed, and what
    is about time is unknown; without types of events so is what is about purchases, ratings and dwell. A million events
    take about two seconds.
    """
    moment = float(data.times.max(initial=0.0)) if now is None else float(now)
    item_ids = data.item_ids if items is None else np.union1d(data.item_ids, items.item_ids)
    events = until(data, np.searchsorted(item_ids, data.item_ids).astype(np.int64), moment)
    pairs = met(events, len(item_ids))
    places = np.zeros(0, np.int64) if items is None else np.searchsorted(item_ids, items.item_ids).astype(np.int64)
    facts = facts_of(events, items, places, len(item_ids), moment, rates_of(pairs))
    clock = moment if data.timed else math.nan
    users = user_features(events, pairs, facts, clock)
    return FeatureTable(
        moment,
        data.user_ids,
        item_ids,
        _stacked(users, USER_COLUMNS),
        _stacked(item_features(events, pairs, facts, clock), ITEM_COLUMNS),
        _pairs(events, facts, users),
        facts,
    )


def of_history(history: History, places: NDArray[np.int64], facts: ItemFacts, now: float | None = None) -> HistoryFeatures:
    """The features of somebody of whom only a history is known.

    places (n,) int64: where each item of the history stands in `facts`, -1 for one that does not. now: epoch seconds; what
    is about time is unknown without it, or where the history does not say when it ended. Quantities, dwell times and
    ratings are not in a history, so purchases count as one each, and the last two are unknown.
    """
    events = events_of(history, places, now)
    users = user_features(events, met(events, len(facts.price)), facts, math.nan if now is None else now)
    return HistoryFeatures(_stacked(users, USER_COLUMNS)[0], _pairs(events, facts, users))


def users_of(
    users: NDArray[np.int64],
    places: NDArray[np.int64],
    weights: NDArray[np.float64],
    ages: NDArray[np.float64],
    kinds: NDArray[np.int8],
    newest: NDArray[np.float64],
    facts: ItemFacts,
) -> NDArray[np.float32]:
    """(n_users, f) float32 rows as `of_history` gives them at each user's newest event, of many users.

    users, places (m,) int64 of the events; weights (m,) float64, signed; ages (m,) float64 days before the user's newest
    event; kinds (m,) int8 places in EVENT_TYPES, -1 where the type is not known: then nothing about types is known of this
    user. newest (n_users,) float64 epoch seconds of the newest event, NaN where it is not known: then nothing about time is.
    """
    n = len(newest)
    timed = ~np.isnan(newest)
    typed = np.bincount(users[kinds < 0], minlength=n) == 0
    rows = np.full((n, len(USER_COLUMNS)), np.nan, np.float32)
    for when, what in ((True, True), (True, False), (False, True), (False, False)):
        mine = (timed == when) & (typed == what)
        if not mine.any():
            continue
        own, place = mine[users], np.cumsum(mine) - 1
        events = of_histories(
            place[users[own]],
            places[own],
            weights[own],
            ages[own] if when else None,
            kinds[own] if what else None,
            int(mine.sum()),
        )
        found = user_features(events, met(events, len(facts.price)), facts, newest[mine])
        rows[mine] = _stacked(found, USER_COLUMNS)
    return rows


def _pairs(events: Events, facts: ItemFacts, users: Mapping[str, Floats]) -> Pairs:
    return Pairs.of(events, facts, users["price"], users["price_spread"])


def _stacked(found: Mapping[str, Floats], columns: tuple[Column, ...]) -> NDArray[np.float32]:
    return np.stack([found[name] for name in names(columns)], axis=1).astype(np.float32)
