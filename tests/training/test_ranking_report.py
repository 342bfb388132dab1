"""What training a ranking says of itself, and of whom it can be trained."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from es_recsys.errors import InputError
from es_recsys.evaluation.statistics import Estimate
from es_recsys.training.lambdamart import LambdaMARTConfig, count_users, cross_validate
from es_recsys.training.ranking_examples import RankingExample, gather, ideal
from es_recsys.training.train_ranking import Outcome, RankingReport


def outcome(**more: Any) -> Outcome:
    found = {"situation": "query", "answers": 120, "before": 0.5, "after": 0.6, "gain": Estimate(0.1, 0.05, 0.15, 120), "p": 0.01}
    return Outcome(**{**found, "trees": 100, "kept": True, "importances": {"price": 1.0}, "curve": {100: 0.6}, **more})


def test_trees_of_the_log_are_compared_with_what_was_served() -> None:
    """Which may have been an earlier forest, and goes on serving where the new one is no better."""
    said = "\n".join(RankingReport("answers", (outcome(), outcome(kept=False)), 1.0).lines())
    assert "weighted sum" not in said
    assert "by the order that was served" in said and "What was served stays" in said
    assert "0.5000 by the weighted sum" in "\n".join(RankingReport("judgments", (outcome(),), 1.0).lines())


def test_a_ranking_is_not_served_for_one_reason_or_the_other() -> None:
    reasons = ["\n".join(outcome(kept=False, lost_titles=lost).lines("the weighted sum")) for lost in (0, 1, 3)]
    assert "It is not served: it is not significantly better than the weighted sum." in reasons[0]
    assert "It is not served: 1 title that is asked for would lose the first place." in reasons[1]
    assert "It is not served: 3 titles that are asked for would lose the first place." in reasons[2]
    assert all("What was served stays." in reason for reason in reasons)


def test_answers_of_fewer_askers_than_folds_say_nothing_of_other_people() -> None:
    pytest.importorskip("lightgbm")
    rng = np.random.default_rng(0)
    grades = [(rng.random(12) < 0.3).astype(np.float64) for _ in range(120)]
    signal = {"a/good": rng.normal(size=12)}
    shown = [RankingExample(signal, own, ideal(own.tolist()), np.arange(1, 13), f"u{n % 2}") for n, own in enumerate(grades)]
    assert count_users(gather(shown)) == 2
    with pytest.raises(InputError, match=r"120 answers of 2 users.*3"):
        cross_validate(gather(shown), LambdaMARTConfig(trees=6, folds=3), 7)
    assert count_users(gather([RankingExample(signal, own, 1.0) for own in grades])) == 120
