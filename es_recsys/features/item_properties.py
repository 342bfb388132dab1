"""What the features of users and pairs read of the items: a few arrays that can be saved and memory-mapped."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from es_recsys.dataset import ItemTable
from es_recsys.features.aggregates import percentile_ranks, total
from es_recsys.features.events import Events

__all__ = ["ItemProperties", "compute_item_properties"]


@dataclass(frozen=True, slots=True, eq=False)
class ItemProperties:
    """Properties of each of n items, as of a moment.

    price (n,) float64 log1p, NaN for none; price_level (n,) float64, its percentile rank within the innermost category;
    department, category, brand (n,) int64 codes of the outermost and the innermost category and of the brand, -1 for none;
    created (n,) float64 epoch seconds, NaN for none; level (n,) float64, percentile rank by popularity, 0 without an event;
    rates (2,) float64: the share of all (user, item) pairs that came to a purchase, and to a cart or a purchase.
    """

    price: NDArray[np.float64]
    price_level: NDArray[np.float64]
    department: NDArray[np.int64]
    category: NDArray[np.int64]
    brand: NDArray[np.int64]
    created: NDArray[np.float64]
    level: NDArray[np.float64]
    rates: NDArray[np.float64]

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return what `from_arrays` reads back. Saved stores have the arrays under this prefix."""
        return {f"facts_{field.name}": getattr(self, field.name) for field in fields(self)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        return cls(**{field.name: arrays[f"facts_{field.name}"] for field in fields(cls)})


def compute_item_properties(
    events: Events, items: ItemTable | None, item_idx: NDArray[np.int64], n: int, now: float, rates: NDArray[np.float64]
) -> ItemProperties:
    """Return the properties as of `now`. item_idx: of the rows of `items` among the n items."""
    price, created = np.full(n, np.nan), np.full(n, np.nan)
    department, category, brand = (np.full(n, -1, np.int64) for _ in range(3))
    if items is not None:
        price[item_idx] = np.log1p(items.prices)
        created[item_idx] = items.created
        department[item_idx] = _codes([path[0] if path else "" for path in items.categories])
        category[item_idx] = _codes(["\0".join(path) for path in items.categories])
        brand[item_idx] = _codes(list(items.brands))
    liked = events.positive
    popularity = total(events.items[liked], (events.weights * events.decay)[liked], n)
    # What is created later says nothing yet of what is dear and what is not.
    there = ~(created > now)
    level = percentile_ranks(popularity, np.zeros(n, np.int64), popularity > 0)
    return ItemProperties(
        price,
        percentile_ranks(price, category, there),
        department,
        category,
        brand,
        created,
        np.where(popularity > 0, level, 0.0),
        rates,
    )


def _codes(values: list[str]) -> NDArray[np.int64]:
    """Return the values numbered in their order, -1 for an empty one."""
    known = {value: code for code, value in enumerate(sorted(set(values) - {""}))}
    return np.array([known.get(value, -1) for value in values], np.int64)
