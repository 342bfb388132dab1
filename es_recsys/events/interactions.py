"""Clean events as arrays for the models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from es_recsys.dataset import Interactions
from es_recsys.errors import InputError
from es_recsys.event_types import EVENT_TYPES, event_weight
from es_recsys.events.actors import user_of
from es_recsys.events.columns import LabelEncoder, read_columns
from es_recsys.events.event_arrays import EventArrays
from es_recsys.events.event_reader import type_column, value_column
from es_recsys.events.schema import EVENTS
from es_recsys.events.store import EventStore

__all__ = ["read_interactions", "reweight", "to_interactions"]

_TYPE_CODES = {name: number for number, name in enumerate(EVENT_TYPES)}


def read_interactions(
    store: EventStore,
    now: float | None = None,
    event_types: Sequence[str] | None = None,
    weights: Mapping[str, float] | None = None,
    products: Mapping[str, str] | None = None,
) -> Interactions:
    """Return what the store's events say of items, one row each, without those that are set aside or of weight 0.

    now: epoch seconds; later events are left out (None: none; without effect where the store has no time).
    event_types: only these (None: all). weights: the store's own (see `event_weight`). products: item_id -> group_id of
    variants, whose events are those of their product. An anonymous session is a user of its own, named "session:" and its id.
    Takes about 45 bytes of memory an event, and the ids once.
    """
    timed = store.timed
    when = sa.func.coalesce(EVENTS.c.time, EVENTS.c.received_at) if timed else EVENTS.c.order
    event, scale = EVENTS.c, store.rating_scale
    opinions = [name for name in (event_types or EVENT_TYPES) if EVENT_TYPES[name].is_opinion]
    conditions: list[sa.ColumnElement[bool]] = [
        event.quarantine.is_(None),
        event.item_id.is_not(None),
        type_column(scale).in_(opinions),
    ]
    if timed and now is not None:
        conditions.append(event.time <= now)
    actors, items, weigh = LabelEncoder(), LabelEncoder(), _EventWeights(weights)
    parts: list[tuple[NDArray[Any], ...]] = []
    columns = [event.actor, event.item_id, type_column(scale), value_column(store.store, scale), when]
    for _, actor, item, kind, value, time in read_columns(store, columns, *conditions):
        part = (
            actors.encode(actor),
            items.encode(item),
            weigh.of(kind, value),
            np.array(time, np.float64),
            np.fromiter(map(_TYPE_CODES.__getitem__, kind), np.int8, len(kind)),
            np.array(value, np.float32),  # None becomes NaN
        )
        kept = part[2] != 0.0
        parts.append(tuple(array[kept] for array in part))
    return _sorted(actors.values, items.values, parts, timed, products)


def to_interactions(
    events: EventArrays, timed: bool, now: float, weights: Mapping[str, float] | None, products: Mapping[str, str] | None
) -> Interactions:
    """Return what `read_interactions` reads, of all types, of events that are read already. timed: whether they have times."""
    opinion = np.array([EVENT_TYPES[event_type].is_opinion for event_type, _ in events.readings], np.bool_)
    types = np.array([_TYPE_CODES[event_type] for event_type, _ in events.readings], np.int8)
    values = np.array([np.nan if value is None else value for _, value in events.readings], np.float32)
    on_item = np.array([item is not None for item in events.items], np.bool_)
    weight = events.weights(weights).astype(np.float32)
    kept = events.counts & on_item[events.item] & opinion[events.reading] & (weight != 0.0)
    if timed:
        kept &= events.time <= now
    reading = events.reading[kept]
    part = (events.actor[kept], events.item[kept], weight[kept], events.time[kept], types[reading], values[reading])
    return _sorted(events.actors, [item or "" for item in events.items], [part], timed, products)


def reweight(data: Interactions, weights: Mapping[str, float]) -> Interactions:
    """Return the same events with the weights that `read_interactions` would give them.

    Those that weigh 0 now stay in. Raises InputError where it is not known what the events were.
    """
    if data.type_idx is None or data.values is None:
        raise InputError("It is not known what these events were.", "Take the interactions of an event store.")
    pairs = np.stack([data.type_idx.astype(np.float64), np.nan_to_num(data.values.astype(np.float64), nan=-np.inf)], axis=1)
    distinct, inverse = np.unique(pairs, axis=0, return_inverse=True)
    found = [
        event_weight(data.event_types[int(kind)], None if value == -np.inf else value, weights)
        for kind, value in distinct.tolist()
    ]
    return replace(data, weights=np.array(found, np.float32)[inverse.reshape(-1)])


class _EventWeights:
    """Signed weights; there are few distinct (type, value) pairs, so each is worked out once."""

    def __init__(self, weights: Mapping[str, float] | None) -> None:
        self._weights = weights
        self._known: dict[tuple[str, float | None], float] = {}

    def of(self, event_types: tuple[str, ...], values: tuple[float | None, ...]) -> NDArray[np.float32]:
        pairs = list(zip(event_types, values, strict=True))
        for pair in set(pairs).difference(self._known):
            self._known[pair] = event_weight(*pair, self._weights)
        return np.fromiter(map(self._known.__getitem__, pairs), np.float32, len(pairs))


def _sorted(
    actors: list[str],
    items: list[str],
    parts: list[tuple[NDArray[Any], ...]],
    timed: bool,
    products: Mapping[str, str] | None,
) -> Interactions:
    """Return the interactions: ids in their order, rows by user and time.

    Rows of equal time are sorted as in `HistoryEntry.sort_key`.
    """
    names = [user if (user := user_of(actor)) is not None else f"session:{actor[2:]}" for actor in actors]
    types = (np.int32, np.int32, np.float32, np.float64, np.int8, np.float32)
    users, things, weights, times, type_idx, values = (
        np.concatenate([np.zeros(0, dtype), *(part[i] for part in parts)]) for i, dtype in enumerate(types)
    )
    parts.clear()
    users, user_ids = _in_order(users, names)
    if products:
        things, items = _by_product(things, items, products)
    things, item_ids = _in_order(things, items)
    order = np.lexsort((weights, things, type_idx, times, users))
    return Interactions(
        user_ids,
        item_ids,
        users[order],
        things[order],
        weights[order],
        times[order],
        timed,
        type_idx[order],
        tuple(EVENT_TYPES),
        values[order],
    )


def _in_order(codes: NDArray[np.int32], names: list[str]) -> tuple[NDArray[np.int32], NDArray[np.str_]]:
    """Return codes and names re-numbered by name, as a LabelEncoder does, without names that no row uses."""
    used = np.flatnonzero(np.bincount(codes, minlength=len(names)))
    order = sorted(used.tolist(), key=names.__getitem__)
    renumbered = np.zeros(len(names), np.int32)
    renumbered[order] = np.arange(len(order), dtype=np.int32)
    ids = np.array([names[code] for code in order], dtype=np.str_)
    return renumbered[codes], ids


def _by_product(
    codes: NDArray[np.int32], item_ids: list[str], products: Mapping[str, str]
) -> tuple[NDArray[np.int32], list[str]]:
    """Return the same rows with the products of items, each product once."""
    codes_of: dict[str, int] = {}
    for item_id in item_ids:
        codes_of.setdefault(products.get(item_id, item_id), len(codes_of))
    renumbered = np.array([codes_of[products.get(item_id, item_id)] for item_id in item_ids], np.int32)
    return renumbered[codes], list(codes_of)
