"""Event types, one row each: how strongly an event speaks for or against an item.

A new event type is a new row.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

__all__ = ["EVENT_TYPES", "EventType", "event_weight"]


@dataclass(frozen=True, slots=True)
class EventType:
    """An event type and its default weight.

    weight: strength of the preference, a view being 1 (>= 0). half_life: days after which the weight counts half in the
    long-term taste. sign: +1 liked, -1 disliked, 0 says nothing about the item by itself (a search).
    value: how `Event.value` changes the weight: "none" ignores it, "rating" reads 1..5 with 3 neutral, "seconds" reads a
    dwell time that saturates at a minute, "quantity" grows with the logarithm of the amount, "flag" takes it back with 0.
    counts_as_seen: whether `recommend` leaves out items with a positive event of this type.
    target: what `Event.item_id` names: an "item", or an "author", whose items are shown sooner (sign +1) or left out (-1).
    shown: whether the item was only shown. All that was passed over moves a taste a little away, by a bounded part of it
    (`MAX_PASSED_OVER`, events/profiles.py).
    """

    name: str
    weight: float
    half_life: float
    sign: int
    value: str = "none"
    counts_as_seen: bool = True
    target: str = "item"
    shown: bool = False

    @property
    def is_opinion(self) -> bool:
        """Whether it says what a user thinks of an item: then histories, popularity, features and models read it."""
        return self.sign != 0 and self.target == "item" and not self.shown


_ROWS = (
    EventType("view", 1.0, 30.0, 1),
    EventType("click", 1.0, 30.0, 1),
    EventType("search", 0.5, 14.0, 0, counts_as_seen=False),
    EventType("dwell", 1.0, 30.0, 1, value="seconds"),
    EventType("cart", 3.0, 60.0, 1, value="quantity"),
    EventType("purchase", 5.0, 120.0, 1, value="quantity"),
    EventType("like", 3.0, 90.0, 1),
    EventType("dislike", 3.0, 90.0, -1, counts_as_seen=False),
    EventType("share", 4.0, 90.0, 1),
    EventType("rating", 3.0, 120.0, 1, value="rating"),
    EventType("impression", 0.02, 30.0, -1, counts_as_seen=False, shown=True),
    EventType("follow", 3.0, 120.0, 1, value="flag", counts_as_seen=False, target="author"),
    EventType("mute", 3.0, 120.0, -1, value="flag", counts_as_seen=False, target="author"),
    EventType("hide", 2.0, 90.0, -1, counts_as_seen=False),
    EventType("report", 5.0, 120.0, -1, counts_as_seen=False),
)

EVENT_TYPES: Mapping[str, EventType] = MappingProxyType({row.name: row for row in _ROWS})


def event_weight(event_type: str, value: float | None = None, weights: Mapping[str, float] | None = None) -> float:
    """Return the signed weight of one event before any decay; 0 where it says nothing about the item.

    weights: event type -> weight (>= 0) in place of the default, as tuning chose them for a store.
    Raises KeyError for a type that has no row.
    """
    row = EVENT_TYPES[event_type]
    weight = (weights or {}).get(event_type, row.weight)
    if row.value == "rating":
        return weight * (min(max(3.0 if value is None else value, 1.0), 5.0) - 3.0) / 2.0
    scale = 1.0
    if row.value == "seconds":
        scale = min(max(value or 0.0, 0.0), 60.0) / 60.0
    elif row.value == "quantity" and value is not None and value > 1.0:
        scale = 1.0 + math.log2(min(value, 1024.0)) / 10.0
    elif row.value == "flag" and value == 0.0:
        scale = 0.0
    return row.sign * weight * scale
