"""The candidates of a ranking in one table, and which of them can reach the page.

Weighted sum (default): score = sum over retrievers of weight * score on the retriever's scale. Every candidate is scored by
every retriever, also by those that did not find it: from the client's own lists at once, by the others in a second request,
which also brings the fields that a hit shows. That request asks only for candidates that can still reach the page (the threshold
algorithm of Fagin, Lotem and Naor, "Optimal aggregation algorithms for middleware", 2003): what a retriever did not return
scores at most as much as the last item that it did. An approximate search can miss an item; then this bound is its score, so
that an item's score never depends on the page.

Reciprocal rank fusion (Cormack, Clarke and Buettcher, 2009): score = sum over retrievers of weight / (k + rank).

Pages are cut from one order: the same `depth` for each, ties broken by id. A page that ends beyond `settings.depth` searches
deeper; there what the ordinary depth finds comes first, in the ordinary order, then the rest. Query vectors, which are near to
everything by some measure, add what the ordinary depth finds and no more.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, takewhile
from typing import Any

import numpy as np
from numpy.typing import NDArray

from es_recsys.forward_index import ForwardIndex
from es_recsys.search.exploration import RERANK_DEPTH
from es_recsys.search.local_scores import local_scores
from es_recsys.search.request import RankingPolicy, Request, UserState, retrieval_depth
from es_recsys.search.retrieval_results import RetrievalResults, RetrieverResult
from es_recsys.search.retriever_weights import names_one_item
from es_recsys.search.retrievers import LEXICAL, MAX_LIST_IDS, ranked_list
from es_recsys.search.scales import scaled_products
from es_recsys.vector_fields import MIN_COSINES, VECTOR_FIELDS

__all__ = [
    "CandidateTable",
    "ScoredCandidates",
    "build_candidates",
    "needs_rest",
    "reachable_rows",
    "score_bounds",
    "sorted_rows",
    "vector_matches",
]


_SURE_HITS = 20
_ALLOWANCE = 1.1


@dataclass(frozen=True, slots=True, eq=False)
class CandidateTable:
    """n candidates by m retrievers.

    item_ids (n,), sorted; retrievers (m,); scores (n, m) float64, on the retrievers' scales, NaN where not known yet; weights
    (m,); is_deep (n,) bool: found only beyond the ordinary depth; is_cold_start (n,) bool: exploration may try it; products
    (n,): what each is a variant of, or the item itself. demotion (n,): what is taken from the total of a product that comes after
    all others, more than any total differs from another, else 0; None for none.
    """

    item_ids: tuple[str, ...]
    retrievers: tuple[RetrieverResult, ...]
    scores: NDArray[np.float64]
    weights: NDArray[np.float64]
    is_deep: NDArray[np.bool_]
    is_cold_start: NDArray[np.bool_]
    products: tuple[str, ...]
    demotion: NDArray[np.float64] | None = None

    def parts(self) -> NDArray[np.float64]:
        """Return the contributions (n, m): weight times score."""
        return self.scores * self.weights

    def totals(self) -> NDArray[np.float64]:
        """Return the totals (n,)."""
        return self.demoted(self.parts().sum(axis=1))

    def demoted(self, totals: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return totals (n,) less the demotion."""
        return totals if self.demotion is None else totals - self.demotion

    def is_demoted(self, row: int) -> bool:
        """Return whether a row comes after all others."""
        return self.demotion is not None and bool(self.demotion[row])


@dataclass(frozen=True, slots=True, eq=False)
class ScoredCandidates:
    """The candidates that can reach the page, all scores known.

    totals: weighted sum of every row of `table`. order: rows, best first by it. documents: item id -> hit of the second
    request. failed: names of what failed there.
    """

    table: CandidateTable
    totals: list[float]
    order: list[int]
    documents: Mapping[str, Mapping[str, Any]]
    failed: tuple[str, ...]

    def document(self, row: int) -> Mapping[str, Any]:
        return self.documents.get(self.table.item_ids[row], {})

    def source(self, row: int) -> Mapping[str, Any]:
        source: Mapping[str, Any] = self.document(row).get("_source", {})
        return source

    def with_stored(self, forward: ForwardIndex, rows: Sequence[int]) -> ScoredCandidates:
        """Return the candidates with the documents that the forward index has of rows, too, perhaps as of a moment ago."""
        ids = [self.table.item_ids[row] for row in rows]
        there = forward.rows(ids)
        found = [item_id for item_id, row in zip(ids, there.tolist(), strict=True) if row >= 0]
        documents = zip(found, forward.documents(there[there >= 0]), strict=True)
        stored = {item_id: {"_id": item_id, "_source": source} for item_id, source in documents}
        return replace(self, documents={**self.documents, **stored})


def build_candidates(request: Request, user: UserState, policy: RankingPolicy, results: RetrievalResults) -> CandidateTable:
    """Return all candidates, with the scores that the first request and the client's own lists give."""
    retrievers = tuple(each for each in results.retrievers if each.retriever.name in results.weights)
    near, deep = _union(request, policy, results, retrievers)
    ids = sorted(near | deep)
    products = tuple(results.products.get(item_id, item_id) for item_id in ids) if results.products else tuple(ids)
    weights = np.array([results.weights[each.retriever.name] for each in retrievers], np.float64)
    if policy.settings.fusion == "rrf":
        columns = [_reciprocal_ranks(policy, each, ids, near) for each in retrievers]
    else:
        local = _local_scores(request, policy, results, retrievers, ids)
        first = _first_found(request, policy, results)
        retrievers = tuple(_with_best(each, local.get(each.retriever.name), ids, first) for each in retrievers)
        columns = [_scores(user, policy, each, ids, products, local.get(each.retriever.name), results) for each in retrievers]
    scores = np.column_stack(columns) if columns else np.zeros((len(ids), 0))
    is_deep, is_cold_start = (_are_in(ids, some) for some in (deep, results.cold_start))
    demotion = _demotion(request, policy, results, products, weights) if request.demote else None
    return CandidateTable(tuple(ids), retrievers, scores, weights, is_deep, is_cold_start, products, demotion)


def _local_scores(
    request: Request, policy: RankingPolicy, results: RetrievalResults, retrievers: Iterable[RetrieverResult], ids: Sequence[str]
) -> Mapping[str, NDArray[np.float64]]:
    """Return what `local_scores` does of the candidates, from what is known of them by then."""
    if results.local is None:
        return local_scores(request, policy, {each.retriever.name: each.query for each in retrievers}, ids)
    place = {item_id: row for row, item_id in enumerate(results.retrievers[0].scores)}
    places = [place[item_id] for item_id in ids]
    return {name: scores[places] for name, scores in results.local.items()}


def score_bounds(table: CandidateTable) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return lower and upper bounds (n,) on each candidate's total."""
    unknown = np.isnan(table.scores)
    if not unknown.any():
        known = table.demoted(table.scores @ table.weights)
        return known, known
    lowest = np.array([-1.0 if each.retriever.scale == "inner" else 0.0 for each in table.retrievers])
    highest = np.array([each.unseen_upper_bound for each in table.retrievers])
    lower = np.where(unknown, lowest, table.scores) @ table.weights
    upper = np.where(unknown, highest, table.scores) @ table.weights
    return table.demoted(lower), table.demoted(upper)


def reachable_rows(
    request: Request, user: UserState, policy: RankingPolicy, table: CandidateTable, window: int = 0
) -> NDArray[np.int64]:
    """Return the rows of `table` that can be among the hits up to the end of the page, or among the first `window`.

    Those that exploration may try are among them. Where variants collapse, a hit is a product.
    """
    threshold = _threshold(policy, table, max(request.end, _reordered(request, user, policy, window)))
    if threshold is None:
        return np.arange(len(table.item_ids))
    _, upper = score_bounds(table)
    return np.flatnonzero((upper >= threshold - 1e-9) | table.is_cold_start)


def needs_rest(
    request: Request,
    user: UserState,
    policy: RankingPolicy,
    results: RetrievalResults,
    table: CandidateTable,
    window: int = 0,
) -> bool:
    """Return whether items that match the words but that the first request didn't find can score much more than the 20th hit.

    No retriever scores them more than its bound. That all are at their bounds is far from what is, so a tenth more than that hit
    is allowed (Fagin, Lotem and Naor, section 6.2: approximation). It is the same for all pages, or one might repeat another.
    """
    if results.joined is None or any(each.retriever.name == LEXICAL and each.exhausted for each in table.retrievers):
        return False
    threshold = _threshold(policy, table, max(_SURE_HITS, _reordered(request, user, policy, window)))
    bounds = (each.unseen_upper_bound * weight for each, weight in zip(table.retrievers, table.weights.tolist(), strict=True))
    return threshold is None or math.fsum(bounds) >= _ALLOWANCE * threshold - 1e-9


def _reordered(request: Request, user: UserState, policy: RankingPolicy, window: int) -> int:
    """Return how many of the best hits may be put in another order. window: those that a learned ranking orders."""
    reranked = request.is_reordered or request.arranges_authors or policy.exploration is not None or user.interests is not None
    return max(window, RERANK_DEPTH if reranked else 0)


def _threshold(policy: RankingPolicy, table: CandidateTable, wanted: int) -> float | None:
    """Return what an item must score to be among so many hits; None where every candidate may be."""
    if wanted >= len(table.item_ids) or table.is_deep.any():
        return None
    lower, _ = score_bounds(table)
    if policy.collapse:
        product_of_row = np.unique(table.products, return_inverse=True)[1].reshape(-1)
        best_of_product = np.full(product_of_row.max() + 1, -np.inf)
        np.maximum.at(best_of_product, product_of_row, lower)
        lower = best_of_product
        if wanted >= len(lower):
            return None
    return float(np.partition(lower, -wanted)[-wanted])


def vector_matches(request: Request, policy: RankingPolicy, results: RetrievalResults) -> tuple[str, ...]:
    """Return the ids that query vectors add to what the text finds, sorted: the same for every page."""
    counting = [each for each in results.retrievers if each.retriever.name in results.weights]
    vectors = [each for each in counting if each.retriever.is_query_vector]
    found = {item_id for each in vectors for item_id in _near_ids(request, policy, each, results.text_finds_nothing)}
    by_text = next((each.scores for each in counting if each.retriever.name == LEXICAL), {})
    return tuple(sorted(found - by_text.keys() - request.exclude))


def sorted_rows(table: CandidateTable, rows: Sequence[int], totals: NDArray[np.float64]) -> list[int]:
    """Return `rows`, ascending, best first, ties by id; what only a deeper search found comes after all else.

    totals: (n,) of all rows.
    """
    own = np.asarray(rows, np.int64)
    # Rows are in the order of ids.
    found: list[int] = own[np.lexsort((-totals[own], table.is_deep[own]))].tolist()
    return found


def _union(
    request: Request, policy: RankingPolicy, results: RetrievalResults, retrievers: Iterable[RetrieverResult]
) -> tuple[set[str], set[str]]:
    """Return the ids found within the ordinary depth, and those found beyond it."""
    depth = policy.settings.depth
    searches_deeper = retrieval_depth(request, policy) > depth
    near: set[str] = set()
    deep: set[str] = set()
    for each in retrievers:
        if each.retriever.is_query_vector:
            near.update(_near_ids(request, policy, each, results.text_finds_nothing))
        elif each.contributes_candidates:
            found = list(each.scores)
            if each.retriever.name == LEXICAL and results.joined is not None:
                near.update(results.joined.ordinary)
            else:
                near.update(found if each.retriever.scale == "list" else found[:depth])
            if searches_deeper:
                deep.update(found)
    if len(near) < depth:
        near.update(results.browsed[:depth])
    near.update(results.cold_start)
    near.update(results.rest or ())
    if searches_deeper:
        deep.update(results.browsed)
    excluded = set(request.exclude)
    excluded.update(item_id for item_id, product in results.products.items() if product in request.exclude)
    return near - excluded, deep - near - excluded


def _near_ids(request: Request, policy: RankingPolicy, result: RetrieverResult, alone: bool) -> list[str]:
    """Return what a query vector adds.

    A kNN search finds everything, the nearest first: so no more on a deep page than on the first, and where the encoder's
    cosines are known, nothing that is far by them. alone: whether the text found nothing; then no model of behaviour adds
    what nobody asked for.
    """
    found = list(result.scores.items())[: policy.settings.depth]
    field = result.retriever.name
    if alone and field in VECTOR_FIELDS and VECTOR_FIELDS[field].source == "model":
        return []
    known = policy.settings.min_cosines.get(field) or MIN_COSINES.get(policy.metadata.vectors[field].model)
    bounds = known if request.has_text else None
    least = -1.0 if bounds is None else bounds[1 if alone else 0]
    # A score that isn't known yet, of an item that was just written, may be near.
    return [item_id for item_id, score in found if not score < least]


def _demotion(
    request: Request, policy: RankingPolicy, results: RetrievalResults, products: Sequence[str], weights: NDArray[np.float64]
) -> NDArray[np.float64] | None:
    """Return what is taken from the totals (n,), None for nothing: words that name one item may name one that is demoted."""
    words = next((each.scores for each in results.retrievers if each.retriever.name == LEXICAL), {})
    if request.has_text and names_one_item(list(words.values()), policy.settings.depth):
        return None
    # Totals lie within the sum of the weights on both sides of 0.
    return np.where(_are_in(products, request.demote), 2.0 * weights.sum(), 0.0)


def _are_in(ids: Sequence[str], some: Collection[str]) -> NDArray[np.bool_]:
    """Return (n,) bool: which of the ids are among some."""
    return np.array([item_id in some for item_id in ids], bool) if some else np.zeros(len(ids), bool)


def _first_found(request: Request, policy: RankingPolicy, results: RetrievalResults) -> Collection[str]:
    """Return the ids that a joined search finds within the ordinary depth: the same for every page."""
    joined = results.joined
    if joined is None:
        return ()
    if retrieval_depth(request, policy) <= policy.settings.depth:
        return joined.seq_no
    return {*joined.ordinary, *chain.from_iterable(joined.nearest)}


def _with_best(
    result: RetrieverResult, local: NDArray[np.float64] | None, ids: Sequence[str], first: Collection[str]
) -> RetrieverResult:
    """Return a result with the best raw score of what the retriever found or, where it wasn't asked, the first search.

    first: what that found. Elasticsearch's own scores are of rounded vectors.
    """
    if result.retriever.scale != "inner" or local is None:
        return result
    found = result.scores or first
    own = local[[item_id in found for item_id in ids]]
    best = max(float(np.nanmax(own, initial=0.0)), result.best)
    return replace(result, best=best if best > 0.0 else 1.0)


def _scores(
    user: UserState,
    policy: RankingPolicy,
    result: RetrieverResult,
    ids: Sequence[str],
    products: Sequence[str],
    local: NDArray[np.float64] | None,
    results: RetrievalResults,
) -> NDArray[np.float64]:
    """Return the scores (n,), NaN where neither the first request nor the forward index (`local`, raw) knows them."""
    if result.retriever.scale == "list":
        return _list_scores(user, policy, result, products)
    if local is not None:
        scores = scaled_products(result.retriever.scale, local, result.best)
        if not np.isnan(scores).any():
            return scores
    missing = 0.0 if result.exhausted else np.nan
    found = result.scores
    if result.retriever.name == LEXICAL and results.joined is not None:
        found = {**{item_id: score / result.best for item_id, score in (results.rest or {}).items()}, **found}
        found |= dict.fromkeys(results.joined.unmatched, 0.0)
    asked = np.array([found.get(item_id, missing) for item_id in ids], np.float64)
    return asked if local is None else np.where(np.isnan(scores), asked, scores)


def _list_scores(user: UserState, policy: RankingPolicy, result: RetrieverResult, ids: Sequence[str]) -> NDArray[np.float64]:
    scorer = user.scorers.get(result.retriever.name)
    if scorer is not None and ids:
        raw = np.asarray(scorer(ids), np.float64)
    else:
        ranked = ranked_list(result.retriever, user, policy)
        # Best first, so that what speaks against an item comes last.
        known = dict(ranked[:MAX_LIST_IDS]) | dict(takewhile(lambda each: each[1] < 0.0, reversed(ranked)))
        raw = np.array([known.get(item_id, 0.0) for item_id in ids], np.float64)
    return np.clip(raw / result.best, -1.0, 1.0)


def _reciprocal_ranks(
    policy: RankingPolicy, result: RetrieverResult, ids: Sequence[str], near: Collection[str]
) -> NDArray[np.float64]:
    """Return 1 / (k + rank), 0 where the retriever did not find the item; within the ordinary depth only its ranks count."""
    ranks = {item_id: rank for rank, item_id in enumerate(result.scores, start=1)} if result.contributes_candidates else {}
    last = len(ranks) if result.retriever.scale == "list" else policy.settings.depth
    found = ((ranks.get(item_id, 0), item_id in near) for item_id in ids)
    k = policy.settings.rank_constant
    return np.array([1.0 / (k + r) if r and (r <= last or not inside) else 0.0 for r, inside in found], np.float64)
