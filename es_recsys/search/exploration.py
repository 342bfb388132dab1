"""What exploration goes by: how items did when they were shown. How it reorders an answer stands in `rerank.exploration`."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

__all__ = ["ENOUGH_EXAMINATIONS", "MAX_NEWEST", "Exploration", "InteractionStats", "seeded_rng"]

ENOUGH_EXAMINATIONS = 20.0
"""Examinations after which an item is known."""

MAX_NEWEST = 100
"""How many of the newest items an answer looks at."""

_PRIOR_EXAMINATIONS = 10.0
_DEFAULT_RATE = 0.1


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
