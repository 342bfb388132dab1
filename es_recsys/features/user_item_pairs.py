"""Pairs of a user and an item with a positive event, each once, and whether it came to a cart or a purchase."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from es_recsys.features.aggregates import counts
from es_recsys.features.events import Events

__all__ = ["UserItemPairs", "conversion_rates", "smoothed", "user_item_pairs"]

# How many pairs at the overall rate are added to those of each user and each item.
_PRIOR = 10.0


@dataclass(frozen=True, slots=True, eq=False)
class UserItemPairs:
    """Pairs (k,) int64 of a user and an item with a positive event.

    purchased, carted (k,) float64: 1 where it came to a purchase, to a cart or a purchase; NaN where the types of the events
    are not known.
    """

    users: NDArray[np.int64]
    items: NDArray[np.int64]
    purchased: NDArray[np.float64]
    carted: NDArray[np.float64]


def user_item_pairs(events: Events, n_items: int) -> UserItemPairs:
    """Return the pairs of the events."""
    liked = events.positive
    pair, inverse = np.unique((events.users * max(n_items, 1) + events.items)[liked], return_inverse=True)
    users, items = pair // max(n_items, 1), pair % max(n_items, 1)
    purchased, carted = events.of_type("purchase"), events.of_type("cart")
    if purchased is None or carted is None:
        unknown = np.full(len(pair), np.nan)
        return UserItemPairs(users, items, unknown, unknown)
    ends = (np.bincount(inverse[kind[liked]], minlength=len(pair)) > 0 for kind in (purchased, purchased | carted))
    one, other = (end.astype(np.float64) for end in ends)
    return UserItemPairs(users, items, one, other)


def conversion_rates(pairs: UserItemPairs) -> NDArray[np.float64]:
    """Return (2,): the share of the pairs that came to a purchase, and to a cart or a purchase; NaN without pairs."""
    if not len(pairs.users):
        return np.full(2, np.nan)
    return np.array([pairs.purchased.mean(), pairs.carted.mean()])


def smoothed(groups: NDArray[np.int64], outcome: NDArray[np.float64], rate: float, n: int) -> NDArray[np.float64]:
    """Return (n,): the share of each group's pairs that have the outcome, smoothed with a few at the overall rate.

    So a share of little evidence stays near the overall one.
    """
    if np.isnan(outcome).any() or np.isnan(rate):
        return np.full(n, np.nan)
    return (np.bincount(groups, weights=outcome, minlength=n) + _PRIOR * rate) / (counts(groups, n) + _PRIOR)
