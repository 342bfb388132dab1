"""Answer a query.

With a forward index that takes two round trips, for the profile and for the candidates, and a third where items that the first
search doesn't find may be on the page. Without one it takes two more, for the candidates' missing scores and the page's fields.
A model that recommends from similar users takes one more.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from dataclasses import replace

from es_recsys.dataset import Profile
from es_recsys.query import Answer, Query, Ranking
from es_recsys.search.candidates import CandidateTable
from es_recsys.search.features import feature_request
from es_recsys.search.filters import parse_filters
from es_recsys.search.page import build_page, order_page
from es_recsys.search.past_searches import PastSearches
from es_recsys.search.query_dsl import Clause
from es_recsys.search.request import RankingPolicy, Request, UserState, situation
from es_recsys.search.score import build_scoring_request
from es_recsys.serving.answer_log import answer_record
from es_recsys.serving.body_search import BodyAnswer, search_by_body
from es_recsys.serving.bought_together import bought_together
from es_recsys.serving.buy_again import buy_again
from es_recsys.serving.listed_items import ListedItems, Listing, for_listed_items, listed_request, with_figures
from es_recsys.serving.nearest_documents import with_nearest
from es_recsys.serving.operations import Document, Flow, Get, LogAnswer, MultiGet, MultiSearch
from es_recsys.serving.query_vectors import query_vectors
from es_recsys.serving.ranking_policy import for_query, for_similar_items, ranking_policy, with_exploration
from es_recsys.serving.reading_beside import run_beside
from es_recsys.serving.ready_lists import ready_answer
from es_recsys.serving.requests import build_request, query_kind
from es_recsys.serving.retrieval import raise_if_all_failed, retrieve
from es_recsys.serving.seen_items import moves_seen, without_seen
from es_recsys.serving.similar_items import similar_items_request
from es_recsys.serving.snapshot import ServingSnapshot
from es_recsys.serving.user_profiles import fetch_profile, profile_keys, read_profile
from es_recsys.serving.user_state import load_user_state

__all__ = ["compute_answer", "execute", "run_search"]


def execute(
    snapshot: ServingSnapshot, query: Query, now: float, policy: RankingPolicy | None = None, listing: Listing | None = None
) -> Flow[Answer]:
    """Answer a query, from the user's ready list where it has the answer, and log the answer.

    now: epoch seconds. policy: how to rank, in place of how the store ranks by itself. listing: makes the list that alone
    decides, from the user's profile.

    Of a user who is at hand the answer is computed while the profile's version is looked at, and again where it isn't the same.
    Raises what `compute_answer` does, and FilterError.
    """
    started = time.perf_counter()
    filters = parse_filters(query.filter, snapshot.metadata.fields)
    keys = profile_keys(snapshot, query)
    known = _known_profile(snapshot, query, keys)
    if known is not None:
        computing = compute_answer(snapshot, query, filters, keys, known, now, policy, started, listing)
        (answer, kind), found = yield from run_beside(Get(snapshot.metadata.profiles, keys[0], source=False), computing)
        if known.is_still(found):
            yield LogAnswer(answer_record(snapshot, query, answer, kind, keys, now))
            return answer
    stored = yield from fetch_profile(snapshot, query, keys)
    if policy is None and listing is None and (ready := ready_answer(snapshot, query, stored, keys, now, started)) is not None:
        yield LogAnswer(ready[1])
        return ready[0]
    answer, kind = yield from compute_answer(snapshot, query, filters, keys, stored, now, policy, started, listing)
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
    listing: Listing | None = None,
) -> Flow[tuple[Answer, str]]:
    """Return the answer to a query and its situation. A retriever that fails is named in `degraded`.

    filters: clauses of `query.filter`. keys: profile keys of the user. stored: the profile, as `fetch_profile` found it. started:
    `time.perf_counter()`. listing: see `execute`. Raises InputError for a query that can't be answered; StoreNotFound where the
    index is gone.
    """
    policy = for_query(policy or ranking_policy(snapshot), query)
    profile = yield from read_profile(snapshot, query, stored, now)
    failed = snapshot.removed_models
    listed = yield from _list_of(snapshot, query, profile, now, listing)
    if listed is not None:
        policy, failed = for_listed_items(policy, listed), ()
        request, user = listed_request(policy, query, profile, listed, filters, now)
        if profile is not None and moves_seen(policy, query, profile):
            request = yield from without_seen(snapshot, policy, query, request, profile)
    elif query.like is not None:
        policy = for_similar_items(policy)
        request, user = yield from similar_items_request(snapshot, policy, query, profile, filters, now)
    else:
        vectors, unencoded = ({}, ()) if query.body is not None else (yield from query_vectors(snapshot, query))
        request = build_request(query, policy, profile, vectors, filters, now)
        if profile is not None and moves_seen(policy, query, profile):
            request = yield from without_seen(snapshot, policy, query, request, profile)
        user, unread = yield from load_user_state(snapshot, policy, query, request, profile, keys)
        failed = (*failed, *unencoded, *unread)
    answer_id = str(uuid.uuid4())
    policy = with_exploration(policy, snapshot, query, keys, now, answer_id)
    if policy.logs_answers and not policy.settings.log_features and not snapshot.feature_sampler.take():
        policy = replace(policy, logs_features=False)
    found: BodyAnswer | None = None
    if query.body is not None:
        asked = (yield from with_nearest(snapshot, request, user, policy, query)) if query.media else query
        found = yield from search_by_body(request, user, policy, asked)
    if listed is not None and not listed.scores:
        ranking = Ranking(total=0)
    else:
        ranking = found.ranking if found else (yield from run_search(request, user, policy, snapshot.past_searches))
    ranking = ranking if listed is None else with_figures(ranking, listed)
    ranking = replace(ranking, degraded=tuple(dict.fromkeys((*failed, *ranking.degraded))))
    unknown = yield from _unknown_ids(snapshot, query, ranking)
    took_ms = (time.perf_counter() - started) * 1_000.0
    answer = Answer(answer_id, query_kind(query), ranking, took_ms, unknown)
    if found is not None:
        answer = replace(answer, response=found.response, unranked=found.unranked)
    return answer, situation(request, user)


def _list_of(
    snapshot: ServingSnapshot, query: Query, profile: Profile | None, now: float, listing: Listing | None
) -> Flow[ListedItems | None]:
    """Return the list that alone decides; None where the answer is searched for."""
    if listing is not None:
        return (yield from listing(profile))
    if query.repeat:
        return buy_again(snapshot, query, profile, now)
    return None if query.bought_with is None else (yield from bought_together(snapshot, query))


def run_search(request: Request, user: UserState, policy: RankingPolicy, past: PastSearches | None = None) -> Flow[Ranking]:
    """Retrieve, score, rerank and cut the page: one request where the forward index tells the rest, else up to four.

    past: see `retrieve`. Raises EngineError where no retriever could be asked, InputError where Elasticsearch refuses what all
    were asked.
    """
    index = policy.metadata.index
    features = feature_request(request, user, policy)
    retrieved = yield from retrieve(request, user, policy, past or PastSearches(), 0 if features is None else features.window)
    policy = retrieved.policy
    table: CandidateTable | None = retrieved.table
    while True:
        scoring = build_scoring_request(request, user, policy, retrieved.results, features, table)
        responses = (yield MultiSearch(index, scoring.bodies)) if scoring.bodies else []
        order = order_page(request, user, policy, scoring, responses)
        documents = (yield MultiSearch(index, (order.documents,)))[0] if order.documents is not None else None
        missing = order.missing(request, documents)
        if not missing:
            if not retrieved.searched:
                # Candidates that needed no search are an answer where anything could be read of them.
                raise_if_all_failed([*retrieved.responses, *responses, *((documents,) if documents is not None else ())])
            return build_page(request, user, policy, order, documents)
        request, table = replace(request, exclude=request.exclude | missing), None


def _known_profile(snapshot: ServingSnapshot, query: Query, keys: Sequence[str]) -> Document | None:
    """Return the profile of the user as it was read or written last; None where it has to be read.

    A recommendation has no search to read it beside, and perhaps a ready list in it.
    """
    if query.history is not None or not keys or query_kind(query) == "recommend":
        return None
    return snapshot.users.known(snapshot.metadata.profiles, keys[0])


def _unknown_ids(snapshot: ServingSnapshot, query: Query, ranking: Ranking) -> Flow[tuple[str, ...]]:
    """Return the ids that were to be ranked and that the store lacks, so that none is left out silently."""
    shown = {hit.item_id for hit in ranking.hits}
    missing = tuple(item_id for item_id in query.ids or () if item_id not in shown)
    found = (yield MultiGet(snapshot.metadata.index, missing, ("item_id",))) if missing else {}
    return tuple(item_id for item_id in missing if item_id not in found)
