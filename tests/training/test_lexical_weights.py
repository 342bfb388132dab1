from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from es_recsys.errors import InputError
from es_recsys.index_metadata import IndexMetadata, VectorMetadata
from es_recsys.search.request import RankingPolicy, Request
from es_recsys.training.lexical_weights import Judged, JudgedScores, best_weights, collect, tune

META = IndexMetadata(store="s", version=1, vectors={"text_vector": VectorMetadata(2, "f", "m")})
POLICY = RankingPolicy(metadata=META)
REQUEST = Request(now=0.0, text="red shoe", vectors={"text_vector": np.array([1.0, 0.0], np.float32)})


def judged(rng: np.random.Generator, query: int) -> Judged:
    """One good item in 20; tags know it, the title only guesses, the description misleads."""
    n = 20
    grades = np.zeros(n, np.float32)
    grades[rng.integers(n)] = 1.0
    noise = rng.random((3, n)).astype(np.float32)
    scores = {
        "title": noise[0],
        "tags": noise[1] * 0.5 + grades,
        "description": noise[2] - 0.5 * grades,
        "text_vector": noise[2] * 0,
    }
    return Judged(f"q{query}", tuple(f"i{i:02d}" for i in range(n)), scores, grades, 1.0)


def many(seed: int, n: int = 200) -> list[Judged]:
    rng = np.random.default_rng(seed)
    return [judged(rng, query) for query in range(n)]


def test_ndcg_by_hand() -> None:
    scores = JudgedScores(
        {"title": np.array([[3.0, 2.0, 1.0, 9.0], [1.0, 1.0, 0.0, 0.0]], np.float32)},
        {"text_vector": np.zeros((2, 4), np.float32)},
        np.array([[0.0, 1.0, 0.0, 0.0], [1.0, 0.0, 1.0, 0.0]], np.float32),
        np.array([[True, True, True, False], [True, True, True, True]]),
        np.array([1.0, 1.0 + 1 / math.log2(3)]),
    )
    found = scores.ndcg({"title": 1.0}, {"lexical": 1.0, "text_vector": 0.0})
    ideal = 1.0 + 1 / math.log2(3)
    assert found.tolist() == pytest.approx([1 / math.log2(3), (1.0 + 1 / math.log2(4)) / ideal])


def test_tuning_finds_the_clause_that_knows() -> None:
    found = tune(
        replace(POLICY, metadata=replace(META, text_boosts={"title": 1.0, "description": 1.0})), many(1), np.random.default_rng(0)
    )
    assert found.kept
    assert found.after > found.before + 0.2
    assert found.lexical["tags"] > found.lexical.get("title", 0.0)
    assert "description" not in found.lexical
    assert math.fsum(found.weights.values()) == pytest.approx(1.0, abs=1e-5)
    assert (found.queries, found.held_out) == (200, 50)


def test_tuning_is_repeatable() -> None:
    assert tune(POLICY, many(1), np.random.default_rng(5)) == tune(POLICY, many(1), np.random.default_rng(5))


def test_what_is_not_better_on_queries_held_out_is_not_kept() -> None:
    rng = np.random.default_rng(2)
    noise = [replace(each, scores={name: rng.random(20).astype(np.float32) for name in each.scores}) for each in many(3, 24)]
    results = [tune(POLICY, noise, np.random.default_rng(seed)) for seed in range(8)]
    assert all(found.after >= found.before for found in results)
    assert any(not found.kept and found.lexical["title"] == 0.9 for found in results)


def test_too_few_queries_are_refused() -> None:
    with pytest.raises(InputError, match="Only 3"):
        tune(POLICY, many(1, 3), np.random.default_rng(0))


def test_fixed_boosts_stay() -> None:
    rng = np.random.default_rng(0)
    scores = JudgedScores(
        {"title": rng.random((30, 12)).astype(np.float32), "title.typos": rng.random((30, 12)).astype(np.float32)},
        {},
        (rng.random((30, 12)) > 0.8).astype(np.float32),
        np.ones((30, 12), bool),
        np.ones(30),
    )
    boosts, _ = best_weights(scores, {"title": 1.0, "title.typos": 0.05}, {"lexical": 1.0})
    assert boosts["title.typos"] == 0.05


def test_collect_asks_twice_and_gives_scores_of_all_candidates() -> None:
    def answers(bodies: Sequence[Any], tables: Sequence[dict[str, float]]) -> list[dict[str, Any]]:
        assert len(bodies) == len(tables)
        return [{"hits": {"hits": [{"_id": i, "_score": s} for i, s in table.items()]}} for table in tables]

    flow = collect(REQUEST, POLICY, {"a": 1.0, "z": 2.0})
    first = next(flow)
    second = flow.send(answers(first, [{"b": 4.0, "a": 2.0}, {"c": 0.9}]))
    assert all(body["size"] == 3 for body in second)
    tables: list[dict[str, float]] = [{} for _ in second]
    tables[0], tables[-1] = {"a": 1.5}, {"a": 0.75, "c": 0.9}
    with pytest.raises(StopIteration) as stop:
        flow.send(answers(second, tables))
    found: Judged = stop.value.value
    assert found.item_ids == ("a", "b", "c")
    assert found.grades.tolist() == [1.0, 0.0, 0.0]
    assert found.ideal == pytest.approx(2.0 + 1.0 / math.log2(3))
    assert found.scores["title"].tolist() == [1.5, 0.0, 0.0]
    assert found.scores["text_vector"].tolist() == pytest.approx([0.5, 0.0, 0.8])


@pytest.mark.parametrize("grades", [{}, {"a": 0.0}])
def test_queries_without_a_good_item_are_passed_over(grades: dict[str, float]) -> None:
    with pytest.raises(StopIteration) as stop:
        next(collect(REQUEST, POLICY, grades))
    assert stop.value.value is None
