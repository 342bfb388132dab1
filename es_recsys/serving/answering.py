"""Answer a query.

That takes at most four round trips (profile, retrieval, the candidates' missing scores, and the page's fields, which come with
those where the candidates are few), one more for similar users where a model recommends from them, and one for the content of
the user's interests.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace

from es_recsys.errors import EngineError, InputError
from es_recsys.query import Answer, Query, Ranking
from es_recsys.search.filters import parse_filters
from es_recsys.search.page import build_page, order_page
from es_recsys.search.query_dsl import Clause, Response
from es_recsys.search.request import RankingPolicy, Request, UserState, situation
from es_recsys.search.retrieve import parse_responses, plan_retrieval
from es_recsys.search.score import build_scoring_request
from es_recsys.serving.answer_log import answer_record
from es_recsys.serving.operations import Document, Flow, LogAnswer, MultiGet, MultiSearch
from es_recsys.serving.query_vectors import query_vectors
from es_recsys.serving.ranking_policy import for_products, for_similar_items, ranking_policy, with_exploration
from es_recsys.serving.ready_lists import ready_answer
from es_recsys.serving.requests import build_request, query_kind
from es_recsys.serving.similar_items import similar_items_request
from es_recsys.serving.snapshot import ServingSnapshot
from es_recsys.serving.user_profiles import fetch_profile, profile_keys, read_profile
from es_recsys.serving.user_state import load_user_state

__all__ = ["compute_answer", "execute", "run_search"]


def execute(snapshot: ServingSnapshot, query: Query, now: float, policy: RankingPolicy | None = None) -> Flow[Answer]:
    """Answer a query, from the user's ready list where it has the answer, and log the answer.

    now: epoch seconds. policy: how to rank, in place of how the store ranks by itself.
    Raises what `compute_answer` does, and FilterError.
    """
    started = time.perf_counter()
    filters = parse_filters(query.filter, snapshot.metadata.fields)
    keys = profile_keys(snapshot, query)
    stored = yield from fetch_profile(snapshot, query, keys)
    if policy is None and (ready := ready_answer(snapshot, query, stored, keys, now, started)) is not None:
        yield LogAnswer(ready[1])
        return ready[0]
    answer, kind = yield from compute_answer(snapshot, query, filters, keys, stored, now, policy, started)
    yield LogAnswer(answer_record(snapshot, query, answer, kind, keys, now))
    return answer


def compute_answer(
    snapshot: ServingSnapshot,
    query: Query,
    filters: Sequence[Clause],
    keys: Sequence[str],
    stored: Document | None,
    now: float,
    policy: RankingPolicy | None,
    started: float,
) -> Flow[tuple[Answer, str]]:
    """Return the answer to a query and its situation. A retriever that fails is named in `degraded`.

    filters: clauses of `query.filter`. keys: profile keys of the user. stored: the profile, as `fetch_profile` found it. started:
    `time.perf_counter()`. Raises InputError for a query that can't be answered; StoreNotFound where the index is gone.
    """
    policy = for_products(policy or ranking_policy(snapshot), query)
    profile = yield from read_profile(snapshot, query, stored, now)
    failed = snapshot.removed_models
    if query.like is not None:
        policy = for_similar_items(policy)
        request, user = yield from similar_items_request(snapshot, policy, query, profile, filters, now)
    else:
        vectors, unencoded = yield from query_vectors(snapshot, query)
        request = build_request(query, policy, profile, vectors, filters, now)
        user, unread = yield from load_user_state(snapshot, policy, query, request, profile, keys)
        failed = (*failed, *unencoded, *unread)
    answer_id = str(uuid.uuid4())
    policy = with_exploration(policy, snapshot, query, keys, now, answer_id)
    ranking = yield from run_search(request, user, policy)
    ranking = replace(ranking, degraded=tuple(dict.fromkeys((*failed, *ranking.degraded))))
    unknown = yield from _unknown_ids(snapshot, query, ranking)
    answer = Answer(answer_id, query_kind(query), ranking, (time.perf_counter() - started) * 1_000.0, unknown)
    return answer, situation(request, user)


def run_search(request: Request, user: UserState, policy: RankingPolicy) -> Flow[Ranking]:
    """Retrieve, score, rerank and cut the page: two requests, or three where many candidates can reach it.

    Raises EngineError where no retriever could be asked, InputError where Elasticsearch refuses what all were asked.
    """
    index = policy.metadata.index
    plan = plan_retrieval(request, user, policy)
    retrieved = yield MultiSearch(index, plan.bodies)
    _raise_if_all_failed(retrieved[: len(plan.searched)])
    results = parse_responses(request, user, policy, plan, retrieved)
    while True:
        scoring = build_scoring_request(request, user, policy, results)
        responses = (yield MultiSearch(index, scoring.bodies)) if scoring.bodies else []
        order = order_page(request, user, policy, scoring, responses)
        documents = (yield MultiSearch(index, (order.documents,)))[0] if order.documents is not None else None
        missing = order.missing(documents)
        if not missing:
            if not plan.searched:
                # Candidates that needed no search are an answer where anything could be read of them.
                _raise_if_all_failed([*retrieved, *responses, *((documents,) if documents is not None else ())])
            return build_page(request, user, policy, order, documents)
        request = replace(request, exclude=request.exclude | missing)


def _unknown_ids(snapshot: ServingSnapshot, query: Query, ranking: Ranking) -> Flow[tuple[str, ...]]:
    """Return the ids that were to be ranked and that the store lacks, so that none is left out silently."""
    shown = {hit.item_id for hit in ranking.hits}
    missing = tuple(item_id for item_id in query.ids or () if item_id not in shown)
    found = (yield MultiGet(snapshot.metadata.index, missing, ("item_id",))) if missing else {}
    return tuple(item_id for item_id in missing if item_id not in found)


def _raise_if_all_failed(responses: Sequence[Response]) -> None:
    """Raise where every search failed: such an answer would look as if nothing were found."""
    if not responses or not all("error" in response for response in responses):
        return
    error = responses[0]["error"]
    causes = [error, *(error.get("root_cause") or ())] if isinstance(error, Mapping) else [{"reason": error}]
    why = f"{causes[-1].get('type', 'error')}: {str(causes[-1].get('reason'))[:300]}"
    if all(response.get("status") == 400 for response in responses):
        raise InputError(f"Elasticsearch refused the request ({why}).", "Look at the values given, above all at filters.")
    raise EngineError(
        f"Elasticsearch carried out none of the {len(responses)} searches of this answer ({why}).",
        "See its log and the health of its indices, then try again.",
    )
