"""The features of users."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from es_recsys.features.columns import SLOW
from es_recsys.features.events import Events
from es_recsys.features.facts import ItemFacts
from es_recsys.features.met import Met, smoothed
from es_recsys.features.sums import counts, distinct, least, mean, ratio, surplus, total

__all__ = ["DWELL_MOST", "user_features"]

DWELL_MOST = 3_600.0
_QUANTITY_MOST = 1_024.0
_DAY = 86_400.0
Floats = NDArray[np.float64]


def user_features(events: Events, pairs: Met, facts: ItemFacts, now: float | Floats) -> dict[str, Floats]:
    """Name of USER_COLUMNS -> (n_users,) float64. now: epoch seconds, one for all or (n_users,), NaN where there is no time."""
    return {**_rhythm(events, pairs), **_outcomes(events, pairs, facts), **_tastes(events, facts, now)}


def _rhythm(events: Events, pairs: Met) -> dict[str, Floats]:
    n, users, ages = events.n_users, events.users, events.ages
    timed = not np.isnan(ages).any()
    liked = events.positive
    decayed = total(users, events.decay, n)
    return {
        "recency": least(users, ages, n),
        "tenure": -least(users, -ages, n),
        "active_days": distinct(users, ages.astype(np.int64), n) if timed else np.full(n, np.nan),
        "events": counts(users, n),
        "frequency": math.log(2.0) / SLOW * decayed if timed else np.full(n, np.nan),
        "trend": surplus(users, ages, np.ones(len(ages)), n),
        "items": counts(pairs.users, n),
        "repeats": 1.0 - ratio(counts(pairs.users, n), counts(users[liked], n)),
        "strength": total(users[liked], (events.weights * events.decay)[liked], n),
    }


def _outcomes(events: Events, pairs: Met, facts: ItemFacts) -> dict[str, Floats]:
    n, users = events.n_users, events.users
    unknown = np.full(n, np.nan)
    bought, dwelt, rated = (events.kinds(name) for name in ("purchase", "dwell", "rating"))
    found = {
        "dislikes": ratio(counts(users[events.weights < 0], n), counts(users, n)),
        "dwell": unknown if dwelt is None else _mean_value(events, dwelt, DWELL_MOST),
        "rating": unknown if rated is None else _mean_value(events, rated, 5.0),
    }
    if bought is None:
        return {**found, **dict.fromkeys(("purchases", "value", "order_value", "conversion", "cart_rate"), unknown)}
    quantity = np.clip(np.nan_to_num(events.values[bought], nan=1.0), 1.0, _QUANTITY_MOST)
    spent = np.expm1(facts.price[events.items[bought]]) * quantity
    priced = ~np.isnan(spent)
    buyers = users[bought][priced]
    value, orders = total(buyers, spent[priced], n), counts(buyers, n)
    return {
        **found,
        "purchases": counts(users[bought], n),
        "value": np.where(orders > 0, value, np.nan),
        "order_value": ratio(value, orders),
        "conversion": smoothed(pairs.users, pairs.bought, float(facts.rates[0]), n),
        "cart_rate": smoothed(pairs.users, pairs.wanted, float(facts.rates[1]), n),
    }


def _tastes(events: Events, facts: ItemFacts, now: float | Floats) -> dict[str, Floats]:
    n, liked = events.n_users, events.positive
    users, items = events.users[liked], events.items[liked]
    weights = (events.weights * events.decay)[liked]
    prices = facts.price[items]
    price = mean(users, prices, weights, n)
    variance = mean(users, prices**2, weights, n) - price**2
    # How old the item was when it was met: its age now less that of the event.
    met_at = (np.broadcast_to(now, n)[users] - facts.created[items]) / _DAY - events.ages[liked]
    departments, top_category = (
        _shares(users, facts.department[items], weights, n),
        _shares(users, facts.category[items], weights, n),
    )
    return {
        "price": price,
        "price_spread": np.sqrt(np.maximum(variance, 0.0)),
        "price_level": mean(users, facts.price_level[items], weights, n),
        "popularity": mean(users, facts.level[items], weights, n),
        "freshness": mean(users, np.where(met_at < 0, np.nan, met_at), np.ones(len(met_at)), n),
        "breadth": _entropy(*departments, n, int(facts.department.max(initial=-1)) + 1),
        "top_category": _largest(*top_category, n),
        "top_brand": _largest(*_shares(users, facts.brand[items], weights, n), n),
    }


def _mean_value(events: Events, kind: NDArray[np.bool_], most: float) -> Floats:
    values = np.clip(events.values[kind], 0.0, most)
    return mean(events.users[kind], values, np.ones(len(values)), events.n_users)


def _shares(users: NDArray[np.int64], codes: NDArray[np.int64], weights: Floats, n: int) -> tuple[NDArray[np.int64], Floats]:
    """(users, shares) of the weight that each user has in each code."""
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
    return -least(owners, -shares, n)
