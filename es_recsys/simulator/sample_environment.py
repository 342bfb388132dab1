"""The sample store's shoppers as an environment: what they bought is theirs already, what they like is hidden.

A need is a search in the shopper's words, or a recommendation. Items outside what the words name are worth nothing; one
that lacks a detail that they name (a colour, a style, a brand, for whom) is liked less.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from es_recsys.query import Query
from es_recsys.sample import SampleStore, Shopper
from es_recsys.sample.chance import weighted
from es_recsys.sample.kinds import kinds_by_leaf
from es_recsys.sample.queries import draw_query
from es_recsys.sample.shop import Shop
from es_recsys.simulator.environment import SimulatedNeed

__all__ = ["SampleStoreEnvironment"]

_MISSING_DETAIL_COST = 2.0  # utility that a missing detail costs
_POSITIVE = frozenset({"purchase"})
_NOTHING = np.zeros(0, np.int64)  # an empty tuple would select all items


@dataclass(frozen=True, slots=True, eq=False)
class SampleStoreEnvironment:
    """The environment of a sample store.

    drift: 1 as the store has it, 0 keeps everybody's tastes as they were at first. searches: share of the needs that are
    searches. owned: user -> item_idx of the items that they don't want any more.
    """

    shop: Shop
    shoppers: Mapping[str, Shopper]
    owned: Mapping[str, NDArray[np.int64]]
    period: tuple[float, float]
    drift: float = 1.0
    searches: float = 0.5

    @classmethod
    def of(
        cls,
        store: SampleStore,
        *,
        drift: float = 1.0,
        searches: float = 0.5,
        excluded_event_types: Collection[str] = _POSITIVE,
    ) -> Self:
        """Build the environment of a sample store.

        excluded_event_types: those whose items are not wanted again. For systems that leave out more than what was
        bought, give the types that they leave out.
        """
        shop = Shop.of(0, store.items)  # the seed moves the shop's own listing only, which is not asked here
        item_idx = {item_id: idx for idx, item_id in enumerate(shop.item_ids)}
        owned: dict[str, set[int]] = defaultdict(set)
        for event in store.events:
            if event.event_type in excluded_event_types and event.user_id is not None and event.item_id in item_idx:
                owned[event.user_id].add(item_idx[event.item_id])
        first = store.shoppers[0]
        return cls(
            shop,
            {shopper.user_id: shopper for shopper in store.shoppers},
            {user: np.array(sorted(items), np.int64) for user, items in owned.items()},
            (first.start, first.end),
            drift,
            searches,
        )

    @property
    def item_ids(self) -> tuple[str, ...]:
        return self.shop.item_ids

    @property
    def user_ids(self) -> tuple[str, ...]:
        return tuple(self.shoppers)

    def utility(self, user_id: str, timestamp: float) -> NDArray[np.float64]:
        return self.shoppers[user_id].utilities(self.shop.traits, self._felt(timestamp))

    def need(self, user_id: str, timestamp: float, rng: np.random.Generator) -> SimulatedNeed:
        utility, available = self.utility(user_id, timestamp), np.ones(len(self.item_ids), bool)
        available[self.owned.get(user_id, _NOTHING)] = False
        if rng.random() >= self.searches:
            return SimulatedNeed(user_id, timestamp, Query(user_id=user_id), utility, available)
        shopper = self.shoppers[user_id]
        preferences = {leaf: liking for leaf, liking in shopper.kinds_at(self._felt(timestamp)).items() if liking > 0.0}
        kind = kinds_by_leaf()[weighted(rng, tuple(preferences), [liking**2 for liking in preferences.values()])]
        asked = draw_query(kind, shopper, rng)
        found = np.zeros(len(self.item_ids), bool)
        found[self.shop.scopes.get(asked.scope, self.shop.scopes[""])] = True
        for trait, value in asked.wants.items():
            utility = utility - _MISSING_DETAIL_COST * ~self._has(trait, value)
        return SimulatedNeed(user_id, timestamp, Query(text=asked.text, user_id=user_id), utility, available & found)

    def _has(self, trait: str, value: str) -> NDArray[np.bool_]:
        names = self.shop.traits.names[trait]
        if value not in names:
            return np.ones(len(self.item_ids), bool)  # nobody can have it
        return np.asarray(self.shop.traits.codes[trait] == names.index(value))

    def _felt(self, timestamp: float) -> float:
        return self.period[0] + self.drift * (timestamp - self.period[0])
