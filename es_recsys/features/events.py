"""Events as the features read them: those up to a moment, with their ages in days."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from es_recsys.dataset import History, Interactions
from es_recsys.event_types import EVENT_TYPES
from es_recsys.features.columns import SLOW_HALF_LIFE

__all__ = ["Events", "events_of_histories", "events_of_history", "events_until"]

_DAY = 86_400.0


@dataclass(frozen=True, slots=True, eq=False)
class Events:
    """n events, in any order.

    users, items (n,) int64; weights (n,) float64, signed; ages (n,) float64 days before now, NaN where there is no time;
    decay (n,) float64: 2 ** (-age / 30 days), 1 where there is no time; of_type: event type -> (n,) bool, None where the types
    are not known; values (n,) float64, NaN for none. n_users: how many users there are.
    """

    users: NDArray[np.int64]
    items: NDArray[np.int64]
    weights: NDArray[np.float64]
    ages: NDArray[np.float64]
    decay: NDArray[np.float64]
    of_type: Callable[[str], NDArray[np.bool_] | None]
    values: NDArray[np.float64]
    n_users: int

    @property
    def positive(self) -> NDArray[np.bool_]:
        return self.weights > 0


def events_until(data: Interactions, item_idx: NDArray[np.int64], now: float) -> Events:
    """Return the events at or before `now`. item_idx (n_items,): of the items of `data` among all items."""
    there = data.times <= now if data.timed else np.ones(len(data.users), bool)
    ages = (now - data.times[there]) / _DAY if data.timed else np.full(int(there.sum()), np.nan)
    type_idx = None if data.type_idx is None else data.type_idx[there]
    values = np.full(len(ages), np.nan) if data.values is None else data.values[there].astype(np.float64)
    return Events(
        data.users[there].astype(np.int64),
        item_idx[data.items[there]],
        data.weights[there].astype(np.float64),
        ages,
        _decay(ages),
        _of_types(type_idx, data.event_types),
        values,
        len(data.user_ids),
    )


def events_of_history(history: History, item_idx: NDArray[np.int64], now: float | None) -> Events:
    """Return a history as the events of one user; items of item_idx -1 are left out.

    Ages are unknown where the history doesn't say when it ended.
    """
    there = item_idx >= 0
    since = math.nan if now is None else float(np.maximum(now - history.newest, 0.0)) / _DAY
    ages = np.asarray(history.ages, np.float64)[there] + since
    types = np.array(history.event_types, np.str_)[there] if history.event_types else None
    return Events(
        np.zeros(len(ages), np.int64),
        item_idx[there].astype(np.int64),
        np.asarray(history.weights, np.float64)[there],
        ages,
        _decay(ages),
        lambda name: None if types is None else types == name,
        np.full(len(ages), np.nan),
        1,
    )


def events_of_histories(
    users: NDArray[np.int64],
    item_idx: NDArray[np.int64],
    weights: NDArray[np.float64],
    ages: NDArray[np.float64] | None,
    type_idx: NDArray[np.int8] | None,
    n_users: int,
) -> Events:
    """Return histories of n users as events, each as of its newest event.

    ages: days before it, None where there is no time; type_idx: index into EVENT_TYPES, None where
    the types are not known.
    """
    unknown = np.full(len(item_idx), np.nan)
    since = unknown if ages is None else ages
    return Events(users, item_idx, weights, since, _decay(since), _of_types(type_idx, tuple(EVENT_TYPES)), unknown, n_users)


def _decay(ages: NDArray[np.float64]) -> NDArray[np.float64]:
    known = np.where(np.isnan(ages), 0.0, ages)
    result: NDArray[np.float64] = np.exp2(-known / SLOW_HALF_LIFE)
    return result


def _of_types(type_idx: NDArray[np.int8] | None, types: tuple[str, ...]) -> Callable[[str], NDArray[np.bool_] | None]:
    def of(name: str) -> NDArray[np.bool_] | None:
        if type_idx is None:
            return None
        return type_idx == types.index(name) if name in types else np.zeros(len(type_idx), bool)

    return of
