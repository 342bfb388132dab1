"""What exploration is for: new items that no model knows are looked at, and what was learned of them brings more later."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from es_recsys.query import Answer, Hit, Query, Ranking
from es_recsys.search.exploration import Exploration, InteractionStats, explore, seeded_rng
from es_recsys.simulator import LatentFactorEnvironment, SimulatedNeed, UserSimulator, measure_regret, sample_needs
from es_recsys.training.logged_examples import count_interaction_stats, examined

ITEMS, NEW = 100, 6


@pytest.fixture(scope="module")
def environment() -> LatentFactorEnvironment:
    """Items that are good for everybody or for nobody; of the last six no system knows which."""
    rng = np.random.default_rng(8)
    drawn = LatentFactorEnvironment.draw(rng, 80, ITEMS)
    return replace(drawn, quality=rng.normal(0.0, 2.0, ITEMS), spread=2.0, searches=0.0)


class Shop:
    """Knows the old items through noise, of the new ones that they are there. Logs what it shows, as the answer log does."""

    def __init__(
        self, environment: LatentFactorEnvironment, needs: list[SimulatedNeed], share: float, exposure: InteractionStats
    ) -> None:
        self._scores: dict[Query, NDArray[np.float64]] = {}
        rng = np.random.default_rng(4)
        for need in needs:
            seen = need.utility + rng.normal(0.0, 1.0, ITEMS)
            self._scores[need.query] = np.where(np.arange(ITEMS) < ITEMS - NEW, seen, seen[:-NEW].min() - 1.0)
        self._environment, self._share, self._exposure = environment, share, exposure
        self.records: list[dict[str, Any]] = []

    def __call__(self, query: Query) -> Answer:
        number = len(self.records)
        scores = self._scores[query]
        best = np.argsort(-scores, kind="stable")
        item_ids = [self._environment.item_ids[place] for place in best]
        order, chances = list(range(ITEMS)), {}
        if self._share:
            exploration = Exploration(self._share, self._exposure, seeded_rng(7, f"a{number}"))
            cold_start = set(exploration.cold_start_candidates(self._environment.item_ids[-NEW:]))
            new = [place for place, item_id in enumerate(item_ids) if item_id in cold_start]
            found = explore(exploration, item_ids, scores[best].tolist(), 0, query.n, cold_start=new)
            order, chances = found.order, found.propensities
        hits = tuple(
            Hit(item_ids[place], 0.0, rank, propensity=chances.get(rank - 1, 1.0))
            for rank, place in enumerate(order[: query.n], 1)
        )
        shown = [{"item_id": hit.item_id, "position": hit.rank, "propensity": hit.propensity} for hit in hits]
        self.records.append({"answer_id": f"a{number}", "kind": "recommend", "user_key": query.user_id, "hits": shown})
        return Answer(f"a{number}", "recommend", Ranking(hits), 0.0)


def learned(environment: LatentFactorEnvironment, share: float) -> InteractionStats:
    """What a shop knows after three rounds of 150 visits, with its counts brought up to date after each."""
    records: list[dict[str, Any]] = []
    given: dict[tuple[str, str], float] = {}
    exposure = InteractionStats()
    for seed in range(3):
        needs = sample_needs(environment, seed, 150)
        shop = Shop(environment, needs, share, exposure)
        for page in UserSimulator(environment, seed=seed).replay(shop, needs):
            clicked = page.shown[page.outcome.clicked].tolist()
            given |= {(f"{seed} {page.answer_id}", environment.item_ids[place]): 1.0 for place in clicked}
        records += [{**record, "answer_id": f"{seed} {record['answer_id']}"} for record in shop.records]
        exposure = count_interaction_stats(records, given, examined(records, given))
    return exposure


def test_new_items_are_looked_at_and_what_is_learned_of_them_brings_more(environment: LatentFactorEnvironment) -> None:
    """Paired by need: after exploring, an answer that explores is worth more than one that doesn't; before, it cost something."""
    new = environment.item_ids[-NEW:]
    assert not learned(environment, 0.0).counts(new).any()
    known = learned(environment, 1.0)
    looks, clicks = known.counts(new).T
    assert looks.min() > 10.0
    assert np.argmax(clicks / looks) in np.argsort(-environment.quality[-NEW:])[:2]

    needs = sample_needs(environment, 9, 150)
    calm = measure_regret(environment, Shop(environment, needs, 0.0, InteractionStats()), needs, goal="click")
    before, after = (
        measure_regret(environment, Shop(environment, needs, 0.5, one), needs, goal="click")
        for one in (InteractionStats(), known)
    )
    assert before.over(calm).high < 0.0
    assert after.over(calm).low > 0.0
    assert after.mean_regret().mean < calm.mean_regret().mean
