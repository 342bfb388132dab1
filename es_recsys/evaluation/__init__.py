"""Splits, metrics, statistics, and a harness that compares whatever answers a query."""

from __future__ import annotations

from es_recsys.evaluation.accuracy import ACCURACY, accuracy
from es_recsys.evaluation.beyond import BEYOND, Catalogue
from es_recsys.evaluation.cost import Cost, measured
from es_recsys.evaluation.harness import Answers, Scores, ask, score, significance, slices_of, summary
from es_recsys.evaluation.questions import Question, Rule, Split
from es_recsys.evaluation.rankers import BlendRanker, ModelRanker, People, Ranker
from es_recsys.evaluation.searches import judged, rebuilt, searches_of
from es_recsys.evaluation.splits import at_random, by_time, by_user, leave_last_out
from es_recsys.evaluation.statistics import Estimate, bootstrap, holm, paired_test

__all__ = [
    "ACCURACY",
    "BEYOND",
    "Answers",
    "BlendRanker",
    "Catalogue",
    "Cost",
    "Estimate",
    "ModelRanker",
    "People",
    "Question",
    "Ranker",
    "Rule",
    "Scores",
    "Split",
    "accuracy",
    "ask",
    "at_random",
    "bootstrap",
    "by_time",
    "by_user",
    "holm",
    "judged",
    "leave_last_out",
    "measured",
    "paired_test",
    "rebuilt",
    "score",
    "searches_of",
    "significance",
    "slices_of",
    "summary",
]
