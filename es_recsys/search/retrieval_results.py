"""What the searches of a plan found: each retriever's best items, on scales that can be added."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from es_recsys.search.bodies import candidates_depth
from es_recsys.search.facets import parse_facets
from es_recsys.search.joined_search import JoinedHits, nearest_depth, parse_joined, rest_scores, seq_no_of
from es_recsys.search.local_scores import local_scores, recency_scores
from es_recsys.search.products import product_of, products_of
from es_recsys.search.query_dsl import NO_RESPONSE, Clause, Response, hits_of, is_partial, item_id_of, item_ids_of, total_of
from es_recsys.search.request import RankingPolicy, Request, ScoredIds, UserState, retrieval_depth
from es_recsys.search.retrieval_plan import REST, PlannedRetriever, RetrievalPlan, is_local
from es_recsys.search.retriever_weights import damped_weights, search_table
from es_recsys.search.retrievers import LEXICAL, MAX_LIST_IDS, RECENCY, Retriever, contributes_candidates, ranked_list
from es_recsys.search.scales import scaled_products, scaled_scores
from es_recsys.search.word_matches import BestMatches, WordMatches, best_matches

__all__ = ["MATCHES", "UNKNOWN_BEST", "RetrievalResults", "RetrieverResult", "list_best", "parse_responses"]

MATCHES = "matches"
"""What `degraded` names where the matches could not be counted."""

UNKNOWN_BEST = 0.0
"""Stands for the best raw score of a retriever that was not asked for items: that of the candidates is taken."""


@dataclass(frozen=True, slots=True)
class RetrieverResult:
    """What one retriever found.

    query: as planned. scores: item id -> score on the retriever's scale, best first. best: what raw scores are divided by, or
    UNKNOWN_BEST.
    exhausted: whether `scores` has every item that the retriever can score. unseen_upper_bound: upper bound on the score of
    items not returned: the last score of a full list (at least 0, which items without a vector have), 1 where the retriever
    searched only a part. contributes_candidates: whether its items become candidates.
    """

    retriever: Retriever
    query: Clause
    scores: Mapping[str, float]
    best: float
    exhausted: bool
    unseen_upper_bound: float
    contributes_candidates: bool


@dataclass(frozen=True, slots=True)
class RetrievalResults:
    """What all retrievers found.

    weights: what each counts with; of a search, those of `table` (see `search_table`). browsed, total, facets: what the browse
    body found, where nothing was asked. degraded: names of what failed. cold_start: the items that exploration may try although
    nothing recommends them, newest first, the same for every page. products: item id -> product, of items that are variants.
    joined: what a joined search found. rest: item id -> BM25 of the matches that other retrievers found, None where these were
    not asked. seq_no: item id -> number of the write that either of the two found. local: what
    `local_scores` says of the hits of the first retriever, in their order, which are all candidates; None where it wasn't asked.
    """

    retrievers: tuple[RetrieverResult, ...]
    weights: Mapping[str, float]
    table: str = "query"
    browsed: tuple[str, ...] = ()
    total: int | None = None
    facets: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    degraded: tuple[str, ...] = ()
    cold_start: tuple[str, ...] = ()
    products: Mapping[str, str] = field(default_factory=dict)
    joined: JoinedHits | None = None
    rest: Mapping[str, float] | None = None
    seq_no: Mapping[str, int] = field(default_factory=dict)
    local: Mapping[str, NDArray[np.float64]] | None = None

    @property
    def text_finds_nothing(self) -> bool:
        return any(each.retriever.name == LEXICAL and each.exhausted and not each.scores for each in self.retrievers)


def parse_responses(
    request: Request,
    user: UserState,
    policy: RankingPolicy,
    plan: RetrievalPlan,
    responses: Sequence[Response],
    matches: WordMatches | None = None,
) -> RetrievalResults:
    """Read the responses to `plan.bodies`, in their order, and to `rest_of_plan` where that was asked for, too.

    matches: all items that match the words, of which the best become candidates, None where they aren't known.

    A retriever whose response is an error is left out and named in `degraded`; one whose response is partial counts with what
    it has, and is named, too.
    """
    found = dict(zip((retriever.name for retriever in plan.searched), responses, strict=False))
    if plan.joined is not None and len(responses) > len(plan.bodies):
        found[REST] = responses[len(plan.bodies)]
    partial = [each.retriever.name for each in plan.planned if is_partial(found.get(each.source, {}))]
    failed = [each.retriever.name for each in plan.planned if "error" in found.get(each.source, {})]
    joined = None
    answered = [each for each in plan.planned if each.retriever.name not in failed]
    if plan.joined is None:
        nearest = _nearest(request, policy, plan)
        results = tuple(_parse_response(request, user, policy, each, found.get(each.source), nearest) for each in answered)
        lexical_scores: Sequence[float] = [hit["_score"] for hit in hits_of(found.get(LEXICAL, {}))]
    else:
        joined = parse_joined(found[LEXICAL], len(plan.joined), request, policy)
        results = tuple(_joined_result(request, user, policy, plan, each, joined, found) for each in answered)
        lexical_scores = list(joined.words.values())
    retrievers = [each.retriever for each in results]
    weights = damped_weights(request, user, policy, plan.weights, retrievers, lexical_scores)
    table = search_table(request, policy, lexical_scores)
    products = products_of(responses) if policy.has_variants else {}
    cold_start = _cold_start(policy, results, products)
    rest: Mapping[str, float] | None = None
    seq_no = joined.seq_no if joined is not None else {}
    if joined is not None and matches is not None:
        queries = [(each.retriever, each.query) for each in answered]
        words = next(iter(joined.words.values()), 1.0)
        best = best_matches(request, user, policy, queries, weights, matches, words, policy.settings.depth)
        results, rest = tuple(_with_best_match(each, best) for each in results), best.words
    elif plan.joined is not None and REST in found:
        rest = rest_scores(found[REST], len(plan.joined), request, policy)
        seq_no = {**seq_no, **seq_no_of(found[REST])}
    degraded = (*failed, *partial)
    retrieved = RetrievalResults(
        results,
        weights,
        table,
        degraded=degraded,
        cold_start=cold_start,
        products=products,
        joined=joined,
        rest=rest,
        seq_no=seq_no,
    )
    if plan.browse is None:
        return retrieved if request.has_query else _locally_browsed(request, policy, retrieved)
    browsed = responses[len(plan.searched)] if len(responses) > len(plan.searched) else NO_RESPONSE
    if "error" in browsed or is_partial(browsed):
        return replace(retrieved, degraded=(*retrieved.degraded, MATCHES))
    ids = tuple(item_ids_of(hits_of(browsed)))
    return replace(retrieved, browsed=ids, total=total_of(browsed), facets=parse_facets(browsed))


def list_best(ranked: ScoredIds) -> float:
    """Return what the raw scores of a list are divided by."""
    first = ranked[0][1] if ranked else 0.0
    return first if first > 0.0 else max((abs(raw) for _, raw in ranked), default=1.0) or 1.0


def _locally_browsed(request: Request, policy: RankingPolicy, retrieved: RetrievalResults) -> RetrievalResults:
    """Return the results with the number of items that may be shown and, where retrievers find too few, some of these."""
    assert policy.forward is not None
    excluded = int((policy.forward.rows(list(request.exclude)) >= 0).sum())
    depth = retrieval_depth(request, policy)
    found = any(len(each.scores) >= depth for each in retrieved.retrievers)
    ids = () if found else tuple(policy.forward.first(depth, request.exclude))
    return replace(retrieved, browsed=ids, total=len(policy.forward) - excluded)


def _joined_result(
    request: Request,
    user: UserState,
    policy: RankingPolicy,
    plan: RetrievalPlan,
    planned: PlannedRetriever,
    joined: JoinedHits,
    found: Mapping[str, Response],
) -> RetrieverResult:
    """Return what a retriever of a joined plan found; what it scores the candidates of others the forward index says."""
    retriever, query = planned.retriever, planned.query
    if planned.source == retriever.name and retriever.name != LEXICAL:
        return _parse_response(request, user, policy, planned, found.get(planned.source), {})
    if retriever.name == LEXICAL:
        best = next(iter(joined.words.values()), 1.0)
        scores = {item_id: score / best for item_id, score in joined.words.items()}
        exhausted = len(scores) >= joined.matches
        bound = 0.0 if exhausted else min(joined.unseen / best, 1.0)
        return RetrieverResult(retriever, query, scores, best, exhausted, bound, True)
    if planned.source == LEXICAL:
        ids = joined.nearest[(plan.joined or ()).index(retriever.name)]
        here = plan.nearest.get(retriever.name)
        if here is None:
            raw = local_scores(request, policy, {retriever.name: query}, ids)[retriever.name]
        else:
            raw = np.array([here.get(item_id, np.nan) for item_id in ids], np.float64)
        scaled = scaled_products(retriever.scale, raw, 1.0)
        order = np.argsort(-scaled, kind="stable")[: nearest_depth(policy)]
        nearest = dict(zip([ids[rank] for rank in order.tolist()], scaled[order].tolist(), strict=True))
        exhausted = len(ids) < nearest_depth(policy)
        bound = 0.0 if exhausted else float(np.nanmin(scaled[order], initial=1.0))
        return RetrieverResult(retriever, query, nearest, 1.0, exhausted, bound, True)
    best = UNKNOWN_BEST if retriever.scale == "inner" else 1.0
    if retriever.scale == "list":
        best = list_best(ranked_list(retriever, user, policy))
    return RetrieverResult(retriever, query, {}, best, False, 1.0, contributes_candidates(retriever, request))


def _with_best_match(result: RetrieverResult, matches: BestMatches) -> RetrieverResult:
    """Return the result of a retriever with the best raw score among all matches, where that counts."""
    best = matches.best.get(result.retriever.name, 0.0)
    return replace(result, best=best) if best > 0.0 else result


def _cold_start(policy: RankingPolicy, results: Sequence[RetrieverResult], products: Mapping[str, str]) -> tuple[str, ...]:
    newest = next((each for each in results if each.retriever.name == RECENCY), None)
    if policy.exploration is None or newest is None or not newest.contributes_candidates:
        return ()
    ids = list(newest.scores)[: policy.settings.depth]
    chosen = set(policy.exploration.cold_start_candidates([products.get(item_id, item_id) for item_id in ids]))
    return tuple(item_id for item_id in ids if products.get(item_id, item_id) in chosen)


def _parse_response(
    request: Request,
    user: UserState,
    policy: RankingPolicy,
    planned: PlannedRetriever,
    response: Response | None,
    nearest: Mapping[str, Mapping[str, float]],
) -> RetrieverResult:
    """Return what a retriever found by its own search, or here. nearest: see `_nearest`."""
    retriever, query = planned.retriever, planned.query
    contributes = contributes_candidates(retriever, request)
    hits = hits_of(response or {})
    local = planned.body is None and is_local(retriever, query, request, policy)
    if retriever.scale == "list":
        ranked = ranked_list(retriever, user, policy)
        best = list_best(ranked)
        scores = _present(request, policy, ranked, best) if local else _allowed(ranked, hits, best)
        return RetrieverResult(retriever, query, scores, best, True, 1.0, contributes)
    if local and retriever.name == RECENCY:
        return _newest(request, policy, planned)
    if local:
        return _found_by_vector(request, policy, planned, nearest[retriever.name])
    best = _best(retriever, hits)
    raw = np.array([hit["_score"] for hit in hits], np.float64)
    scores = dict(zip(item_ids_of(hits), scaled_scores(retriever.scale, raw, best).tolist(), strict=True))
    depth = policy.settings.depth
    searched_all = response is not None and not is_partial(response) and (retriever.matches_query or not request.has_text)
    exhausted = searched_all and len(scores) < depth
    full = searched_all and not exhausted
    bound = max(list(scores.values())[depth - 1], 0.0) if full else float(not exhausted)
    return RetrieverResult(retriever, query, scores, best, exhausted, bound, contributes)


def _present(request: Request, policy: RankingPolicy, ranked: ScoredIds, best: float) -> dict[str, float]:
    """Return item id -> score of the items of a list that the forward index holds and that are not excluded, best first."""
    assert policy.forward is not None
    listed = [(item_id, raw) for item_id, raw in ranked[:MAX_LIST_IDS] if raw > 0.0 and item_id not in request.exclude]
    rows = policy.forward.rows([item_id for item_id, _ in listed]).tolist()
    return {item_id: raw / best for (item_id, raw), row in zip(listed, rows, strict=True) if row >= 0}


def _newest(request: Request, policy: RankingPolicy, planned: PlannedRetriever) -> RetrieverResult:
    """Return the newest items by the forward index."""
    assert policy.forward is not None
    depth = retrieval_depth(request, policy)
    # As many again as may be excluded.
    ids = policy.forward.newest(depth + len(request.exclude), request.now)
    ids = [item_id for item_id in ids if item_id not in request.exclude][:depth]
    found = recency_scores(request, policy, policy.forward.created_at(policy.forward.rows(ids)))
    return _found_here(request, policy, planned, dict(zip(ids, found.tolist(), strict=True)), 1.0)


def _nearest(request: Request, policy: RankingPolicy, plan: RetrievalPlan) -> dict[str, dict[str, float]]:
    """Return retriever -> the items nearest to its vector and their inner products, largest first, of those searched here."""
    together: dict[tuple[str, int], list[PlannedRetriever]] = {}
    for each in plan.planned:
        if "knn" in each.query and each.body is None and is_local(each.retriever, each.query, request, policy):
            depth = candidates_depth(each.retriever, request, policy)
            together.setdefault((each.query["knn"]["field"], depth), []).append(each)
    found: dict[str, dict[str, float]] = {}
    for (vector_field, depth), planned in together.items():
        assert policy.forward is not None
        vectors = np.stack([each.query["knn"]["query_vector"] for each in planned])
        nearest = policy.forward.nearest(vector_field, vectors, depth, request.exclude)
        found |= {each.retriever.name: items for each, items in zip(planned, nearest, strict=True)}
    return found


def _found_by_vector(
    request: Request, policy: RankingPolicy, planned: PlannedRetriever, found: Mapping[str, float]
) -> RetrieverResult:
    """Return what a vector found. found: item id -> inner product, largest first."""
    scale = planned.retriever.scale
    best = next(iter(found.values()), 0.0) if scale == "inner" else 1.0
    best = best if best > 0.0 else 1.0
    scaled = scaled_products(scale, np.array(list(found.values())), best).tolist()
    return _found_here(request, policy, planned, dict(zip(found, scaled, strict=True)), best)


def _found_here(
    request: Request, policy: RankingPolicy, planned: PlannedRetriever, scores: Mapping[str, float], best: float
) -> RetrieverResult:
    """Return what the client found itself. scores: item id -> score on the retriever's scale, best first."""
    depth = min(policy.settings.depth, candidates_depth(planned.retriever, request, policy))
    exhausted = len(scores) < depth
    bound = 0.0 if exhausted else max(list(scores.values())[depth - 1], 0.0)
    contributes = contributes_candidates(planned.retriever, request)
    return RetrieverResult(planned.retriever, planned.query, scores, best, exhausted, bound, contributes)


def _allowed(ranked: ScoredIds, hits: Sequence[Mapping[str, Any]], best: float) -> dict[str, float]:
    """Return item id -> score of the items of a list that passed the filters, best first; variants score as their product."""
    found: dict[str, list[str]] = {}
    for hit in hits:
        found.setdefault(product_of(hit), []).append(item_id_of(hit))
    return {item_id: raw / best for product, raw in ranked for item_id in sorted(found.get(product, ()))}


def _best(retriever: Retriever, hits: Sequence[Mapping[str, Any]]) -> float:
    if retriever.scale not in ("best", "inner"):
        return 1.0
    top = hits[0]["_score"] if hits else 0.0
    raw = top - 1.0 if retriever.scale == "inner" else top
    return float(raw) if raw > 0.0 else 1.0
