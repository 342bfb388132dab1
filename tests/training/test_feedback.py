"""From the answer log and what was done with its answers to examples: grades, gains and stats."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from es_recsys.events.records import StoredEvent
from es_recsys.training.lambdamart import LambdaMARTConfig, forest
from es_recsys.training.logged_examples import count_interaction_stats, examined, logged_examples, rewards
from es_recsys.training.ranking_examples import RankingExamples, ndcg


def event(row: int, kind: str, item: str, answer: str, **more: Any) -> StoredEvent:
    return StoredEvent(row, kind, 1_000.0 + row, user_id="u", item_id=item, query_id=answer, **more)


def record(answer: str, items: list[str], situation: str = "query", **more: Any) -> dict[str, Any]:
    hits = [{"item_id": item, "position": rank, "propensity": 1.0} for rank, item in enumerate(items, 1)]
    ranks = [float(rank) for rank in range(1, len(items) + 1)]
    places = dict.fromkeys(("sum/rank", "sum/score", "sum/gap", "als/rank", "attributes.votes/rank"), ranks)
    features = {**places, "als/score": None, "query/words": 2.0}
    return {
        "answer_id": answer,
        "kind": "search",
        "query": "q",
        "situation": situation,
        "hits": hits,
        "features": features,
        **more,
    }


def test_the_strongest_event_grades_an_item() -> None:
    events = [
        event(1, "click", "a", "x"),
        event(2, "purchase", "a", "x"),
        event(3, "view", "a", "x"),
        event(4, "dislike", "b", "x"),
        event(5, "click", "c", "x", quarantine="too_fast"),
        StoredEvent(6, "click", 2.0, user_id="u", item_id="a"),
        StoredEvent(7, "cart", 2.0, user_id="u", item_id="d", recommendation_id="y"),
    ]
    assert rewards(events) == {("x", "a"): 5.0, ("y", "d"): 3.0}


def test_only_answers_that_something_was_done_with_are_examples() -> None:
    records = [
        record("x", ["a", "b", "c"], user_key="k"),
        record("y", ["a", "b"]),
        record("z", ["a", "b"], situation="no_query"),
        record("w", ["a"]),
        record("v", ["a", "b"], features={}),
    ]
    given = {("x", "b"): 3.0, ("z", "a"): 1.0, ("w", "a"): 1.0, ("v", "a"): 1.0}
    looked = np.array([1.0, 0.5, 0.25])
    found = logged_examples(records, "query", given, looked)
    assert len(found) == 1
    assert found.user_keys == ("k",)
    assert found.grades.tolist() == [0.0, 3.0, 0.0]
    assert found.gains.tolist() == [0.0, 6.0, 0.0]
    assert found.positions.tolist() == [1, 2, 3] and found.shown
    assert found.names == ("als/score", "attributes.votes/rank", "query/words")
    assert np.isnan(found.rows[:, 0]).all() and found.rows[:, 1].tolist() == [1.0, 2.0, 3.0]
    assert found.rows[:, 2].tolist() == [2.0, 2.0, 2.0]
    assert found.ideals == pytest.approx([6.0])


def test_exposure_counts_looks_and_deeds() -> None:
    records = [record("x", ["a", "b"]), record("y", ["b", "a"])]
    stats = count_interaction_stats(records, {("x", "a"): 1.0}, np.array([1.0, 0.5]))
    assert stats.by_item == {"a": (1.5, 1.0), "b": (1.5, 0.0)}
    assert stats.rate == pytest.approx(1 / 3)


def test_examination_is_learned_where_items_moved() -> None:
    rng = np.random.default_rng(0)
    truth = 1.0 / np.arange(1, 6)
    records, given = [], {}
    for number in range(4_000):
        items = [f"i{k}" for k in rng.permutation(5)]
        records.append(record(str(number), items))
        for rank, item in enumerate(items):
            if rng.random() < truth[rank] * (0.2 + 0.15 * int(item[1])):
                given[str(number), item] = 1.0
    looked = examined(records, given)
    assert looked[:5] == pytest.approx(truth, rel=0.2)
    assert looked.min() >= 0.05


def clicked(answers: int, place: str, seed: int) -> tuple[RankingExamples, RankingExamples]:
    """Examples of a log in which people click what is good, where they look, and they look at the first rank most; a signal
    named `place` is the rank. The second is the same with what is good as grades, whatever the rank."""
    rng = np.random.default_rng(seed)
    records, given, truth = [], {}, {}
    for number in range(answers):
        good = rng.normal(size=10)
        found = record(str(number), [f"i{rank}" for rank in range(10)])
        features = {"item/rating": good.tolist(), "als/score": np.sort(rng.normal(size=10))[::-1].tolist()}
        records.append({**found, "features": {**features, place: [float(rank) for rank in range(1, 11)]}})
        likely = 1.0 / (1.0 + np.exp(1.0 - 2.0 * good))
        truth |= {(str(number), f"i{rank}"): float(chance) for rank, chance in enumerate(likely)}
        clicks = rng.random(10) < likely / np.arange(1, 11)
        given |= {(str(number), f"i{rank}"): 1.0 for rank in np.flatnonzero(clicks)}
    everywhere = np.ones(50)
    return logged_examples(records, "query", given, everywhere), logged_examples(records, "query", truth, everywhere)


def test_trees_that_cannot_read_the_place_find_what_is_good() -> None:
    pytest.importorskip("lightgbm")
    trees = LambdaMARTConfig(trees=30, steps=3, num_leaves=7, max_depth=3, learning_rate=0.15, min_data_in_leaf=10, folds=3)
    found = {}
    # The same numbers under a name that tells no place stay among the features.
    for place in ("sum/rank", "attributes.votes/rank"):
        examples, _ = clicked(800, place, seed=1)
        _, truth = clicked(300, place, seed=2)
        assert examples.shown and (place in examples.names) == (place != "sum/rank")
        grown = forest(examples, trees, 30, seed=7)
        found[place] = ndcg(truth, grown.predict(truth.rows.astype(np.float64))).mean()
    assert found["sum/rank"] > found["attributes.votes/rank"] + 0.01
    assert found["sum/rank"] > 0.97
