"""The features of users."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from es_recsys.features.aggregates import count_distinct, counts, mean, minimum, ratio, total, trend
from es_recsys.features.columns import SLOW_HALF_LIFE
from es_recsys.features.events import Events
from es_recsys.features.item_properties import ItemProperties
from es_recsys.features.user_item_pairs import UserItemPairs, smoothed

__all__ = ["MAX_DWELL_S", "compute_user_features"]

MAX_DWELL_S = 3_600.0
_MAX_QUANTITY = 1_024.0
_DAY = 86_400.0
Floats = NDArray[np.float64]


def compute_user_features(
    events: Events, pairs: UserItemPairs, properties: ItemProperties, now: float | Floats
) -> dict[str, Floats]:
    """Return name of USER_COLUMNS -> (n_users,) float64.

    now: epoch seconds, one for all or (n_users,), NaN where there is no time.
    """
    return {**_rhythm(events, pairs), **_outcomes(events, pairs, properties), **_tastes(events, properties, now)}


def _rhythm(events: Events, pairs: UserItemPairs) -> dict[str, Floats]:
    n, users, ages = events.n_users, events.users, events.ages
    timed = not np.isnan(ages).any()
    liked = events.positive
    decayed = total(users, events.decay, n)
    return {
        "recency": minimum(users, ages, n),
        "tenure": -minimum(users, -ages, n),
        "active_days": count_distinct(users, ages.astype(np.int64), n) if timed else np.full(n, np.nan),
        "events": counts(users, n),
        "frequency": math.log(2.0) / SLOW_HALF_LIFE * decayed if timed else np.full(n, np.nan),
        "trend": trend(users, ages, np.ones(len(ages)), n),
        "items": counts(pairs.users, n),
        "repeats": 1.0 - ratio(counts(pairs.users, n), counts(users[liked], n)),
        "strength": total(users[liked], (events.weights * events.decay)[liked], n),
    }


def _outcomes(events: Events, pairs: UserItemPairs, properties: ItemProperties) -> dict[str, Floats]:
    n, users = events.n_users, events.users
    unknown = np.full(n, np.nan)
    purchased, dwelt, rated = (events.of_type(name) for name in ("purchase", "dwell", "rating"))
    found = {
        "dislikes": ratio(counts(users[events.weights < 0], n), counts(users, n)),
        "dwell": unknown if dwelt is None else _mean_value(events, dwelt, MAX_DWELL_S),
        "rating": unknown if rated is None else _mean_value(events, rated, 5.0),
    }
    if purchased is None:
        return {**found, **dict.fromkeys(("purchases", "value", "order_value", "conversion", "cart_rate"), unknown)}
    quantity = np.clip(np.nan_to_num(events.values[purchased], nan=1.0), 1.0, _MAX_QUANTITY)
    spent = np.expm1(properties.price[events.items[purchased]]) * quantity
    priced = ~np.isnan(spent)
    buyers = users[purchased][priced]
    value, orders = total(buyers, spent[priced], n), counts(buyers, n)
    return {
        **found,
        "purchases": counts(users[purchased], n),
        "value": np.where(orders > 0, value, np.nan),
        "order_value": ratio(value, orders),
        "conversion": smoothed(pairs.users, pairs.purchased, float(properties.rates[0]), n),
        "cart_rate": smoothed(pairs.users, pairs.carted, float(properties.rates[1]), n),
    }


def _tastes(events: Events, properties: ItemProperties, now: float | Floats) -> dict[str, Floats]:
    n, liked = events.n_users, events.positive
    users, items = events.users[liked], events.items[liked]
    weights = (events.weights * events.decay)[liked]
    prices = properties.price[items]
    price = mean(users, prices, weights, n)
    variance = mean(users, prices**2, weights, n) - price**2
    # The item's age at the event: its age now less that of the event.
    age_at_event = (np.broadcast_to(now, n)[users] - properties.created[items]) / _DAY - events.ages[liked]
    departments, top_category = (
        _shares(users, properties.department[items], weights, n),
        _shares(users, properties.category[items], weights, n),
    )
    return {
        "price": price,
        "price_spread": np.sqrt(np.maximum(variance, 0.0)),
        "price_level": mean(users, properties.price_level[items], weights, n),
        "popularity": mean(users, properties.level[items], weights, n),
        "freshness": mean(users, np.where(age_at_event < 0, np.nan, age_at_event), np.ones(len(age_at_event)), n),
        "breadth": _entropy(*departments, n, int(properties.department.max(initial=-1)) + 1),
        "top_category": _largest(*top_category, n),
        "top_brand": _largest(*_shares(users, properties.brand[items], weights, n), n),
    }


def _mean_value(events: Events, kind: NDArray[np.bool_], upper: float) -> Floats:
    values = np.clip(events.values[kind], 0.0, upper)
    return mean(events.users[kind], values, np.ones(len(values)), events.n_users)


def _shares(users: NDArray[np.int64], codes: NDArray[np.int64], weights: Floats, n: int) -> tuple[NDArray[np.int64], Floats]:
    """Return (users, shares) of the weight that each user has in each code."""
    known = codes >= 0
    users, codes, weights = users[known], codes[known], weights[known]
    width = int(codes.max(initial=0)) + 1
    cell, inverse = np.unique(users * width + codes, return_inverse=True)
    sums = total(inverse, weights, len(cell))
    owners = cell // width
    return owners, sums / total(owners, sums, n)[owners]


def _entropy(owners: NDArray[np.int64], shares: Floats, n: int, codes: int) -> Floats:
    summed = total(owners, -shares * np.log(np.maximum(shares, 1e-300)), n)
    return np.where(counts(owners, n) > 0, summed / math.log(max(codes, 2)), np.nan)


def _largest(owners: NDArray[np.int64], shares: Floats, n: int) -> Floats:
    return -minimum(owners, -shares, n)
