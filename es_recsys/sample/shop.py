"""The shop that the sample's shoppers walk through: what it lists for a query or on a shelf. It knows nobody's taste."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from es_recsys.sample.chance import gumbel, stream
from es_recsys.sample.items import UNSEEN_DAYS
from es_recsys.sample.kinds import kinds
from es_recsys.sample.tastes import Traits
from es_recsys.types import Item

__all__ = ["PAGE", "Shop"]

PAGE = 24

_DAY = 86_400.0
_MATCH = {"colour": 2.5, "style": 1.5, "brand": 3.0, "audience": 2.0}


@dataclass(frozen=True, slots=True, eq=False)
class Shop:
    """The shop's n items in columns.

    appeal: (n,) float64, log of how often the shop puts an item forward, falling as a power of its rank. shown_from: (n,)
    float64, epoch seconds. scopes: leaf, broad word or "" (all) -> (m,) int64 item_idx.
    """

    item_ids: tuple[str, ...]
    traits: Traits
    appeal: NDArray[np.float64]
    shown_from: NDArray[np.float64]
    scopes: Mapping[str, NDArray[np.int64]]

    @classmethod
    def of(cls, seed: int, items: Sequence[Item]) -> Shop:
        traits = Traits.of(items)
        lift = gumbel(stream(seed, "appeal"), len(items)) + 0.8 * (traits.ratings - 4.0)
        rank = np.empty(len(items))
        rank[np.argsort(-lift, kind="stable")] = np.arange(len(items))
        shown_from = [math.inf if item.created_at is None else item.created_at.timestamp() + UNSEEN_DAYS * _DAY for item in items]
        return cls(
            item_ids=tuple(item.item_id for item in items),
            traits=traits,
            appeal=-1.5 * np.log(rank + 8.0),
            shown_from=np.array(shown_from, np.float64),
            scopes=_scopes(items),
        )

    def listing(self, scope: str, wants: Mapping[str, str], at: float, rng: np.random.Generator) -> NDArray[np.int64]:
        """Return up to PAGE items, best first, as a plain search engine ranks them: match, then appeal, with some chance."""
        found = self.scopes.get(scope, self.scopes[""])
        found = found[self.shown_from[found] <= at]
        score = self.appeal[found] + 0.8 * gumbel(rng, found.size)
        for trait, value in wants.items():
            names = self.traits.names[trait]
            if value in names:
                score += _MATCH[trait] * (self.traits.codes[trait][found] == names.index(value))
        return found[np.argsort(-score, kind="stable")[:PAGE]]


def _scopes(items: Sequence[Item]) -> dict[str, NDArray[np.int64]]:
    by_leaf: dict[str, list[int]] = {}
    for item_idx, item in enumerate(items):
        by_leaf.setdefault(item.categories[-1], []).append(item_idx)
    scopes: dict[str, list[int]] = {**by_leaf, "": list(range(len(items)))}
    for kind in kinds():
        for word in kind.broad:
            scopes[word] = scopes.get(word, []) + by_leaf.get(kind.leaf, [])
    return {scope: np.array(sorted(item_idx), np.int64) for scope, item_idx in scopes.items() if item_idx}
