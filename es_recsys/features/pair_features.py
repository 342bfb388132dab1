"""The features of pairs of a user and an item, computed for any pairs at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from es_recsys.features.aggregates import counts, minimum, total
from es_recsys.features.columns import PAIR_COLUMNS, column_names
from es_recsys.features.events import Events
from es_recsys.features.item_properties import ItemProperties

__all__ = ["PairFeatures"]

Floats = NDArray[np.float64]
# Prices of a user's items vary at least so much (log1p), however few there are.
_MIN_SPREAD = 0.2


@dataclass(frozen=True, slots=True, eq=False)
class _SparseMatrix:
    """Values of the cells of a sparse matrix: keys (k,) int64 row * width + column, ascending; columns of values (k,)."""

    keys: NDArray[np.int64]
    width: int
    columns: tuple[Floats, ...]

    def lookup(self, rows: NDArray[np.int64], columns: NDArray[np.int64], missing: tuple[float, ...]) -> tuple[Floats, ...]:
        """Return each of the values at (rows, columns), `missing` where there is no cell."""
        keys = np.where(columns < 0, -1, rows * self.width + columns)
        if not len(self.keys):
            return tuple(np.full(len(keys), value) for value in missing)
        index = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        found = self.keys[index] == keys
        return tuple(np.where(found, values[index], value) for values, value in zip(self.columns, missing, strict=True))


@dataclass(frozen=True, slots=True, eq=False)
class PairFeatures:
    """Computes PAIR_COLUMNS of given pairs. prices (n_users, 2): mean and deviation of log1p(price) of each user."""

    properties: ItemProperties
    items: _SparseMatrix
    departments: _SparseMatrix
    categories: _SparseMatrix
    brands: _SparseMatrix
    prices: Floats

    @classmethod
    def of(cls, events: Events, properties: ItemProperties, price: Floats, spread: Floats) -> PairFeatures:
        liked = events.positive
        users, items = events.users[liked], events.items[liked]
        weights, ages = (events.weights * events.decay)[liked], events.ages[liked]
        return cls(
            properties,
            _cells_of_pairs(events, len(properties.price)),
            _affinities(users, properties.department[items], weights, ages, events.n_users),
            _affinities(users, properties.category[items], weights, ages, events.n_users),
            _affinities(users, properties.brand[items], weights, ages, events.n_users),
            np.stack([price, np.maximum(spread, _MIN_SPREAD)], axis=1),
        )

    def __call__(self, users: NDArray[np.int64], items: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return (m, p) float32 of the pairs (users[i], items[i]), by index."""
        users, items = np.asarray(users, np.int64), np.asarray(items, np.int64)
        properties = self.properties
        events, since, weight = self.items.lookup(users, items, (0.0, np.nan, 0.0))
        category, category_since = self.categories.lookup(users, properties.category[items], (0.0, np.nan))
        mean, deviation = self.prices[users].T
        above = (properties.price[items] - mean) / deviation
        found = {
            "events": events,
            "since": since,
            "weight": weight,
            "department_affinity": self.departments.lookup(users, properties.department[items], (0.0, np.nan))[0],
            "category_affinity": category,
            "brand_affinity": self.brands.lookup(users, properties.brand[items], (0.0, np.nan))[0],
            "category_since": category_since,
            "price_above": above,
            "price_distance": np.abs(above),
        }
        return np.stack([found[name] for name in column_names(PAIR_COLUMNS)], axis=1).astype(np.float32)


def _cells_of_pairs(events: Events, n_items: int) -> _SparseMatrix:
    keys, inverse = np.unique(events.users * max(n_items, 1) + events.items, return_inverse=True)
    liked = counts(inverse[events.positive], len(keys))
    since = minimum(inverse, events.ages, len(keys))
    return _SparseMatrix(keys, max(n_items, 1), (liked, since, total(inverse, events.weights * events.decay, len(keys))))


def _affinities(users: NDArray[np.int64], codes: NDArray[np.int64], weights: Floats, ages: Floats, n: int) -> _SparseMatrix:
    """Return shares of each user's weight by code, and days since the newest event of each."""
    whole = total(users, weights, n)
    known = codes >= 0
    users, codes, weights, ages = users[known], codes[known], weights[known], ages[known]
    width = int(codes.max(initial=0)) + 1
    keys, inverse = np.unique(users * width + codes, return_inverse=True)
    shares = total(inverse, weights, len(keys)) / whole[keys // width]
    return _SparseMatrix(keys, width, (shares, minimum(inverse, ages, len(keys))))
