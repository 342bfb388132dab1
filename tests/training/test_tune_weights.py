"""The weights that trials of the retrievers set out from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from es_recsys.dataset import Interactions
from es_recsys.evaluation.weights import RetrieverScores, padded_scores
from es_recsys.index_metadata import IndexMetadata
from es_recsys.training.score_cache import ScoreCache
from es_recsys.training.tune_weights import _judged_shares, _with_joined_words
from es_recsys.training.weight_choice import _keeping_titles, best_weights, choose_weights, logit_weights
from es_recsys.training.weight_questions import next_items

RETRIEVERS = ("als", "popularity", "covisitation")


def _scores(theta: tuple[float, float, float, float], questions: int = 3_000) -> RetrieverScores:
    """Choices among 20 candidates by people to whom the retrievers, and the rest, matter so much."""
    rng = np.random.default_rng(1)
    candidates, grades = [], []
    for _ in range(questions):
        parts = rng.random((20, 4))
        utility = parts @ np.array(theta) + rng.gumbel(size=20)
        candidates.append(
            [(f"i{n:02}", row[3], dict(zip(RETRIEVERS, row[:3], strict=True))) for n, row in enumerate(parts.tolist())]
        )
        grades.append({f"i{int(utility.argmax()):02}": 1.0})
    return padded_scores(RETRIEVERS, candidates, grades)


def _of_all(weights: Mapping[str, float], scores: RetrieverScores) -> NDArray[np.float64]:
    return np.tile([weights[retriever] for retriever in scores.retrievers], (len(scores), 1))


def test_what_mattered_beside_the_other_legs_is_found() -> None:
    found = logit_weights(_scores((1.0, 0.0, 2.0, 4.0)))
    assert found == pytest.approx({"als": 0.25, "popularity": 0.0, "covisitation": 0.5}, abs=0.06)


def test_where_the_other_legs_say_nothing_the_largest_is_one() -> None:
    found = logit_weights(_scores((2.0, 0.0, 4.0, 0.0)))
    assert found == pytest.approx({"als": 0.5, "popularity": 0.0, "covisitation": 1.0}, abs=0.1)


def test_nothing_to_choose() -> None:
    empty = padded_scores(RETRIEVERS, [[], []], [{"a": 1.0}, {"b": 1.0}])
    assert logit_weights(empty) == dict.fromkeys(RETRIEVERS, 0.0)


def test_what_is_surely_better_on_people_who_chose_no_part_of_it_is_kept() -> None:
    scores = _scores((0.0, 0.0, 8.0, 0.0), 250)
    who = [f"u{row // 2}" for row in range(250)]
    before = {"als": 1.0, "popularity": 0.0, "covisitation": 0.1}
    found = choose_weights("no_query", scores, _of_all(before, scores), who, 400, None, 7)
    assert found.kept
    assert found.weights["covisitation"] > 2 * max(found.weights["als"], found.weights["popularity"])
    assert found.before == pytest.approx(scores.ndcg(before).mean())
    # Nothing chosen without a question knows it better than what is chosen with it.
    assert found.before + 0.1 < found.after < scores.ndcg(found.weights).mean() + 0.01


def test_no_change_of_one_retriever_betters_what_was_found() -> None:
    scores = _scores((1.0, 0.0, 2.0, 4.0), 400)
    start = {"als": 0.9, "popularity": 1.0, "covisitation": 0.12}
    result = best_weights(scores, start, 1_000, 60.0)[1]
    assert result.best is not None
    found = result.best.settings
    reached = scores.ndcg(found).mean()
    assert reached > scores.ndcg(start).mean() + 0.02
    values = {one.settings["als"] for one in result.trials}
    assert len(values) > 10
    assert all(scores.ndcg({**found, retriever: value}).mean() <= reached for retriever in RETRIEVERS for value in values)


def test_where_judgments_weighed_words_and_vectors_they_are_one_signal() -> None:
    rng = np.random.default_rng(2)
    names = ("lexical", "text_vector", "als")
    candidates = [
        [(f"i{n:02}", 0.0, dict(zip(names, row, strict=True))) for n, row in enumerate(rng.random((20, 3)))] for _ in range(9)
    ]
    apart = padded_scores(names, candidates, [{"i03": 1.0}] * 9)
    judged = IndexMetadata(store="s", version=1, retriever_weights={"query": {"lexical": 0.8, "text_vector": 0.4}})
    shares = _judged_shares(judged, names)
    assert shares == {"text_vector": pytest.approx(0.5)}
    joined = _with_joined_words(apart, shares)
    assert (
        joined.ndcg({"lexical": 0.6, "als": 0.2}).tolist()
        == apart.ndcg({"lexical": 0.6, "text_vector": 0.3, "als": 0.2}).tolist()
    )
    assert _judged_shares(IndexMetadata(store="s", version=1), names) == {}


def test_no_title_is_lost() -> None:
    # One candidate is found by the words, another is what everybody takes.
    def asked(words: float) -> RetrieverScores:
        pair = [("a", 0.0, {"lexical": 1.0}), ("b", 0.0, {"lexical": words, "als": 1.0})]
        return padded_scores(("lexical", "als"), [pair] * 4, [{"a": 1.0}] * 4)

    neutral = np.array([1.0, 0.0])
    weights = {"lexical": 1.0, "als": 0.8}
    before = np.tile([1.0, 0.5], (4, 1))
    kept = _keeping_titles(weights, (asked(0.0), before), neutral)
    assert kept == weights
    assert _keeping_titles(weights, (asked(0.5), before), neutral) == {"lexical": 1.0, "als": pytest.approx(0.4)}
    assert _keeping_titles(weights, None, neutral) == weights


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_in_noise_the_weights_stay(seed: int) -> None:
    rng = np.random.default_rng(seed)
    candidates = [
        [(f"i{n:02}", 0.0, dict(zip(RETRIEVERS, row, strict=True))) for n, row in enumerate(rng.random((20, 3)))]
        for _ in range(120)
    ]
    scores = padded_scores(RETRIEVERS, candidates, [{f"i{rng.integers(20):02}": 1.0} for _ in range(120)])
    before = dict.fromkeys(RETRIEVERS, 0.5)
    found = choose_weights("no_query", scores, _of_all(before, scores), [""] * 120, 400, None, 7)
    assert not found.kept
    assert found.weights == before
    # The best of many looks better on the questions that it was chosen by; it must not be judged by those.
    assert found.p >= 0.05


@pytest.mark.parametrize(("timed", "users", "kind"), [(True, 300, "split in time"), (True, 60, "last"), (False, 300, "last")])
def test_what_came_after_a_moment_is_asked_where_enough_did(timed: bool, users: int, kind: str) -> None:
    rng = np.random.default_rng(3)
    each = 12
    data = Interactions(
        user_ids=np.array([f"u{user:03}" for user in range(users)]),
        item_ids=np.array([f"i{item:03}" for item in range(200)]),
        users=np.repeat(np.arange(users, dtype=np.int32), each),
        items=np.concatenate([rng.choice(200, each, replace=False) for _ in range(users)]).astype(np.int32),
        weights=np.ones(users * each, np.float32),
        times=np.concatenate([np.sort(rng.random(each)) * 1e6 for _ in range(users)]),
        timed=timed,
    )
    split = next_items(data, np.random.default_rng(0), users, ())
    assert kind in split.kind
    assert len(split) >= 50


def test_the_same_weights_are_scored_once(monkeypatch: pytest.MonkeyPatch) -> None:
    scored: list[tuple[float, ...]] = []
    ndcg = RetrieverScores.ndcg

    def counting(self: RetrieverScores, weights: Mapping[str, float]) -> NDArray[np.float64]:
        scored.append(tuple(weights.get(retriever, 0.0) for retriever in self.retrievers))
        return ndcg(self, weights)

    scores = _scores((1.0, 0.0, 2.0, 0.0), 60)
    monkeypatch.setattr(RetrieverScores, "ndcg", counting)
    best_weights(scores, dict.fromkeys(RETRIEVERS, 0.5), 200, 60.0)
    assert len(scored) > 30
    assert len(scored) == len(set(scored))


def test_answers_are_kept_for_the_same_question_alone(tmp_path: Path) -> None:
    path, scores = tmp_path / "deep" / "scores.npz", _scores((1.0, 0.0, 2.0, 4.0), 20)
    before = _of_all({"als": 0.5, "popularity": 0.25, "covisitation": 0.0}, scores)
    assert ScoreCache(path, "one").get() is None
    ScoreCache(path, "one").put(scores, before)
    found = ScoreCache(path, "one").get()
    assert found is not None
    assert found[1].tolist() == before.tolist()
    weights = {"als": 0.5, "covisitation": 0.25}
    assert found[0].ndcg(weights).tolist() == scores.ndcg(weights).tolist() != scores.ndcg({}).tolist()
    assert found[0].retrievers == scores.retrievers
    assert ScoreCache(path, "other").get() is None
    path.write_bytes(path.read_bytes()[:500])
    assert ScoreCache(path, "one").get() is None
    ScoreCache(path, "other").put(scores, before)
    assert ScoreCache(path, "other").get() is not None
    assert [one.name for one in path.parent.iterdir()] == ["scores.npz"]
