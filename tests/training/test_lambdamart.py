"""LambdaMART learns what it is shown, the same way for the same seed, and finds nothing where there is nothing."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from es_recsys.evaluation.statistics import paired_test
from es_recsys.training.lambdamart import LambdaMARTConfig, cross_validate, fit, forest
from es_recsys.training.ranking_examples import RankingExample, RankingExamples, gather, ideal, ndcg

pytest.importorskip("lightgbm")

SMALL = LambdaMARTConfig(trees=30, steps=3, num_leaves=7, max_depth=3, learning_rate=0.15, min_data_in_leaf=10, folds=3)


def made(seed: int, answers: int, strength: float, *, clicks: bool = False) -> RankingExamples:
    """Candidates whose grade follows a signal; with clicks only where the rank was looked at, and ranks follow another."""
    rng = np.random.default_rng(seed)
    shown = []
    for number in range(answers):
        good, loud = rng.normal(size=12), rng.normal(size=12)
        order = np.argsort(-loud) if clicks else np.arange(12)
        good, loud = good[order], loud[order]
        likely = 1.0 / (1.0 + np.exp(-strength * good + 1.5))
        looked = 1.0 / np.arange(1, 13) if clicks else np.ones(12)
        grades = (rng.random(12) < likely * looked).astype(np.float64)
        positions: NDArray[np.int64] | None = np.arange(1, 13) if clicks else None
        signals = {"a/good": good, "b/loud": loud, "c/noise": rng.normal(size=12)}
        shown.append(RankingExample(signals, grades, ideal(grades.tolist()), positions, f"u{number % 50}"))
    return gather(shown)


def test_what_is_there_is_learned_and_the_forest_serves_the_same() -> None:
    examples, others = made(1, 250, 3.0), made(2, 100, 3.0)
    grown = forest(examples, SMALL, 30, seed=7)
    scores = grown.predict(others.rows.astype(np.float64))
    booster = fit(examples, SMALL, 30, seed=7)
    assert scores == pytest.approx(booster.predict(others.rows), abs=1e-12)
    by_chance = ndcg(others, np.random.default_rng(0).normal(size=len(scores)))
    assert ndcg(others, scores).mean() > by_chance.mean() + 0.2
    assert forest(examples, SMALL, 30, seed=7).value.tolist() == grown.value.tolist()


def test_the_estimate_is_honest() -> None:
    examples = made(3, 240, 2.0)
    found = cross_validate(examples, SMALL, seed=7)
    fresh = made(4, 400, 2.0)
    truth = ndcg(fresh, forest(examples, SMALL, found.trees, 7).predict(fresh.rows.astype(np.float64))).mean()
    assert found.values.mean() == pytest.approx(truth, abs=0.05)
    assert set(found.curve) == {10, 20, 30} and found.trees in found.curve
    for _ in range(5):
        assert cross_validate(examples, SMALL, seed=7).values.tolist() == found.values.tolist()


def test_nothing_is_found_in_noise() -> None:
    examples = made(5, 200, 0.0)
    found = cross_validate(examples, SMALL, seed=7)
    before = ndcg(examples, -np.arange(len(examples.rows), dtype=np.float64))
    assert paired_test(found.values, before, np.random.default_rng(0)) > 0.01


def test_positions_are_taken_out_of_clicks() -> None:
    """Clicks follow ranks, and ranks a signal that means nothing; trees told of the ranks lean on it less."""
    clicked = made(6, 900, 2.0, clicks=True)
    blind = RankingExamples(
        **{**{name: getattr(clicked, name) for name in RankingExamples.__slots__}, "positions": clicked.positions * 0}
    )
    truth = made(7, 300, 2.0)
    told, untold = (forest(each, SMALL, 30, 7).predict(truth.rows.astype(np.float64)) for each in (clicked, blind))
    assert ndcg(truth, told).mean() > ndcg(truth, untold).mean()
    assert abs(np.corrcoef(told, truth.rows[:, 1])[0, 1]) < abs(np.corrcoef(untold, truth.rows[:, 1])[0, 1])


def test_sampling_keeps_the_graded_and_the_hardest() -> None:
    examples = made(8, 20, 1.0)
    some = examples.sampled(6, np.random.default_rng(0))
    assert some.grades.sum() == examples.grades.sum()
    assert len(some) == len(examples) and np.diff(some.starts).max() <= 12
    for begin, own in zip(examples.starts[:-1], some.starts[:-1], strict=True):
        first_bad = np.flatnonzero(examples.grades[begin : begin + 12] == 0)[0]
        assert (some.rows[own : own + 12] == examples.rows[begin + first_bad]).all(axis=1).any()


def test_ndcg_by_hand() -> None:
    shown = [RankingExample({"a/b": np.array([1.0, 2.0, 3.0])}, np.array([0.0, 1.0, 2.0]), ideal([0, 1, 2, 2]))]
    examples = gather(shown)
    best = 2 + 2 / np.log2(3) + 1 / 2
    assert ndcg(examples, np.array([3.0, 2.0, 1.0])) == pytest.approx([(1 / np.log2(3) + 2 / 2) / best])
    assert ndcg(examples, np.zeros(3)) == pytest.approx(ndcg(examples, np.array([3.0, 2.0, 1.0])))
