"""What a shopper wants, in secret: the truth that a recommender tries to find from events alone.

    utility(item, t) = 3.0 kind(t) + 1.0 brand + 0.6 colour + 1.2 style + 0.8 audience
                       - 2.0 |price level of the item - the shopper's| + 0.5 (rating - 4)

Each liking is in -1..1 and 0 where the shopper has none. Kinds drift: kind(t) goes in a straight line from the liking at
the first moment to the one at the last. A shopper who looked at items L buys item i of L with the probability
exp(utility(i) / TEMPERATURE) / (exp(NOTHING / TEMPERATURE) + sum over L), so the best answer is known.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from es_recsys.sample.items import price_level
from es_recsys.sample.kinds import kinds_by_leaf
from es_recsys.types import Item

__all__ = ["NOTHING", "TEMPERATURE", "Shopper", "Traits"]

TEMPERATURE = 0.5
NOTHING = 4.2

_WEIGHTS = {"kind": 3.0, "brand": 1.0, "colour": 0.6, "style": 1.2, "audience": 0.8}
_PRICE = 2.0
_RATING = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class Traits:
    """The attributes of n items that tastes depend on, in columns.

    names: trait -> its different values; codes: trait -> (n,) int64 into them; levels: (n,) float64, 0..1;
    ratings: (n,) float64. An unknown kind or price is at the middle level, an unknown rating is 4.
    """

    names: Mapping[str, tuple[str, ...]]
    codes: Mapping[str, NDArray[np.int64]]
    levels: NDArray[np.float64]
    ratings: NDArray[np.float64]

    @classmethod
    def of(cls, items: Sequence[Item]) -> Traits:
        names, codes = {}, {}
        for trait in _WEIGHTS:
            codes_of: dict[str, int] = {}
            codes[trait] = np.array([codes_of.setdefault(_trait(item, trait), len(codes_of)) for item in items], np.int64)
            names[trait] = tuple(codes_of)
        return cls(
            names, codes, np.array([_level(item) for item in items], np.float64), np.array([_rating(item) for item in items])
        )


@dataclass(frozen=True, slots=True, eq=False)
class Shopper:
    """Someone with hidden tastes.

    The mappings give a value's liking, -1..1; `kinds` at `start`, `later` at `end` (both epoch seconds). level: the price level
    they feel at home with, 0..1. visits: number of visits to the shop in 60 days.
    """

    user_id: str
    name: str
    persona: str
    kinds: Mapping[str, float]
    later: Mapping[str, float]
    brands: Mapping[str, float]
    colours: Mapping[str, float]
    styles: Mapping[str, float]
    audiences: Mapping[str, float]
    level: float
    visits: float
    start: float
    end: float

    def utility(self, items: Sequence[Item], at: datetime | None = None) -> NDArray[np.float64]:
        """Return (n,) float64, the module's formula; `at` is the moment, the last one unless given. Pure."""
        return self.utilities(Traits.of(items), self.end if at is None else at.timestamp())

    def utilities(self, traits: Traits, at: float) -> NDArray[np.float64]:
        """Return `utility` for columns made before, (n,) float64; `at` in epoch seconds."""
        total = _RATING * (traits.ratings - 4.0) - _PRICE * np.abs(traits.levels - self.level)
        preferences = {"kind": self.kinds_at(at), "brand": self.brands, "colour": self.colours}
        preferences |= {"style": self.styles, "audience": self.audiences}
        for trait, weight in _WEIGHTS.items():
            liking = np.array([preferences[trait].get(name, 0.0) for name in traits.names[trait]], np.float64)
            if liking.size:
                total = total + weight * liking[traits.codes[trait]]
        return total

    def part(self, at: float) -> float:
        """Return how much of the period has gone by, 0..1."""
        return min(max((at - self.start) / max(self.end - self.start, 1.0), 0.0), 1.0)

    def kinds_at(self, at: float) -> dict[str, float]:
        """Return the liking of each kind at a moment (epoch seconds)."""
        part = self.part(at)
        names = dict.fromkeys((*self.kinds, *self.later))
        return {name: (1.0 - part) * self.kinds.get(name, 0.0) + part * self.later.get(name, 0.0) for name in names}


def _trait(item: Item, trait: str) -> str:
    if trait == "kind":
        return item.categories[-1] if item.categories else ""
    if trait == "brand":
        return item.brand or ""
    return str(item.attributes.get(trait, ""))


def _level(item: Item) -> float:
    kind = kinds_by_leaf().get(item.categories[-1]) if item.categories else None
    return 0.5 if kind is None or item.price is None else price_level(item.price, kind)


def _rating(item: Item) -> float:
    rating = item.attributes.get("rating", 4.0)
    return float(rating) if isinstance(rating, int | float) else 4.0
