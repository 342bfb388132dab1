"""Exploration: items of nearly the same score take turns, by what is not known of them yet.

Thompson sampling (Thompson, 1933; Chapelle and Li, "An empirical evaluation of Thompson sampling", 2011). What an item is
worth where it is seen is a rate with the posterior Beta(m k + c, (1 - m) k + max(e - c, 0)): c its interactions when it was
shown, e its examinations (showings, weighted by how likely people look at their ranks), m the rate over all items, k = 10
examinations that the prior counts for. Each answer draws a rate for every candidate, divides by the largest drawn, and adds

    tolerance * drawn,    tolerance = exploration * 0.2 * (best score - least score of the pool)

to the score for the order alone. As the draw lies in [0, 1], an item can pass another only where their scores differ by
at most the tolerance; an item that nobody was shown yet has a wide posterior and is tried among its equals. Scores and
parts stay as they are; only ranks change, and only among the first `RERANK_DEPTH`. Items in groups (the interests of a user,
each of which keeps its slots) take turns within their group.

Nothing recommends a new item, so no tolerance brings it near. New items have a slot of their own: in a share of `exploration`
of the answers, the fifth slot goes to one of the newest items. In half of these it is one that was examined less than
`ENOUGH_EXAMINATIONS` times, in the others one that was examined more and does better than average (if there is none of a kind,
one of the other); what does worse is no longer tried. Of the five of its kind that score best it is the one with the highest
rate drawn. So what is found to be good is shown more, and doesn't keep the rest from being tried. Only items that would stand
behind the first ten are tried.

The draw comes from a seed, the actor, the query and the hour, so that the pages of an answer are cut from one order; for
nobody in particular, from the answer's id. Two probabilities of a shown item, to get the rank that it has and to be on the
page at all, are estimated from 255 further draws and the one that was shown, which counts too: times that it was so / 256,
which is never 0, and whose inverse is 1 on average over the answers drawn. With new items, each draw is counted with one of
either kind in its slot and without, each of these weighted as often as it is shown. Counterfactual estimates read them
(`evaluation.counterfactual`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "COLD_START_RANK",
    "ENOUGH_EXAMINATIONS",
    "MAX_NEWEST",
    "RERANK_DEPTH",
    "SETTLED_RANKS",
    "TOLERANCE",
    "Exploration",
    "ExploredOrder",
    "InteractionStats",
    "explore",
    "seeded_rng",
]

ENOUGH_EXAMINATIONS = 20.0
"""Examinations after which an item is known."""

MAX_NEWEST = 100
"""How many of the newest items an answer looks at."""

_PRIOR_EXAMINATIONS = 10.0
_DEFAULT_RATE = 0.1

RERANK_DEPTH = 100
"""How many of the best hits diversity, interests and exploration may reorder: fixed, so that pages are stable."""

TOLERANCE = 0.2

SETTLED_RANKS, COLD_START_RANK = 10, 4
"""New items behind the first `SETTLED_RANKS` are tried, at rank `COLD_START_RANK` (from 0)."""

_MAX_TRIED = 5
_DRAWS = 255


@dataclass(frozen=True, slots=True, eq=False)
class InteractionStats:
    """How items did when they were shown.

    by_item: product id -> (examinations, interactions), each examination 0 to 1: how likely people look at the rank. rate:
    interactions per examination over all items.
    """

    by_item: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    rate: float = _DEFAULT_RATE

    @classmethod
    def from_popularity(cls, popularity: Sequence[tuple[str, float]], rate: float = _DEFAULT_RATE) -> InteractionStats:
        """Return stats where no answer was followed up yet: all items equally good, popular ones better known."""
        return cls({item_id: (count / rate, count) for item_id, count in popularity if count > 0.0}, rate)

    def counts(self, item_ids: Sequence[str]) -> NDArray[np.float64]:
        """Return examinations and interactions (n, 2) float64 of each item."""
        return np.array([self.by_item.get(item_id, (0.0, 0.0)) for item_id in item_ids], np.float64).reshape(-1, 2)

    def posteriors(self, item_ids: Sequence[str]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the two parameters (n,) float64 of each item's Beta distribution."""
        examinations, interactions = self.counts(item_ids).T
        rate = min(max(self.rate, 1e-3), 1.0 - 1e-3)
        prior = _PRIOR_EXAMINATIONS
        return rate * prior + interactions, (1.0 - rate) * prior + np.maximum(examinations - interactions, 0.0)

    def is_known(self, item_ids: Sequence[str]) -> NDArray[np.bool_]:
        """Return (n,) bool: which items were examined often enough."""
        return np.asarray(self.counts(item_ids)[:, 0] >= ENOUGH_EXAMINATIONS)

    def is_promising(self, item_ids: Sequence[str]) -> NDArray[np.bool_]:
        """Return (n,) bool: which items are not known yet, or known to do better than average."""
        examinations, interactions = self.counts(item_ids).T
        return np.asarray((examinations < ENOUGH_EXAMINATIONS) | (interactions - self.rate * examinations > 1e-6))


@dataclass(frozen=True, slots=True, eq=False)
class Exploration:
    """How much of one answer is left to chance.

    share: 0 to 1; with 1, scores a fifth of the pool's range apart may take turns, and every answer has a slot for a new
    item. rng: draws this answer's order, then its propensities. newest: how many of the newest items are considered.
    """

    share: float
    stats: InteractionStats
    rng: np.random.Generator
    newest: int = MAX_NEWEST

    def cold_start_candidates(self, newest: Sequence[str]) -> tuple[str, ...]:
        """Return those of the newest items (ids, newest first) that may be tried."""
        promising = self.stats.is_promising(newest).tolist()
        return tuple(item_id for item_id, may in zip(newest, promising, strict=True) if may)[: self.newest]


def seeded_rng(seed: int, name: str) -> np.random.Generator:
    """Return the generator that all answers of one name share."""
    digest = hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8, key=seed.to_bytes(8, "big")).digest()
    return np.random.default_rng(int.from_bytes(digest, "big"))


@dataclass(frozen=True, slots=True, eq=False)
class ExploredOrder:
    """The order in which items are shown, and its probabilities.

    order: (n,) positions in the order given. propensities, inclusion_probabilities: rank (from 0) on the page -> the probability
    of its item to have that rank, and to be on the page; ranks that are not there are not left to chance.
    """

    order: list[int]
    propensities: Mapping[int, float] = field(default_factory=dict)
    inclusion_probabilities: Mapping[int, float] = field(default_factory=dict)


def explore(
    exploration: Exploration,
    item_ids: Sequence[str],
    scores: Sequence[float],
    offset: int,
    end: int,
    *,
    cold_start: Sequence[int] = (),
    groups: Sequence[int] = (),
) -> ExploredOrder:
    """Return the order in which items are shown.

    item_ids: (n,) as they would be shown. scores: (p,) of the first p; beyond these and beyond the first `RERANK_DEPTH`
    nothing takes turns. The page holds ranks `offset` to `end` (from 0, without `end`).

    cold_start: ranks of the new items, ascending. groups: (p,) the group of each of the first p; one for all where empty.
    """
    n, pool = len(item_ids), min(len(scores), RERANK_DEPTH)
    given = np.asarray(scores[:pool], np.float64)
    tolerance = exploration.share * TOLERANCE * float(given.max() - given.min()) if pool else 0.0
    slots = _exploration_slots(exploration, item_ids, cold_start)
    if tolerance <= 0.0 and not slots:
        return ExploredOrder(list(range(n)))
    beyond = [rank for kind in slots for rank in kind if rank >= pool]
    first, second = exploration.stats.posteriors([*item_ids[:pool], *(item_ids[rank] for rank in beyond)])
    drawn = exploration.rng.beta(first, second, size=(1 + _DRAWS, len(first)))
    rates = drawn[:, :pool]
    pushed = given + tolerance * rates / np.maximum(rates.max(axis=1, keepdims=True), 1e-12)
    orders = np.argsort(-pushed, axis=1, kind="stable")
    if len(groups):
        orders = _within_groups(orders, np.asarray(groups[:pool], np.int64))
    if not slots:
        return _estimated(orders, [(1.0, orders)], n, offset, end)
    orders = np.hstack((orders, np.tile(np.arange(pool, n), (len(orders), 1))))
    column = {rank: rank for rank in range(pool)} | {rank: pool + k for k, rank in enumerate(beyond)}
    variants = [(1.0 - exploration.share, orders)]
    for kind in slots:
        winners = np.asarray(kind)[drawn[:, [column[rank] for rank in kind]].argmax(axis=1)]
        variants.append((exploration.share / len(slots), _with_item_at(orders, winners, COLD_START_RANK)))
    served = variants[exploration.rng.choice(len(variants), p=[share for share, _ in variants])][1]
    return _estimated(served, variants, n, offset, end)


def _exploration_slots(exploration: Exploration, item_ids: Sequence[str], cold_start: Sequence[int]) -> list[list[int]]:
    """Return the ranks of the new items among which one is drawn.

    One list of those not known yet, and one of those known, where there are any.
    """
    behind = np.array([rank for rank in cold_start if rank >= SETTLED_RANKS], np.int64)
    known = exploration.stats.is_known([item_ids[rank] for rank in behind])
    kinds = behind[~known][:_MAX_TRIED].tolist(), behind[known][:_MAX_TRIED].tolist()
    return [kind for kind in kinds if kind]


def _within_groups(orders: NDArray[np.int64], groups: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return orders (r, p) in which each rank has an item of the group that it had at first, a group's items as ordered."""
    found = np.empty_like(orders)
    for group in np.unique(groups):
        own = groups == group
        found[:, own] = orders[own[orders]].reshape(len(orders), -1)
    return found


def _with_item_at(orders: NDArray[np.int64], winners: NDArray[np.int64], rank: int) -> NDArray[np.int64]:
    """Return orders (r, n) with the winner (r,) of each at a rank, the others in their order."""
    others = orders[orders != winners[:, None]].reshape(len(orders), -1)
    return np.hstack((others[:, :rank], winners[:, None], others[:, rank:]))


def _estimated(
    served: NDArray[np.int64], variants: Sequence[tuple[float, NDArray[np.int64]]], n: int, offset: int, end: int
) -> ExploredOrder:
    """Return the first of the orders `served` (r, p) with its probabilities.

    variants: share of answers and orders (r, p) drawn.
    """
    page = served[0, offset:end]
    ranked, often = np.zeros(len(page)), np.zeros(len(page))
    for share, orders in variants:
        ranked += share * (orders[:, offset:end] == page).mean(axis=0)
        often += share * np.bincount(orders[:, offset:end].ravel(), minlength=n)[page] / len(orders)
    ranks = range(offset, offset + len(page))
    return ExploredOrder(
        [*served[0].tolist(), *range(served.shape[1], n)],
        dict(zip(ranks, np.minimum(ranked, 1.0).tolist(), strict=True)),
        dict(zip(ranks, np.minimum(often, 1.0).tolist(), strict=True)),
    )
