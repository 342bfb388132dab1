"""Exploration: items of nearly the same score take turns, by what is not known of them yet.

Thompson sampling (Thompson, 1933; Chapelle and Li, "An empirical evaluation of Thompson sampling", 2011). What an item is
worth where it is seen is a rate with the posterior Beta(m k + c, (1 - m) k + max(e - c, 0)): c what was done with it when it
was shown, e how often it was examined (showings, weighed by how likely people look at their ranks), m the rate over all
items, k = 10 examinations that the prior counts for. Each answer draws a rate for every candidate, divides by the largest
drawn, and adds

    tolerance * drawn,    tolerance = exploration * 0.2 * (best score - least score of the pool)

to the score for the order alone. As the draw lies in [0, 1], an item can pass another only where their scores differ by
at most the tolerance; an item that nobody was shown yet has a wide posterior and is tried among its equals. Scores and
parts stay as they are; only ranks change, and only among the first `POOL`.

The draw comes from a seed and who asks what in which hour, so that the pages of an answer are cut from one order; where
nobody in particular asks, from the answer's id. Two chances of a shown item, to get the rank that it has and to be on the
page at all, are estimated from 255 further draws and the one that was shown, which counts too: times that it was so / 256,
which is never 0, and whose inverse is 1 on average over the answers drawn. Counterfactual estimates read them
(`evaluation.counterfactual`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from es_recsys.search.fusion import POOL

__all__ = ["Exploration", "Explored", "Exposure", "explore", "rng_of"]

NEAR = 0.2
_PRIOR = 10.0
_REPEATS = 255
_RATE = 0.1


@dataclass(frozen=True, slots=True, eq=False)
class Exposure:
    """What came of showing items. seen: item id -> (examinations, what was done with it, 0 to 1 each). rate: over all items."""

    seen: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    rate: float = _RATE

    @classmethod
    def of_popularity(cls, popular: Sequence[tuple[str, float]], rate: float = _RATE) -> Exposure:
        """Where no answer was followed up yet: all items are thought equally good, and what is popular better known."""
        return cls({item_id: (count / rate, count) for item_id, count in popular if count > 0.0}, rate)

    def posteriors(self, item_ids: Sequence[str]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The two parameters (n,) float64 of each item's Beta distribution."""
        known = [self.seen.get(item_id, (0.0, 0.0)) for item_id in item_ids]
        examined, done = (np.array([pair[place] for pair in known], np.float64) for place in (0, 1))
        rate = min(max(self.rate, 1e-3), 1.0 - 1e-3)
        return rate * _PRIOR + done, (1.0 - rate) * _PRIOR + np.maximum(examined - done, 0.0)


@dataclass(frozen=True, slots=True, eq=False)
class Exploration:
    """share: 0 to 1; with 1, scores a fifth of the pool's range apart may take turns. rng: draws this answer's
    order, then its propensities."""

    share: float
    exposure: Exposure
    rng: np.random.Generator


@dataclass(frozen=True, slots=True, eq=False)
class Explored:
    """order: (n,) places of the rows given, as they are shown. propensities, shown: rank (from 0) on the page -> the chance of
    its item to have that rank, and to be on the page; ranks beyond the pool are not left to chance and not there."""

    order: list[int]
    propensities: Mapping[int, float] = field(default_factory=dict)
    shown: Mapping[int, float] = field(default_factory=dict)


def explore(exploration: Exploration, item_ids: Sequence[str], scores: Sequence[float], offset: int, end: int) -> Explored:
    """The order in which items are shown. item_ids, scores: (n,) best first; beyond the first `POOL` all stays. The page
    holds ranks `offset` to `end` (from 0, without `end`)."""
    n = len(item_ids)
    pool = min(n, POOL)
    given = np.asarray(scores[:pool], np.float64)
    tolerance = exploration.share * NEAR * float(given.max() - given.min()) if pool else 0.0
    if tolerance <= 0.0:
        return Explored(list(range(n)))
    first, second = exploration.exposure.posteriors(item_ids[:pool])
    drawn = exploration.rng.beta(first, second, size=(1 + _REPEATS, pool))
    pushed = given + tolerance * drawn / np.maximum(drawn.max(axis=1, keepdims=True), 1e-12)
    orders = np.argsort(-pushed, axis=1, kind="stable")
    page = orders[0, offset:end]
    ranked = (orders[:, offset:end] == page).mean(axis=0)
    often = np.bincount(orders[:, offset:end].ravel(), minlength=pool)[page] / len(orders)
    ranks = range(offset, offset + len(page))
    return Explored(
        [*orders[0].tolist(), *range(pool, n)],
        dict(zip(ranks, ranked.tolist(), strict=True)),
        dict(zip(ranks, often.tolist(), strict=True)),
    )


def rng_of(seed: int, name: str) -> np.random.Generator:
    """The generator of the answers that go by one name."""
    digest = hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8, key=seed.to_bytes(8, "big")).digest()
    return np.random.default_rng(int.from_bytes(digest, "big"))
