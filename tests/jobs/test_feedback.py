"""From the answer log and what was done with its answers to examples: grades, gains and exposure."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from es_recsys.behaviour.records import StoredEvent
from es_recsys.jobs.feedback import count_exposure, examined, logged_examples, rewards


def event(row: int, kind: str, item: str, answer: str, **more: Any) -> StoredEvent:
    return StoredEvent(row, kind, 1_000.0 + row, user_id="u", item_id=item, query_id=answer, **more)


def record(answer: str, items: list[str], situation: str = "query", **more: Any) -> dict[str, Any]:
    hits = [{"item_id": item, "position": rank, "propensity": 1.0} for rank, item in enumerate(items, 1)]
    signals = {"sum/rank": [float(rank) for rank in range(1, len(items) + 1)], "als/score": [None] * len(items)}
    return {"answer_id": answer, "kind": "search", "query": "q", "situation": situation, "hits": hits, "signals": signals, **more}


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
        record("v", ["a", "b"], signals={}),
    ]
    given = {("x", "b"): 3.0, ("z", "a"): 1.0, ("w", "a"): 1.0, ("v", "a"): 1.0}
    looked = np.array([1.0, 0.5, 0.25])
    found = logged_examples(records, "query", given, looked)
    assert len(found) == 1
    assert found.who == ("k",)
    assert found.grades.tolist() == [0.0, 3.0, 0.0]
    assert found.gains.tolist() == [0.0, 6.0, 0.0]
    assert found.positions.tolist() == [1, 2, 3] and found.shown
    assert found.names == ("als/score", "sum/rank")
    assert np.isnan(found.rows[:, 0]).all() and found.rows[:, 1].tolist() == [1.0, 2.0, 3.0]
    assert found.ideals == pytest.approx([6.0])


def test_exposure_counts_looks_and_deeds() -> None:
    records = [record("x", ["a", "b"]), record("y", ["b", "a"])]
    exposure = count_exposure(records, {("x", "a"): 1.0}, np.array([1.0, 0.5]))
    assert exposure.seen == {"a": (1.5, 1.0), "b": (1.5, 0.0)}
    assert exposure.rate == pytest.approx(1 / 3)


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
