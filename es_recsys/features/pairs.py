"""The features of pairs of a user and an item, looked up for any pairs at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from es_recsys.features.columns import PAIR_COLUMNS, names
from es_recsys.features.events import Events
from es_recsys.features.facts import ItemFacts
from es_recsys.features.sums import counts, least, total

__all__ = ["Pairs"]

Floats = NDArray[np.float64]
# Prices that a user met vary at least so much (log1p), however few there are.
_SPREAD_LEAST = 0.2


@dataclass(frozen=True, slots=True, eq=False)
class _Cells:
    """Values of the cells of a sparse matrix: keys (k,) int64 row * width + column, ascending; columns of values (k,)."""

    keys: NDArray[np.int64]
    width: int
    columns: tuple[Floats, ...]

    def at(self, rows: NDArray[np.int64], columns: NDArray[np.int64], missing: tuple[float, ...]) -> tuple[Floats, ...]:
        """Each of the values at (rows, columns), `missing` where there is no cell."""
        wanted = np.where(columns < 0, -1, rows * self.width + columns)
        if not len(self.keys):
            return tuple(np.full(len(wanted), value) for value in missing)
        place = np.minimum(np.searchsorted(self.keys, wanted), len(self.keys) - 1)
        found = self.keys[place] == wanted
        return tuple(np.where(found, values[place], value) for values, value in zip(self.columns, missing, strict=True))


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """Looks up PAIR_COLUMNS; made of events, prices (n_users, 2): mean and deviation of log1p(price)."""

    facts: ItemFacts
    items: _Cells
    departments: _Cells
    categories: _Cells
    brands: _Cells
    prices: Floats

    @classmethod
    def of(cls, events: Events, facts: ItemFacts, price: Floats, spread: Floats) -> Pairs:
        liked = events.positive
        users, items = events.users[liked], events.items[liked]
        weights, ages = (events.weights * events.decay)[liked], events.ages[liked]
        return cls(
            facts,
            _met(events, len(facts.price)),
            _affinities(users, facts.department[items], weights, ages, events.n_users),
            _affinities(users, facts.category[items], weights, ages, events.n_users),
            _affinities(users, facts.brand[items], weights, ages, events.n_users),
            np.stack([price, np.maximum(spread, _SPREAD_LEAST)], axis=1),
        )

    def __call__(self, users: NDArray[np.int64], items: NDArray[np.int64]) -> NDArray[np.float32]:
        """(m, p) float32 of the pairs (users[i], items[i]), by place."""
        users, items = np.asarray(users, np.int64), np.asarray(items, np.int64)
        facts = self.facts
        events, since, weight = self.items.at(users, items, (0.0, np.nan, 0.0))
        category, category_since = self.categories.at(users, facts.category[items], (0.0, np.nan))
        mean, deviation = self.prices[users].T
        above = (facts.price[items] - mean) / deviation
        found = {
            "events": events,
            "since": since,
            "weight": weight,
            "department_affinity": self.departments.at(users, facts.department[items], (0.0, np.nan))[0],
            "category_affinity": category,
            "brand_affinity": self.brands.at(users, facts.brand[items], (0.0, np.nan))[0],
            "category_since": category_since,
            "price_above": above,
            "price_distance": np.abs(above),
        }
        return np.stack([found[name] for name in names(PAIR_COLUMNS)], axis=1).astype(np.float32)


def _met(events: Events, n_items: int) -> _Cells:
    keys, inverse = np.unique(events.users * max(n_items, 1) + events.items, return_inverse=True)
    liked = counts(inverse[events.positive], len(keys))
    since = least(inverse, events.ages, len(keys))
    return _Cells(keys, max(n_items, 1), (liked, since, total(inverse, events.weights * events.decay, len(keys))))


def _affinities(users: NDArray[np.int64], codes: NDArray[np.int64], weights: Floats, ages: Floats, n: int) -> _Cells:
    """Shares of each user's weight by code, and days since the newest event of each."""
    whole = total(users, weights, n)
    known = codes >= 0
    users, codes, weights, ages = users[known], codes[known], weights[known], ages[known]
    width = int(codes.max(initial=0)) + 1
    keys, inverse = np.unique(users * width + codes, return_inverse=True)
    shares = total(inverse, weights, len(keys)) / whole[keys // width]
    return _Cells(keys, width, (shares, least(inverse, ages, len(keys))))
