"""Splits, metrics, statistics, and a harness that compares whatever answers a query."""

from __future__ import annotations

from es_recsys.evaluation.accuracy import ACCURACY, accuracy
from es_recsys.evaluation.beyond_accuracy import BEYOND_ACCURACY, Catalogue
from es_recsys.evaluation.cost import Cost, measured
from es_recsys.evaluation.harness import Answers, Scores, ask, score, subgroups_of, summary
from es_recsys.evaluation.queries import EvalQuery, EvalSplit, EventRule
from es_recsys.evaluation.rankers import EnsembleRanker, EvalUsers, ModelRanker, Ranker
from es_recsys.evaluation.searches import judged_queries, search_outcomes, searches_by_user
from es_recsys.evaluation.splits import QUERY_SPLITS, as_queries, query_split
from es_recsys.evaluation.statistics import Estimate, bootstrap, holm, paired_test

__all__ = [
    "ACCURACY",
    "BEYOND_ACCURACY",
    "QUERY_SPLITS",
    "Answers",
    "Catalogue",
    "Cost",
    "EnsembleRanker",
    "Estimate",
    "EvalQuery",
    "EvalSplit",
    "EvalUsers",
    "EventRule",
    "ModelRanker",
    "Ranker",
    "Scores",
    "accuracy",
    "as_queries",
    "ask",
    "bootstrap",
    "holm",
    "judged_queries",
    "measured",
    "paired_test",
    "query_split",
    "score",
    "search_outcomes",
    "searches_by_user",
    "subgroups_of",
    "summary",
]
