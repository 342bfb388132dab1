"""Which user met which item, once a pair, and how far it went."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from es_recsys.features.events import Events
from es_recsys.features.sums import counts

__all__ = ["Met", "met", "rates_of", "smoothed"]

# Pairs at the overall rate that each user and each item is thought to have had before.
_PRIOR = 10.0


@dataclass(frozen=True, slots=True, eq=False)
class Met:
    """Pairs (k,) int64 of a user and an item with a positive event; bought, wanted (k,) float64: 1 where it came to a
    purchase, to a cart or a purchase; NaN where the types of the events are not known."""

    users: NDArray[np.int64]
    items: NDArray[np.int64]
    bought: NDArray[np.float64]
    wanted: NDArray[np.float64]


def met(events: Events, n_items: int) -> Met:
    """The pairs of the events."""
    liked = events.positive
    pair, inverse = np.unique((events.users * max(n_items, 1) + events.items)[liked], return_inverse=True)
    users, items = pair // max(n_items, 1), pair % max(n_items, 1)
    bought, carted = events.kinds("purchase"), events.kinds("cart")
    if bought is None or carted is None:
        unknown = np.full(len(pair), np.nan)
        return Met(users, items, unknown, unknown)
    ends = (np.bincount(inverse[kind[liked]], minlength=len(pair)) > 0 for kind in (bought, bought | carted))
    one, other = (end.astype(np.float64) for end in ends)
    return Met(users, items, one, other)


def rates_of(pairs: Met) -> NDArray[np.float64]:
    """(2,) share of the pairs that came to a purchase, and to a cart or a purchase; NaN without pairs."""
    if not len(pairs.users):
        return np.full(2, np.nan)
    return np.array([pairs.bought.mean(), pairs.wanted.mean()])


def smoothed(groups: NDArray[np.int64], ended: NDArray[np.float64], rate: float, n: int) -> NDArray[np.float64]:
    """(n,) share of each group's pairs that `ended` so, with a few at the overall rate added: little evidence says
    little."""
    if np.isnan(ended).any() or np.isnan(rate):
        return np.full(n, np.nan)
    return (np.bincount(groups, weights=ended, minlength=n) + _PRIOR * rate) / (counts(groups, n) + _PRIOR)
