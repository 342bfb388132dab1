"""The features of items."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from es_recsys.features.aggregates import counts, mean, minimum, percentile_ranks, ratio, total, trend
from es_recsys.features.events import Events
from es_recsys.features.item_properties import ItemProperties
from es_recsys.features.user_features import MAX_DWELL_S
from es_recsys.features.user_item_pairs import UserItemPairs, smoothed

__all__ = ["compute_item_features"]

_DAY = 86_400.0
Floats = NDArray[np.float64]


def compute_item_features(events: Events, pairs: UserItemPairs, properties: ItemProperties, now: float) -> dict[str, Floats]:
    """Return name of ITEM_COLUMNS -> (n_items,) float64. now: epoch seconds, NaN where there is no time."""
    n, liked = len(properties.price), events.positive
    items, weights = events.items[liked], events.weights[liked]
    popularity = total(items, weights * events.decay[liked], n)
    number, users = counts(items, n), counts(pairs.items, n)
    age = (now - properties.created) / _DAY
    purchased = events.of_type("purchase")
    return {
        "events": number,
        "users": users,
        "popularity": popularity,
        "popularity_level": properties.level,
        "trend": trend(items, events.ages[liked], weights, n),
        "recency": minimum(items, events.ages[liked], n),
        "age": np.where(age < 0, np.nan, age),
        "purchases": np.full(n, np.nan) if purchased is None else counts(events.items[purchased], n),
        "conversion": smoothed(pairs.items, pairs.purchased, float(properties.rates[0]), n),
        "cart_rate": smoothed(pairs.items, pairs.carted, float(properties.rates[1]), n),
        "dwell": _mean_value(events, "dwell", MAX_DWELL_S, n),
        "rating": _mean_value(events, "rating", 5.0, n),
        "dislikes": ratio(counts(events.items[events.weights < 0], n), counts(events.items, n)),
        "loyalty": ratio(number, users),
        "price": properties.price,
        "price_level": properties.price_level,
        "category_level": np.where(popularity > 0, percentile_ranks(popularity, properties.category, popularity > 0), 0.0),
    }


def _mean_value(events: Events, name: str, upper: float, n: int) -> Floats:
    kind = events.of_type(name)
    if kind is None:
        return np.full(n, np.nan)
    values = np.clip(events.values[kind], 0.0, upper)
    return mean(events.items[kind], values, np.ones(len(values)), n)
