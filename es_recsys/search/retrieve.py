"""The first request of a ranking: each retriever's best items, on scales that can be added.

plan = plan_retrieval(request, user, policy)                          # the bodies of one `_msearch`
results = parse_responses(request, user, policy, plan, responses)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from es_recsys.search.bodies import browse_body, candidates_body
from es_recsys.search.facets import parse_facets, with_counts
from es_recsys.search.local_scores import has_local_candidates, recency_scores
from es_recsys.search.products import product_of, products_of
from es_recsys.search.query_dsl import NO_RESPONSE, Body, Clause, Response, hits_of, is_partial, item_id_of, total_of
from es_recsys.search.request import RankingPolicy, Request, ScoredIds, UserState, retrieval_depth
from es_recsys.search.retriever_weights import damped_weights, retriever_weights
from es_recsys.search.retrievers import (
    LEXICAL,
    MAX_LIST_IDS,
    RECENCY,
    Retriever,
    active_retrievers,
    contributes_candidates,
    ranked_list,
)

__all__ = [
    "MATCHES",
    "PlannedRetriever",
    "RetrievalPlan",
    "RetrievalResults",
    "RetrieverResult",
    "parse_responses",
    "plan_retrieval",
    "scaled_products",
    "scaled_scores",
]

MATCHES = "matches"
"""What `degraded` names where the matches could not be counted."""


@dataclass(frozen=True, slots=True)
class PlannedRetriever:
    """A retriever with its query.

    body: the search that finds its candidates; None where it only scores those of others, where they are known here, or where
    another retriever's search finds them, too. source: the name of the retriever whose response has its candidates.
    """

    retriever: Retriever
    query: Clause
    body: Body | None
    source: str


@dataclass(frozen=True, slots=True)
class RetrievalPlan:
    """Retrievers with a query and a non-zero weight, or tried by exploration.

    weights: of each, in a search before damping. browse: where nothing is asked, the body that counts and lists what may be
    shown; a search is counted by the second request, which knows what the first one found.
    """

    planned: tuple[PlannedRetriever, ...]
    weights: Mapping[str, float]
    browse: Body | None

    @property
    def searched(self) -> tuple[Retriever, ...]:
        """The retrievers that have a body, in the order of `bodies`."""
        return tuple(each.retriever for each in self.planned if each.body is not None)

    @property
    def bodies(self) -> tuple[Body, ...]:
        """One body a searched retriever, then `browse`."""
        bodies = [each.body for each in self.planned if each.body is not None]
        return (*bodies, self.browse) if self.browse is not None else tuple(bodies)


@dataclass(frozen=True, slots=True)
class RetrieverResult:
    """What one retriever found.

    query: as planned. scores: item id -> score on the retriever's scale, best first. best: what raw scores are divided by.
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

    weights: what each counts with. browsed, total, facets: what the browse body found, where nothing was asked. degraded:
    names of what failed. cold_start: the items that exploration may try although nothing recommends them, newest first, the
    same for every page. products: item id -> product, of items that are variants.
    """

    retrievers: tuple[RetrieverResult, ...]
    weights: Mapping[str, float]
    browsed: tuple[str, ...] = ()
    total: int | None = None
    facets: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    degraded: tuple[str, ...] = ()
    cold_start: tuple[str, ...] = ()
    products: Mapping[str, str] = field(default_factory=dict)

    @property
    def text_finds_nothing(self) -> bool:
        return any(each.retriever.name == LEXICAL and each.exhausted and not each.scores for each in self.retrievers)


def plan_retrieval(request: Request, user: UserState, policy: RankingPolicy) -> RetrievalPlan:
    """Return the searches that find the candidates. Each retriever's query is built here and nowhere else."""
    queries = [
        (retriever, query)
        for retriever in active_retrievers(request, user, policy)
        if (query := retriever.build_query(request, user, policy)) is not None
    ]
    weights = retriever_weights(request, user, policy, [retriever for retriever, _ in queries])
    planned = tuple(
        PlannedRetriever(retriever, query, _candidates_body(retriever, query, request, policy), retriever.name)
        for retriever, query in queries
        if retriever.name in weights or _is_explored(retriever, request, policy)
    )
    planned = _with_joined_lists(planned, request, policy)
    browse = None if request.has_query else with_counts(browse_body(request, policy), request, policy)
    if browse is not None and _has_long_list(planned, request, policy):
        browse = {**browse, "size": 0}
    return RetrievalPlan(planned, weights, browse)


def parse_responses(
    request: Request, user: UserState, policy: RankingPolicy, plan: RetrievalPlan, responses: Sequence[Response]
) -> RetrievalResults:
    """Read the responses to `plan.bodies`, in their order.

    A retriever whose response is an error is left out and named in `degraded`; one whose response is partial counts with what
    it has, and is named, too.
    """
    found = dict(zip((retriever.name for retriever in plan.searched), responses, strict=False))
    partial = [each.retriever.name for each in plan.planned if is_partial(found.get(each.source, {}))]
    failed = [each.retriever.name for each in plan.planned if "error" in found.get(each.source, {})]
    results = tuple(
        _parse_response(request, user, policy, each, found.get(each.source))
        for each in plan.planned
        if each.retriever.name not in failed
    )
    lexical_scores = [hit["_score"] for hit in hits_of(found.get(LEXICAL, {}))]
    retrievers = [each.retriever for each in results]
    weights = damped_weights(request, user, policy, plan.weights, retrievers, lexical_scores)
    products = products_of(responses) if policy.has_variants else {}
    cold_start = _cold_start(policy, results, products)
    retrieved = RetrievalResults(results, weights, degraded=(*failed, *partial), cold_start=cold_start, products=products)
    if plan.browse is None:
        return retrieved
    browsed = responses[len(plan.searched)] if len(responses) > len(plan.searched) else NO_RESPONSE
    if "error" in browsed or is_partial(browsed):
        return replace(retrieved, degraded=(*retrieved.degraded, MATCHES))
    ids = tuple(map(item_id_of, hits_of(browsed)))
    return replace(retrieved, browsed=ids, total=total_of(browsed), facets=parse_facets(browsed))


def scaled_scores(scale: str, scores: NDArray[np.float64], best: float) -> NDArray[np.float64]:
    """Return Elasticsearch's `_score` (n,) on the scale of a retriever.

    cosine: `_score` is (1 + cos) / 2; below 0 an item is unlike, which counts like having no vector.
    dot: `_score` is 1 + cos, or below 1 for what is unlike.
    inner: `_score` is 1 + x for an inner product x >= 0, else 1 / (1 - x); over `best`, within [-1, 1].
    best: over `best`, within [0, 1].
    """
    if scale == "cosine":
        return np.clip(2.0 * scores - 1.0, 0.0, 1.0)
    if scale == "dot":
        return np.clip(scores - 1.0, 0.0, 1.0)
    if scale == "inner":
        # A filtered scan of a flat index also returns documents without a vector, with the score 0.
        there = scores > 0.0
        raw = np.where(scores >= 1.0, scores - 1.0, 1.0 - 1.0 / np.where(there, scores, 1.0))
        return np.where(there, np.clip(raw / best, -1.0, 1.0), 0.0)
    return np.minimum(scores / best, 1.0)


def scaled_products(scale: str, products: NDArray[np.float64], best: float) -> NDArray[np.float64]:
    """Return inner products (n,) on the scale of a retriever, as `scaled_scores` returns Elasticsearch's `_score`; NaN stays."""
    if scale in ("cosine", "dot"):
        return np.clip(products, 0.0, 1.0)
    return np.clip(products / best, -1.0, 1.0) if scale == "inner" else products


def _candidates_body(retriever: Retriever, query: Clause, request: Request, policy: RankingPolicy) -> Body | None:
    """Return the body of the first request; None where its scores or candidates are known without."""
    if retriever.scale == "list" and not contributes_candidates(retriever, request):
        return None
    if (retriever.scale == "list" or retriever.name == RECENCY) and has_local_candidates(request, policy):
        return None
    return candidates_body(retriever, query, request, policy)


def _with_joined_lists(
    planned: tuple[PlannedRetriever, ...], request: Request, policy: RankingPolicy
) -> tuple[PlannedRetriever, ...]:
    """Return the plan with one search for the ids of all lists, which is the first list's."""
    lists = [each for each in planned if each.body is not None and each.retriever.scale == "list"]
    if len(lists) < 2:
        return planned
    first, *others = lists
    ids = list(dict.fromkeys(item_id for each in lists for item_id in each.query["ids"]["values"]))
    body = candidates_body(first.retriever, {"ids": {"values": ids}}, request, policy)
    joined = {first.retriever.name: replace(first, body=body)}
    joined |= {each.retriever.name: replace(each, body=None, source=first.source) for each in others}
    return tuple(joined.get(each.retriever.name, each) for each in planned)


def _has_long_list(planned: Sequence[PlannedRetriever], request: Request, policy: RankingPolicy) -> bool:
    """Return whether a list known here brings enough candidates by itself; a page beyond the ordinary depth needs all items."""
    if retrieval_depth(request, policy) > policy.settings.depth:
        return False
    lists = (each.query["ids"]["values"] for each in planned if each.retriever.scale == "list")
    return has_local_candidates(request, policy) and any(len(ids) >= policy.settings.depth for ids in lists)


def _is_explored(retriever: Retriever, request: Request, policy: RankingPolicy) -> bool:
    exploration = policy.exploration
    return (
        retriever.name == RECENCY
        and exploration is not None
        and exploration.newest > 0
        and contributes_candidates(retriever, request)
    )


def _cold_start(policy: RankingPolicy, results: Sequence[RetrieverResult], products: Mapping[str, str]) -> tuple[str, ...]:
    newest = next((each for each in results if each.retriever.name == RECENCY), None)
    if policy.exploration is None or newest is None or not newest.contributes_candidates:
        return ()
    ids = list(newest.scores)[: policy.settings.depth]
    chosen = set(policy.exploration.cold_start_candidates([products.get(item_id, item_id) for item_id in ids]))
    return tuple(item_id for item_id in ids if products.get(item_id, item_id) in chosen)


def _parse_response(
    request: Request, user: UserState, policy: RankingPolicy, planned: PlannedRetriever, response: Response | None
) -> RetrieverResult:
    retriever, query = planned.retriever, planned.query
    contributes = contributes_candidates(retriever, request)
    hits = hits_of(response or {})
    local = planned.body is None and has_local_candidates(request, policy)
    if retriever.scale == "list":
        ranked = ranked_list(retriever, user, policy)
        best = _largest(ranked)
        scores = _present(request, policy, ranked, best) if local else _allowed(ranked, hits, best)
        return RetrieverResult(retriever, query, scores, best, True, 1.0, contributes)
    if local:
        return _newest(request, policy, planned)
    best = _best(retriever, hits)
    raw = np.array([hit["_score"] for hit in hits], np.float64)
    scores = dict(zip(map(item_id_of, hits), scaled_scores(retriever.scale, raw, best).tolist(), strict=True))
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
    ordinary = policy.settings.depth
    exhausted = len(ids) < ordinary
    bound = 0.0 if exhausted else float(found[ordinary - 1])
    scores = dict(zip(ids, found.tolist(), strict=True))
    contributes = contributes_candidates(planned.retriever, request)
    return RetrieverResult(planned.retriever, planned.query, scores, 1.0, exhausted, bound, contributes)


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


def _largest(ranked: ScoredIds) -> float:
    first = ranked[0][1] if ranked else 0.0
    return first if first > 0.0 else max((abs(raw) for _, raw in ranked), default=1.0) or 1.0
