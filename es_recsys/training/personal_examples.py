"""Examples for the learned order of personal searches: each search is executed as it is served, up to the weighted sum."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from es_recsys.evaluation.queries import EvalQuery
from es_recsys.search.personal_ranking import PERSONAL_KINDS, WINDOW, search_features
from es_recsys.search.score import build_scoring_request, resolve_scores
from es_recsys.serving.operations import Flow, MultiSearch
from es_recsys.serving.query_vectors import query_vectors
from es_recsys.serving.ranking_policy import for_query, ranking_policy
from es_recsys.serving.requests import build_request
from es_recsys.serving.retrieval import retrieve
from es_recsys.serving.snapshot import ServingSnapshot
from es_recsys.serving.user_profiles import fetch_profile, profile_keys, read_profile
from es_recsys.serving.user_state import load_user_state
from es_recsys.serving.workspace import Workspace
from es_recsys.training.ranking_examples import RankingExample, RankingExamples, gather, ideal

__all__ = ["personal_examples"]

_TOGETHER = 32


def personal_examples(
    work: Workspace, queries: Sequence[EvalQuery], tables: Mapping[str, Mapping[str, float]]
) -> RankingExamples:
    """Return the windows of those searches that the ranking may order, as examples.

    tables: kind of a search -> weights that it is answered with. A search that fails, or in which nothing is known of the user,
    is left out.
    """
    found: list[RankingExample] = []
    for begin in range(0, len(queries), _TOGETHER):
        flows = partial(_flows, queries=queries[begin : begin + _TOGETHER], tables=tables, now=work.now())
        found += [one for one in work.run_all(flows) if isinstance(one, RankingExample)]
    return gather(found)


def _flows(
    snapshot: ServingSnapshot, queries: Sequence[EvalQuery], tables: Mapping[str, Mapping[str, float]], now: float
) -> list[Flow[RankingExample | None]]:
    return [_example(snapshot, one, tables, now if math.isnan(one.timestamp) else one.timestamp) for one in queries]


def _example(
    snapshot: ServingSnapshot, one: EvalQuery, tables: Mapping[str, Mapping[str, float]], now: float
) -> Flow[RankingExample | None]:
    query, keys = one.query.model_copy(update={"n": WINDOW}), profile_keys(snapshot, one.query)
    policy = ranking_policy(snapshot)
    policy = replace(policy, retriever_weights={**policy.retriever_weights, **tables}, rankers={})
    policy = for_query(policy, query)
    stored = yield from fetch_profile(snapshot, query, keys)
    profile = yield from read_profile(snapshot, query, stored, now)
    vectors, _ = yield from query_vectors(snapshot, query)
    request = build_request(query, policy, profile, vectors, (), now)
    user, _ = yield from load_user_state(snapshot, policy, query, request, profile, keys)
    retrieved = yield from retrieve(request, user, policy, snapshot.past_searches)
    policy, results = retrieved.policy, retrieved.results
    if results.table not in PERSONAL_KINDS or user.strength <= 0.0 or policy.forward is None:
        return None
    scoring = build_scoring_request(request, user, policy, results, table=retrieved.table)
    responses = (yield MultiSearch(snapshot.metadata.index, scoring.bodies)) if scoring.bodies else []
    scored = resolve_scores(policy, scoring, scoring.parse(responses))
    rows = [row for row in scored.order if not scored.table.is_deep[row]][:WINDOW]
    if not rows:
        return None
    features = search_features(request, user, policy, scored, rows)
    grades = np.array([max(one.grades.get(scored.table.products[row], 0.0), 0.0) for row in rows])
    return RankingExample(features, grades, ideal(list(one.grades.values())), None, one.actor)
