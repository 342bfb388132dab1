"""The share of popularity in recommendations: where people turn to what others do, answers are no worse than what is popular."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from es_recsys.dataset import Interactions
from es_recsys.evaluation.holdout import leave_last_out, temporal_split
from es_recsys.evaluation.holdout_split import HoldoutSplit
from es_recsys.evaluation.statistics import bootstrap
from es_recsys.models import MODELS, Popularity, PopularityConfig
from es_recsys.models.base import Model
from es_recsys.training.ensemble_candidates import Candidates
from es_recsys.training.ensemble_selection import with_model
from es_recsys.training.model_selection import TrainSpec, select
from es_recsys.training.popularity_share import popularity_share
from es_recsys.training.selection_report import Notes

DAYS, NEW = 12, 6
HALF_LIVES = PopularityConfig(1.0, 0.2)


@pytest.fixture(scope="module")
def feed(interactions: Callable[..., Interactions]) -> Interactions:
    """Six items come each day; everybody opens some of the last two days', by how much all like them, whatever they opened."""
    rng = np.random.default_rng(3)
    liking = 1.0 / rng.permutation(np.arange(1.0, NEW * DAYS + 1.0))

    def opened() -> list[tuple[str, float, float]]:
        events = []
        for day in range(1, DAYS):
            there = np.arange((day - 1) * NEW, (day + 1) * NEW)
            chances = liking[there] / liking[there].sum()
            events += [(f"i{item:02}", 1.0, day + rng.random()) for item in rng.choice(there, 2, False, chances)]
        return sorted(events, key=lambda one: one[2])

    return interactions({f"u{user:03}": opened() for user in range(200)}, timed=True)


@pytest.fixture(scope="module")
def part(feed: Interactions) -> HoldoutSplit:
    return temporal_split(feed, np.random.default_rng(0), 200)


def _fitted(part: HoldoutSplit) -> dict[str, Model]:
    return {"als": MODELS["als"]().fit(part.train, np.random.default_rng(0))}


def test_where_popularity_tells_more_answers_are_no_worse_than_it(part: HoldoutSplit) -> None:
    models, notes, middle = _fitted(part), Notes(None), len(part) // 2
    share = popularity_share(models, {"als": 1.0}, part.first(middle), HALF_LIVES, notes)
    assert 0.0 < share < 1.0 and notes.figures["popularity"]["share"] == share
    assert notes.lines[0].startswith(f"Popularity: {share:.0%} (NDCG@20 +")
    popularity = Popularity(HALF_LIVES).fit(part.train, np.random.default_rng(0))
    others = Candidates.of({**models, "popularity": popularity}, part.between(middle, len(part)))
    mixed, alone, popular = (
        others.each(weights) for weights in (with_model({"als": 1.0}, "popularity", share), {"als": 1.0}, {"popularity": 1.0})
    )
    rng = np.random.default_rng(0)
    assert popular.mean() > alone.mean() and bootstrap(mixed - alone, rng).low > 0.0
    assert bootstrap(mixed - popular, rng).high >= 0.0


def test_without_a_sure_gain_it_has_none(ring_walks: Interactions) -> None:
    """One step of a walk tells of the next, and all items are as popular."""
    part, notes = leave_last_out(ring_walks, np.random.default_rng(0), 100), Notes(None)
    model = MODELS["covisitation"]().fit(part.train, np.random.default_rng(0))
    assert popularity_share({"covisitation": model}, {"covisitation": 1.0}, part, None, notes) == 0.0
    assert notes.lines[0].startswith("Popularity: no share is surely better (NDCG@20 ")
    few = Notes(None)
    assert popularity_share({"covisitation": model}, {"covisitation": 1.0}, part.first(49), None, few) == 0.0 and not few.lines


def test_a_training_chooses_it_and_one_with_all_decided_keeps_to_it(feed: Interactions) -> None:
    rng, spec = np.random.default_rng, TrainSpec(("als",), half_lives=HALF_LIVES)
    chosen = select(feed, rng(1), 5.0, spec=spec)
    assert chosen.popularity > 0.0 and set(chosen.weights) == {"als"}
    assert chosen.models["popularity"].config == HALF_LIVES
    configs = {"als": chosen.models["als"].config}
    decided = replace(spec, names=(), configs=configs, shares=chosen.weights, popularity=chosen.popularity)
    again = select(feed, rng(1), 5.0, spec=decided)
    assert again.popularity == chosen.popularity == again.without("als").popularity
