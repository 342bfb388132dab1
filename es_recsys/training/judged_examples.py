"""Examples from judgments: each judged query is searched as it is served, and its candidates take their grades."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np

from es_recsys.errors import EngineError
from es_recsys.query import Query
from es_recsys.search.page import window_features
from es_recsys.search.ranker import WINDOW, FeatureRequest
from es_recsys.search.request import UserState
from es_recsys.search.score import build_scoring_request, resolve_scores
from es_recsys.serving.operations import Flow, MultiSearch
from es_recsys.serving.query_vectors import query_vectors
from es_recsys.serving.ranking_policy import for_query, ranking_policy
from es_recsys.serving.requests import build_request
from es_recsys.serving.retrieval import retrieve
from es_recsys.serving.snapshot import ServingSnapshot
from es_recsys.serving.workspace import Workspace
from es_recsys.training.ranking_examples import RankingExample, RankingExamples, gather, ideal

__all__ = ["judged_examples"]

_TOGETHER = 24


def judged_examples(
    work: Workspace,
    grades: Mapping[str, Mapping[str, float]],
    *,
    window: int = WINDOW,
    progress: Callable[[float, float | None], None] | None = None,
) -> RankingExamples:
    """Return the ranking windows of all queries that have a positive grade, as examples for a learned ranking.

    What nobody judged counts 0, as do items not found. grades: query -> item id (of variants the group_id) -> grade >= 0. Nothing
    personal is in them. Raises EngineError where a part of an answer fails, StoreNotFound.
    """
    names = [query for query, own in grades.items() if ideal(list(own.values())) > 0.0]
    found: list[RankingExample] = []
    for start in range(0, len(names), _TOGETHER):
        some = names[start : start + _TOGETHER]
        for shown in work.run_all(partial(_flows, queries=some, grades=grades, window=window, now=work.now())):
            if isinstance(shown, Exception):
                raise shown
            found.append(shown)
        if progress is not None:
            progress(start + len(some), len(names))
    return gather(found)


def _flows(
    snapshot: ServingSnapshot, queries: Sequence[str], grades: Mapping[str, Mapping[str, float]], window: int, now: float
) -> list[Flow[RankingExample]]:
    return [_shown(snapshot, query, grades[query], window, now) for query in queries]


def _shown(snapshot: ServingSnapshot, text: str, grades: Mapping[str, float], window: int, now: float) -> Flow[RankingExample]:
    query, user = Query(text=text), UserState()
    policy = for_query(ranking_policy(snapshot), query)
    vectors, unencoded = yield from query_vectors(snapshot, query)
    request = build_request(query, policy, None, vectors, (), now)
    try:
        retrieved = yield from retrieve(request, user, policy, snapshot.past_searches, window)
    except EngineError as error:
        raise EngineError(f"The answer to {text!r} failed. {error.what}", error.remedy) from error
    policy, results = retrieved.policy, retrieved.results
    scoring = build_scoring_request(request, user, policy, results, FeatureRequest(window), retrieved.table)
    responses = (yield MultiSearch(snapshot.metadata.index, scoring.bodies)) if scoring.bodies else []
    scored = resolve_scores(policy, scoring, scoring.parse(responses))
    failed = dict.fromkeys((*unencoded, *results.degraded, *scored.failed))
    if failed:
        raise EngineError(
            f"The answer to {text!r} lacks {', '.join(failed)}, so its candidates can't be learned from.",
            "See what fails (es-recsys doctor), and train again.",
        )
    rows, features = window_features(request, user, policy, scoring, scored)
    own = np.array([max(grades.get(scored.table.products[row], 0.0), 0.0) for row in rows], np.float64)
    return RankingExample(features, own, ideal(list(grades.values())))
