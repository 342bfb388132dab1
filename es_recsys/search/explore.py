"""Exploration: items of nearly the same score take turns, by what is not known of them yet.

Thompson sampling (Thompson, 1933; Chapelle and Li, "An empirical evaluation of Thompson sampling", 2011). What an item is
worth where it is seen is a rate with the posterior Beta(m k + c, (1 - m) k + max(e - c, 0)): c what was done with it when it
was shown, e how often it was examined (showings, weighed by how likely people look at their ranks), m the rate over all
items, k = 10 examinations that the prior counts for. Each answer draws a rate for every candidate, divides by the largest
drawn, and adds

    tolerance * drawn,    tolerance = exploration * 0.2 * (best score - least score of the pool)

to the score for the order alone. As the draw lies in [0, 1], an item can pass another only where their scores differ by
at most the tolerance; an item that nobody was shown yet has a wide posterior and is tried among its equals. Scores and
parts stay as they are; only ranks change, and only among the first `POOL`. Items in groups (the interests of a user, each of
which keeps its places) take turns within their group.

New items have nothing that speaks for them, so no tolerance brings them near. They get a place of their own: in a share of
`exploration` of the answers, the fifth place goes to one of the newest items. In half of these it is one that was examined
less than `ENOUGH` times, in the others one that was examined more and did better than items do on the whole (if there is
none of a kind, one of the other); what did worse is tried no longer. Of the five of its kind that score best it is the one with
the highest rate drawn. So what is found to be good is shown more, and doesn't keep the rest from being tried. Only items that
would stand behind the first ten are tried.

The draw comes from a seed and who asks what in which hour, so that the pages of an answer are cut from one order; where
nobody in particular asks, from the answer's id. Two chances of a shown item, to get the rank that it has and to be on the
page at all, are estimated from 255 further draws and the one that was shown, which counts too: times that it was so / 256,
which is never 0, and whose inverse is 1 on average over the answers drawn. With new items, each draw is counted with one of
either kind on its place and without, each of these weighing as often as it is shown. Counterfactual estimates read them
(`evaluation.counterfactual`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from es_recsys.search.fusion import POOL

__all__ = ["ENOUGH", "HEAD", "NEWEST", "TRIAL", "Exploration", "Explored", "InteractionStats", "explore", "rng_of"]

NEAR = 0.2
ENOUGH = 20.0
"""Examinations after which an item is known."""

NEWEST = 100
"""How many of the newest items an answer looks at."""

HEAD, TRIAL = 10, 4
"""New items behind the first `HEAD` are tried, at this rank (from 0)."""

_TRIED = 5
_PRIOR = 10.0
_REPEATS = 255
_RATE = 0.1


@dataclass(frozen=True, slots=True, eq=False)
class InteractionStats:
    """What came of showing items. seen: item id -> (examinations, what was done with it, 0 to 1 each). rate: over all items."""

    seen: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    rate: float = _RATE

    @classmethod
    def of_popularity(cls, popular: Sequence[tuple[str, float]], rate: float = _RATE) -> InteractionStats:
        """Where no answer was followed up yet: all items are thought equally good, and what is popular better known."""
        return cls({item_id: (count / rate, count) for item_id, count in popular if count > 0.0}, rate)

    def counts(self, item_ids: Sequence[str]) -> NDArray[np.float64]:
        """(n, 2) float64: examinations of each item, and what was done with it."""
        return np.array([self.seen.get(item_id, (0.0, 0.0)) for item_id in item_ids], np.float64).reshape(-1, 2)

    def posteriors(self, item_ids: Sequence[str]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The two parameters (n,) float64 of each item's Beta distribution."""
        examined, done = self.counts(item_ids).T
        rate = min(max(self.rate, 1e-3), 1.0 - 1e-3)
        return rate * _PRIOR + done, (1.0 - rate) * _PRIOR + np.maximum(examined - done, 0.0)

    def known(self, item_ids: Sequence[str]) -> NDArray[np.bool_]:
        """(n,) bool: which were examined enough to tell."""
        return np.asarray(self.counts(item_ids)[:, 0] >= ENOUGH)

    def promising(self, item_ids: Sequence[str]) -> NDArray[np.bool_]:
        """(n,) bool: which aren't known yet, or are known to be better than items are on the whole."""
        examined, done = self.counts(item_ids).T
        return np.asarray((examined < ENOUGH) | (done - self.rate * examined > 1e-6))


@dataclass(frozen=True, slots=True, eq=False)
class Exploration:
    """share: 0 to 1; with 1, scores a fifth of the pool's range apart may take turns, and a new item has its place in every
    answer. rng: draws this answer's order, then its propensities. newest: how many of the newest items are looked at."""

    share: float
    exposure: InteractionStats
    rng: np.random.Generator
    newest: int = NEWEST

    def newcomers(self, newest: Sequence[str]) -> tuple[str, ...]:
        """Those of the newest items (ids, newest first) that may be tried."""
        promising = self.exposure.promising(newest).tolist()
        return tuple(item_id for item_id, may in zip(newest, promising, strict=True) if may)[: self.newest]

    def tried(self, item_ids: Sequence[str], new: Sequence[int]) -> list[list[int]]:
        """The places among which one is drawn, of one kind and of the other, where there are any. item_ids: (n,) best first;
        new: ascending places of the newcomers in it."""
        behind = np.array([place for place in new if place >= HEAD], np.int64)
        known = self.exposure.known([item_ids[place] for place in behind])
        kinds = behind[~known][:_TRIED].tolist(), behind[known][:_TRIED].tolist()
        return [kind for kind in kinds if kind]


@dataclass(frozen=True, slots=True, eq=False)
class Explored:
    """order: (n,) places of the rows given, as they are shown. propensities, shown: rank (from 0) on the page -> the chance of
    its item to have that rank, and to be on the page; ranks beyond the pool are not left to chance and not there."""

    order: list[int]
    propensities: Mapping[int, float] = field(default_factory=dict)
    shown: Mapping[int, float] = field(default_factory=dict)


def explore(
    exploration: Exploration,
    item_ids: Sequence[str],
    scores: Sequence[float],
    offset: int,
    end: int,
    *,
    new: Sequence[int] = (),
    groups: Sequence[int] = (),
) -> Explored:
    """The order in which items are shown. item_ids: (n,) as they would be shown. scores: (p,) of the first p; beyond these and
    beyond the first `POOL` nothing takes turns. The page holds ranks `offset` to `end` (from 0, without `end`).

    new: ascending places of the new items. groups: (p,) the group of each of the first p; one for all where there are none.
    """
    n, pool = len(item_ids), min(len(scores), POOL)
    given = np.asarray(scores[:pool], np.float64)
    tolerance = exploration.share * NEAR * float(given.max() - given.min()) if pool else 0.0
    tried = exploration.tried(item_ids, new)
    if tolerance <= 0.0 and not tried:
        return Explored(list(range(n)))
    beyond = [place for kind in tried for place in kind if place >= pool]
    first, second = exploration.exposure.posteriors([*item_ids[:pool], *(item_ids[place] for place in beyond)])
    drawn = exploration.rng.beta(first, second, size=(1 + _REPEATS, len(first)))
    near = drawn[:, :pool]
    pushed = given + tolerance * near / np.maximum(near.max(axis=1, keepdims=True), 1e-12)
    orders = np.argsort(-pushed, axis=1, kind="stable")
    if len(groups):
        orders = _within(orders, np.asarray(groups[:pool], np.int64))
    if not tried:
        return _explored(orders, [(1.0, orders)], n, offset, end)
    orders = np.hstack((orders, np.tile(np.arange(pool, n), (len(orders), 1))))
    column = {place: place for place in range(pool)} | {place: pool + k for k, place in enumerate(beyond)}
    ways = [(1.0 - exploration.share, orders)]
    for kind in tried:
        winners = np.asarray(kind)[drawn[:, [column[place] for place in kind]].argmax(axis=1)]
        ways.append((exploration.share / len(tried), _put(orders, winners, TRIAL)))
    served = ways[exploration.rng.choice(len(ways), p=[chance for chance, _ in ways])][1]
    return _explored(served, ways, n, offset, end)


def _within(orders: NDArray[np.int64], groups: NDArray[np.int64]) -> NDArray[np.int64]:
    """Orders (r, p) in which each place has an item of the group that it had at first, a group's items in the order given."""
    found = np.empty_like(orders)
    for group in np.unique(groups):
        own = groups == group
        found[:, own] = orders[own[orders]].reshape(len(orders), -1)
    return found


def _put(orders: NDArray[np.int64], winners: NDArray[np.int64], rank: int) -> NDArray[np.int64]:
    """Orders (r, n) with the winner (r,) of each at a rank, the others in their order."""
    others = orders[orders != winners[:, None]].reshape(len(orders), -1)
    return np.hstack((others[:, :rank], winners[:, None], others[:, rank:]))


def _explored(
    served: NDArray[np.int64], ways: Sequence[tuple[float, NDArray[np.int64]]], n: int, offset: int, end: int
) -> Explored:
    """served: (r, p) orders, of which the first is shown. ways: how often orders drawn in some way (r, p) are shown."""
    page = served[0, offset:end]
    ranked, often = np.zeros(len(page)), np.zeros(len(page))
    for chance, orders in ways:
        ranked += chance * (orders[:, offset:end] == page).mean(axis=0)
        often += chance * np.bincount(orders[:, offset:end].ravel(), minlength=n)[page] / len(orders)
    ranks = range(offset, offset + len(page))
    return Explored(
        [*served[0].tolist(), *range(served.shape[1], n)],
        dict(zip(ranks, np.minimum(ranked, 1.0).tolist(), strict=True)),
        dict(zip(ranks, np.minimum(often, 1.0).tolist(), strict=True)),
    )


def rng_of(seed: int, name: str) -> np.random.Generator:
    """The generator of the answers that go by one name."""
    digest = hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8, key=seed.to_bytes(8, "big")).digest()
    return np.random.default_rng(int.from_bytes(digest, "big"))
