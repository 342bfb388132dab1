"""Shares of what is popular and new in recommendations: where people turn to it, answers are no worse than a list for all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from es_recsys.dataset import History, Interactions, ItemTable
from es_recsys.evaluation.holdout import leave_last_out, temporal_split
from es_recsys.evaluation.holdout_split import HoldoutSplit
from es_recsys.evaluation.statistics import bootstrap
from es_recsys.models import MODELS, Popularity, PopularityConfig
from es_recsys.models.base import Model
from es_recsys.training.ensemble_candidates import Candidates
from es_recsys.training.ensemble_selection import with_model
from es_recsys.training.item_table import table_of
from es_recsys.training.model_selection import TrainSpec, select
from es_recsys.training.neutral_shares import neutral_shares
from es_recsys.training.recency import recency_of
from es_recsys.training.selection_report import Notes
from es_recsys.types import Item

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


@pytest.fixture(scope="module")
def catalogue(feed: Interactions) -> ItemTable:
    """Items with nothing but the day on which they came."""
    ids = feed.item_ids.tolist()
    made = [Item(item_id=one, created_at=datetime.fromtimestamp(int(one[1:]) // NEW * 86_400.0, UTC)) for one in ids]
    return table_of(made)


def _popularity(part: HoldoutSplit) -> dict[str, Model]:
    return {"popularity": Popularity(HALF_LIVES).fit(part.train, np.random.default_rng(0))}


def _fitted(part: HoldoutSplit) -> dict[str, Model]:
    return {"als": MODELS["als"]().fit(part.train, np.random.default_rng(0))}


def test_where_popularity_tells_more_answers_are_no_worse_than_it(part: HoldoutSplit) -> None:
    models, notes, middle = _fitted(part), Notes(None), len(part) // 2
    popularity = _popularity(part)
    share = neutral_shares(models, {"als": 1.0}, part.first(middle), popularity, notes)["popularity"]
    assert 0.0 < share < 1.0 and notes.figures["popularity"]["share"] == share
    assert notes.lines[0].startswith(f"The same for all: popularity {share:.0%} (NDCG@20 +")
    others = Candidates.of({**models, **popularity}, part.between(middle, len(part)))
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
    popularity = _popularity(part)
    assert neutral_shares({"covisitation": model}, {"covisitation": 1.0}, part, popularity, notes) == {}
    assert notes.lines[0].startswith("The same for all: no share is surely better (NDCG@20 ")
    few = Notes(None)
    assert neutral_shares({"covisitation": model}, {"covisitation": 1.0}, part.first(49), popularity, few) == {} and not few.lines


def test_what_is_new_has_a_share_where_people_turn_to_it(feed: Interactions, catalogue: ItemTable) -> None:
    """In a training, too; not what the settings fix, and not where it isn't known what is new."""
    spec = TrainSpec(("als",), half_lives=HALF_LIVES, items=catalogue, pivot_hours=6.0)
    chosen = select(feed, np.random.default_rng(1), 5.0, spec=spec)
    assert chosen.neutral["recency"] > 0.0 and sum(chosen.neutral.values()) < 1.0
    assert any(line.startswith("The same for all: popularity ") and "recency" in line for line in chosen.report.lines)
    for other in (replace(spec, fixed=frozenset({"recency"})), replace(spec, items=None)):
        assert set(select(feed, np.random.default_rng(1), 5.0, spec=other).neutral) == {"popularity"}


def test_recency_is_scored_as_the_retriever_does(feed: Interactions, part: HoldoutSplit, catalogue: ItemTable) -> None:
    found = recency_of(part, catalogue, 6.0)
    assert found is not None
    ages = (part.rule.moment - catalogue.created) / 3_600.0
    expected = [6.0 / (6.0 + age) if age >= 0.0 else 0.0 for age in ages.tolist()]
    assert found.score(History(), catalogue.item_ids.tolist()).tolist() == pytest.approx(expected)
    undated = replace(catalogue, created=np.full(len(catalogue.created), np.nan))
    assert recency_of(part, undated, 6.0) is None and recency_of(part, None, 6.0) is None
    assert recency_of(leave_last_out(feed, np.random.default_rng(0), 100), catalogue, 6.0) is None


def test_a_training_chooses_it_and_one_with_all_decided_keeps_to_it(feed: Interactions) -> None:
    rng, spec = np.random.default_rng, TrainSpec(("als",), half_lives=HALF_LIVES)
    chosen = select(feed, rng(1), 5.0, spec=spec)
    assert chosen.neutral["popularity"] > 0.0 and set(chosen.weights) == {"als"}
    assert chosen.models["popularity"].config == HALF_LIVES
    configs = {"als": chosen.models["als"].config}
    decided = replace(spec, names=(), configs=configs, shares=chosen.weights, neutral=chosen.neutral)
    again = select(feed, rng(1), 5.0, spec=decided)
    assert again.neutral == chosen.neutral == again.without("als").neutral
