"""The events of a store as arrays, as cleaning leaves them, for what is made of all of them: popularity, profiles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from es_recsys.event_types import event_weight
from es_recsys.events.log_position import LogPosition

__all__ = ["EventArrays"]


@dataclass(frozen=True, slots=True, eq=False)
class EventArrays:
    """Events as arrays (n,), those of an actor together.

    actor, item, query, reading: codes, of `actors`, `items`, `queries` and `readings`; a reading is type and value as
    `RatingScale.read` gives them. time: `StoredEvent.time`; key: `StoredEvent.key` as a number. counts: whether it is not set
    aside; unknown: whether it is, as its item is not in the catalogue. position: how far the store's log was when they were so.
    since: where these are all events of the actors that had new ones since a position, that position, else None; counted: whether
    the event was there then, and counted.
    """

    row: NDArray[np.int64]
    actor: NDArray[np.int32]
    item: NDArray[np.int32]
    query: NDArray[np.int32]
    reading: NDArray[np.int32]
    time: NDArray[np.float64]
    key: NDArray[np.uint64]
    counts: NDArray[np.bool_]
    unknown: NDArray[np.bool_]
    actors: list[str]
    items: list[str | None]
    queries: list[str | None]
    readings: list[tuple[str, float | None]]
    position: LogPosition
    since: LogPosition | None
    counted: NDArray[np.bool_]

    def where(self, chosen: NDArray[np.bool_]) -> EventArrays:
        """Return some of the events, with the same codes."""
        names = ("row", "actor", "item", "query", "reading", "time", "key", "counts", "unknown", "counted")
        return replace(self, **{name: getattr(self, name)[chosen] for name in names})

    def ahead_of(self, now: float) -> bool:
        """Return whether an event that counts lies after `now` (epoch seconds)."""
        return bool((self.counts & (self.time > now)).any())

    def weights(self, weights: Mapping[str, float] | None = None) -> NDArray[np.float64]:
        """Return (n,) the signed weight of each event. weights: as `event_weight` has them."""
        found = np.array([event_weight(*reading, weights) for reading in self.readings], np.float64)
        return found[self.reading] if len(found) else found
