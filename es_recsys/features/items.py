"""The features of items."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from es_recsys.features.events import Events
from es_recsys.features.facts import ItemFacts
from es_recsys.features.met import Met, smoothed
from es_recsys.features.sums import counts, least, levels, mean, ratio, surplus, total
from es_recsys.features.users import DWELL_MOST

__all__ = ["item_features"]

_DAY = 86_400.0
Floats = NDArray[np.float64]


def item_features(events: Events, pairs: Met, facts: ItemFacts, now: float) -> dict[str, Floats]:
    """Name of ITEM_COLUMNS -> (n_items,) float64. now: epoch seconds, NaN where there is no time."""
    n, liked = len(facts.price), events.positive
    items, weights = events.items[liked], events.weights[liked]
    popularity = total(items, weights * events.decay[liked], n)
    number, users = counts(items, n), counts(pairs.items, n)
    age = (now - facts.created) / _DAY
    bought = events.kinds("purchase")
    return {
        "events": number,
        "users": users,
        "popularity": popularity,
        "popularity_level": facts.level,
        "trend": surplus(items, events.ages[liked], weights, n),
        "recency": least(items, events.ages[liked], n),
        "age": np.where(age < 0, np.nan, age),
        "purchases": np.full(n, np.nan) if bought is None else counts(events.items[bought], n),
        "conversion": smoothed(pairs.items, pairs.bought, float(facts.rates[0]), n),
        "cart_rate": smoothed(pairs.items, pairs.wanted, float(facts.rates[1]), n),
        "dwell": _mean_value(events, "dwell", DWELL_MOST, n),
        "rating": _mean_value(events, "rating", 5.0, n),
        "dislikes": ratio(counts(events.items[events.weights < 0], n), counts(events.items, n)),
        "loyalty": ratio(number, users),
        "price": facts.price,
        "price_level": facts.price_level,
        "category_level": np.where(popularity > 0, levels(popularity, facts.category, popularity > 0), 0.0),
    }


def _mean_value(events: Events, name: str, most: float, n: int) -> Floats:
    kind = events.kinds(name)
    if kind is None:
        return np.full(n, np.nan)
    values = np.clip(events.values[kind], 0.0, most)
    return mean(events.items[kind], values, np.ones(len(values)), n)
