"""The arrays that models read: events, items, histories and profiles."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

__all__ = ["History", "Interactions", "ItemTable", "Profile", "Taste"]


@dataclass(frozen=True, slots=True, eq=False)
class Interactions:
    """Clean user-item events, as the models read them; sorted by user, then oldest first.

    Variants of a product are one item, named by their group_id.

    user_ids (n_users,) and item_ids (n_items,) str; users, items (n,) int32 index into them; weights (n,) float32,
    signed (event_types.py); times (n,) float64, epoch seconds, or the index in the user's sequence where `timed` is
    False.

    type_idx (n,) int8 index into event_types: what each event was; values (n,) float32: what it was worth by itself
    (quantity, rating, seconds; event_types.py), NaN for none. Both None where only the weights are known.
    """

    user_ids: NDArray[np.str_]
    item_ids: NDArray[np.str_]
    users: NDArray[np.int32]
    items: NDArray[np.int32]
    weights: NDArray[np.float32]
    times: NDArray[np.float64]
    timed: bool = True
    type_idx: NDArray[np.int8] | None = None
    event_types: tuple[str, ...] = ()
    values: NDArray[np.float32] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class ItemTable:
    """Content and attributes of n items, what is known of them besides behaviour, as the models read it; a row an item.

    item_ids (n,) str; texts: title, description and the like, "" for none; titles; categories: outermost first; brands,
    "" for none; prices (n,) float64, NaN for none; created (n,) float64 epoch seconds, NaN for none; vectors: field ->
    (n, d) float32 unit rows, a row of zeros where the item has none; attributes: "tags" and each attribute made of words ->
    the item's values, () for none.
    """

    item_ids: NDArray[np.str_]
    texts: Sequence[str]
    titles: Sequence[str]
    categories: Sequence[tuple[str, ...]]
    brands: Sequence[str]
    prices: NDArray[np.float64]
    created: NDArray[np.float64]
    vectors: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    attributes: Mapping[str, Sequence[tuple[str, ...]]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class History:
    """Events of one user, oldest first, as models read them.

    item_ids; weights (n,) float32, signed; ages (n,) float64: days before the newest (in events where there is no time).
    queries: what the user searched for, oldest first. event_types: of each, () where they are not known. newest: epoch
    seconds of the newest event, NaN where it is not known or there is no time.
    """

    item_ids: tuple[str, ...] = ()
    weights: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))
    ages: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0, np.float64))
    queries: tuple[str, ...] = ()
    event_types: tuple[str, ...] = ()
    newest: float = math.nan

    @classmethod
    def of(cls, item_ids: Sequence[str]) -> History:
        """Return a history of views without time, oldest first."""
        n = len(item_ids)
        return cls(tuple(item_ids), np.ones(n, np.float32), np.arange(n - 1, -1, -1, dtype=np.float64))


@dataclass(frozen=True, slots=True, eq=False)
class Taste:
    """Long- and short-term taste in one vector space: unit vectors (d,) float32, or None where nothing is known."""

    long: NDArray[np.float32] | None
    short: NDArray[np.float32] | None


@dataclass(frozen=True, slots=True, eq=False)
class Profile:
    """Profile of a user: what is known of them by their events.

    seen, disliked: ids of items. followed, muted: names of authors. affinities: "categories", "brand", "author", "tags" -> value
    -> share (sums to 1 a field). price: mean and spread of log1p(price). counts: events by type. strength: sum of absolute event
    weights. applied_through: the last row of the event store that is in it. updated_at: epoch seconds.
    """

    user_key: str
    history: History = field(default_factory=History)
    seen: frozenset[str] = frozenset()
    disliked: frozenset[str] = frozenset()
    followed: frozenset[str] = frozenset()
    muted: frozenset[str] = frozenset()
    tastes: Mapping[str, Taste] = field(default_factory=dict)
    affinities: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    price: tuple[float, float] | None = None
    queries: tuple[str, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    strength: float = 0.0
    applied_through: int = 0
    updated_at: float = 0.0
