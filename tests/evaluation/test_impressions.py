"""Impressions out of events, and MIND's metrics of their rankings against the definitions, pair by pair."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest

from es_recsys.errors import InputError
from es_recsys.evaluation.impression_report import ImpressionReport
from es_recsys.evaluation.impressions import impression_metrics, impression_split, shown_items
from es_recsys.evaluation.queries import EvalQuery, query_of
from es_recsys.events.records import StoredEvent
from es_recsys.jobs.report import write_report

Make = Callable[..., object]


def event(row: int, event_type: str, item: str, time: float = 0.0, answer: str | None = "a", user: str = "u") -> StoredEvent:
    return StoredEvent(row, event_type, timestamp=time, user_id=user, item_id=item, recommendation_id=answer)


def query(shown: str, clicked: str) -> EvalQuery:
    asked = query_of("u").model_copy(update={"ids": tuple(shown), "n": len(shown)})
    return EvalQuery(asked, dict.fromkeys(clicked, 1.0), "u")


def by_the_definitions(ranked: str, clicked: str) -> Mapping[str, float]:
    """AUC by all pairs, MRR and NDCG as in MIND's own evaluation."""
    labels = [item in clicked for item in ranked]
    pairs = [(i, j) for i, one in enumerate(labels) for j, other in enumerate(labels) if one and not other]
    auc = sum(i < j for i, j in pairs) / len(pairs)
    mrr = sum(1 / (i + 1) for i, one in enumerate(labels) if one) / sum(labels)

    def ndcg(n: int) -> float:
        best = sorted(labels, reverse=True)
        return sum(one / math.log2(i + 2) for i, one in enumerate(labels[:n])) / sum(
            one / math.log2(i + 2) for i, one in enumerate(best[:n])
        )

    return {"AUC": auc, "MRR": mrr, "NDCG@5": ndcg(5), "NDCG@10": ndcg(10)}


@pytest.mark.parametrize("clicked", ["a", "ce", "bdf"])
def test_metrics_are_those_of_the_definitions_for_every_order(clicked: str) -> None:
    orders = ["".join(order) for order in permutations("abcdef")]
    found = impression_metrics(orders, [query("abcdef", clicked)] * len(orders))
    for row, order in enumerate(orders):
        expected = by_the_definitions(order, clicked)
        assert {name: values[row] for name, values in found.items()} == pytest.approx(expected)


def test_what_a_ranking_lacks_comes_last_and_is_tied() -> None:
    found = impression_metrics([["a"], []], [query("abcd", "c"), query("abcd", "c")])
    assert found["AUC"].tolist() == pytest.approx([1 / 3, 0.5])  # below a, tied with b and d; all are tied
    assert found["MRR"].tolist() == pytest.approx([1 / 3, 1 / 3])


def test_long_impressions_have_other_figures_at_five_and_ten() -> None:
    shown = "abcdefghijkl"
    found = impression_metrics([list(shown)], [query(shown, "gl")])
    assert found["NDCG@5"][0] == 0.0
    assert found["NDCG@10"][0] == pytest.approx((1 / math.log2(8)) / (1 + 1 / math.log2(3)))


def test_an_impression_is_what_one_answer_showed() -> None:
    events = [
        event(1, "impression", "x", 10.0),
        event(2, "impression", "y", 10.0),
        event(3, "click", "y", 20.0),
        event(4, "impression", "x", 30.0, "b"),
        event(5, "click", "z", 31.0, "b"),
        event(6, "click", "x", 31.0, "other"),
        event(7, "impression", "x", 40.0, user="v"),
    ]
    found = shown_items(events)
    assert [(one.actor, one.items, one.clicked) for one in found] == [
        ("u", ["x", "y"], {"y"}),
        ("u", ["x"], set()),
        ("v", ["x"], set()),
    ]
    assert [one.tells for one in found] == [True, False, False]


def test_without_an_answer_an_impression_is_a_moment_and_clicks_follow_within_half_an_hour() -> None:
    events = [
        event(1, "impression", "x", 0.0, None),
        event(2, "impression", "y", 0.0, None),
        event(3, "impression", "x", 100.0, None),
        event(4, "impression", "z", 100.0, None),
        event(5, "click", "x", 150.0, None),
        event(6, "click", "y", 1_900.0, None),
        event(7, "click", "z", 50.0, None),
    ]
    assert [(one.items, one.clicked) for one in shown_items(events)] == [(["x", "y"], set()), (["x", "z"], {"x"})]


def test_the_order_is_that_of_the_positions_and_only_some_types_count() -> None:
    events = [
        StoredEvent(1, "impression", timestamp=1.0, user_id="u", item_id="x", recommendation_id="a", position=2),
        StoredEvent(2, "impression", timestamp=1.0, user_id="u", item_id="y", recommendation_id="a", position=1),
        event(3, "click", "x", 2.0),
        event(4, "purchase", "y", 3.0),
        event(5, "hide", "x", 4.0),
    ]
    assert [one.items for one in shown_items(events)] == [["y", "x"]]
    assert [one.clicked for one in shown_items(events, ["purchase"])] == [{"y"}]


def test_the_last_fifth_is_asked_and_nothing_after_its_begin_is_known(interactions: Make) -> None:
    data = interactions({"u": [("x", 1.0), ("y", 500.0)]}, timed=True)
    log = [event(10 * n + k, "impression", item, float(n), f"a{n}") for n in range(100) for k, item in enumerate("xy")]
    log += [event(2_000 + n, "click", "x", n + 0.5, f"a{n}") for n in range(100)]
    split = impression_split(data, log, np.random.default_rng(1), 5)  # type: ignore[arg-type]
    assert len(split) == 5
    assert split.rule.moment == 80.0
    assert all(one.timestamp == 80.0 and one.query.ids == ("x", "y") and one.grades == {"x": 1.0} for one in split.queries)
    assert all(one.history.item_ids == ("x",) for one in split.queries)


def test_a_log_that_tells_nothing_is_told(interactions: Make) -> None:
    data = interactions({"u": [("x", 1.0)]}, timed=True)
    with pytest.raises(InputError, match="same recommendation_id"):
        impression_split(data, [event(1, "impression", "x")], np.random.default_rng(1), 5)  # type: ignore[arg-type]


def test_no_page_is_made_of_metrics_by_impression(tmp_path: Path) -> None:
    report = ImpressionReport("shop", "2026-01-01", "all", 1, 1, 2.0, ())
    (tmp_path / "found.json").write_text(json.dumps(report.to_dict()))
    with pytest.raises(InputError, match="of which there is no page"):
        write_report([tmp_path / "found.json"], tmp_path / "report.html")
