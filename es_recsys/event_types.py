"""One row an event type: what it says about a person's taste. A new event type is a new row."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

__all__ = ["BEHAVIOURS", "Behaviour", "event_weight"]


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What one event of a type is worth.

    weight: strength of the sign of taste, a view being 1 (>= 0).
    half_life: days after which the weight counts half in the long-term taste.
    sign: +1 liked, -1 disliked, 0 says nothing about the item by itself (a search).
    value: how `Event.value` changes the weight: "none" ignores it, "rating" reads 1..5 with 3 neutral,
        "seconds" reads a dwell time that saturates at a minute, "quantity" grows with the logarithm of the amount.
    known: whether a positive event of this type makes the item known to the user, so `recommend` leaves it out.
    """

    name: str
    weight: float
    half_life: float
    sign: int
    value: str = "none"
    known: bool = True


_ROWS = (
    Behaviour("view", 1.0, 30.0, 1),
    Behaviour("click", 1.0, 30.0, 1),
    Behaviour("search", 0.5, 14.0, 0, known=False),
    Behaviour("dwell", 1.0, 30.0, 1, value="seconds"),
    Behaviour("cart", 3.0, 60.0, 1, value="quantity"),
    Behaviour("purchase", 5.0, 120.0, 1, value="quantity"),
    Behaviour("like", 3.0, 90.0, 1),
    Behaviour("dislike", 3.0, 90.0, -1, known=False),
    Behaviour("share", 4.0, 90.0, 1),
    Behaviour("rating", 3.0, 120.0, 1, value="rating"),
)

BEHAVIOURS: Mapping[str, Behaviour] = MappingProxyType({row.name: row for row in _ROWS})


def event_weight(event_type: str, value: float | None = None, weights: Mapping[str, float] | None = None) -> float:
    """Signed weight of one event, before any decay; 0 where it says nothing of the item.

    weights: event type -> weight (>= 0) in place of the row's own, as a store has tuned them.
    Raises KeyError for a type that has no row.
    """
    row = BEHAVIOURS[event_type]
    weight = (weights or {}).get(event_type, row.weight)
    if row.value == "rating":
        return weight * (min(max(3.0 if value is None else value, 1.0), 5.0) - 3.0) / 2.0
    scale = 1.0
    if row.value == "seconds":
        scale = min(max(value or 0.0, 0.0), 60.0) / 60.0
    elif row.value == "quantity" and value is not None and value > 1.0:
        scale = 1.0 + math.log2(min(value, 1024.0)) / 10.0
    return row.sign * weight * scale
