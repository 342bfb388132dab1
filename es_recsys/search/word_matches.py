"""All items that match the words of a search, and which of them score most.

What tastes, models and lists say of an item needs no request, and the words' score of what matches is remembered until an item is
written (see `past_searches`). So once they are known, the best matches are found here, for everybody who searches for the same.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from es_recsys.forward_index import ForwardIndex
from es_recsys.search.bodies import filter_clauses
from es_recsys.search.hit_names import hit_fields
from es_recsys.search.joined_search import words_scores
from es_recsys.search.local_scores import author_scores, recency_scores
from es_recsys.search.query_dsl import Body, Clause, Response, hits_of, is_partial, item_ids_of
from es_recsys.search.request import ListedRows, RankingPolicy, Request, UserState
from es_recsys.search.retrievers import AUTHOR, LEXICAL, MAX_LIST_IDS, RECENCY, Retriever, ranked_list
from es_recsys.search.scales import scaled_products
from es_recsys.top_k import top_k

__all__ = ["BestMatches", "WordMatches", "best_matches", "matches_body", "parse_matches"]

_MOST = 5_000
_EXACT = 8
_DEMOTION = 1_000.0  # more than totals differ


@dataclass(frozen=True, slots=True, eq=False)
class WordMatches:
    """The items that match words and filters (see `lexical.match_query`).

    rows (m,) int32: of the forward index. scores (m,) float32: BM25. complete: False where there are more than these.
    """

    rows: NDArray[np.int32]
    scores: NDArray[np.float32]
    complete: bool


@dataclass(frozen=True, slots=True)
class BestMatches:
    """The matches that score most.

    words: item id -> BM25. best: retriever of scale "inner" -> its highest raw score among all matches.
    """

    words: Mapping[str, float]
    best: Mapping[str, float]


def matches_body(words: Clause, request: Request, policy: RankingPolicy) -> Body:
    """Return the body that finds what matches, scored by words; whom somebody leaves out is among it."""
    filters = filter_clauses(replace(request, exclude=frozenset()), policy, matching=True)
    query = {"bool": {**filters, "should": [words]}}
    return {"size": _MOST + 1, **hit_fields(policy), "track_total_hits": False, "query": query}


def parse_matches(response: Response, vectors: int, request: Request, policy: RankingPolicy) -> WordMatches | None:
    """Read the response to `matches_body`; None where it failed. vectors: of the joined search that these belong to.

    What the forward index doesn't know yet is left out.
    """
    forward = policy.forward
    if forward is None or "error" in response or is_partial(response):
        return None
    hits = hits_of(response)
    if hits and "fields" in hits[0]:
        rows = forward.rows(item_ids_of(hits))
    else:
        rows = forward.rows_of_writes([hit["_seq_no"] for hit in hits])
    scores = words_scores(hits, vectors, request, policy)
    known = rows >= 0
    # `words_scores` rounds to fewer bits than these have.
    return WordMatches(rows[known].astype(np.int32), scores[known].astype(np.float32), len(hits) <= _MOST)


def best_matches(
    request: Request,
    user: UserState,
    policy: RankingPolicy,
    queries: Sequence[tuple[Retriever, Clause]],
    weights: Mapping[str, float],
    matches: WordMatches,
    best_words: float,
    n: int,
) -> BestMatches:
    """Return the n matches with the highest totals by rough scores.

    queries: of the retrievers. weights: what they count with. best_words: what BM25 is divided by. What is excluded is left out,
    what is demoted comes last.
    """
    forward = policy.forward
    assert forward is not None
    rows, words = matches.rows.astype(np.int64), matches.scores.astype(np.float64)
    if request.exclude:
        allowed = ~_are_among(rows, forward, request.exclude)
        rows, words = rows[allowed], words[allowed]
    totals = weights.get(LEXICAL, 0.0) * np.minimum(words / best_words, 1.0)
    best: dict[str, float] = {}
    for retriever, query in queries:
        weight = weights.get(retriever.name, 0.0)
        if weight > 0.0 and retriever.name != LEXICAL:
            scores = _scores(request, user, policy, forward, retriever, query, rows)
            if retriever.scale == "inner":
                best[retriever.name] = _best_product(forward, query, rows, scores)
                scores = scaled_products("inner", scores, best[retriever.name] or 1.0)
            totals = totals + weight * scores
    if request.demote:
        totals[_are_among(rows, forward, request.demote)] -= _DEMOTION
    chosen = top_k(totals, n) if len(rows) > n else np.arange(len(rows))
    return BestMatches(dict(zip(forward.item_ids(rows[chosen]), words[chosen].tolist(), strict=True)), best)


def _are_among(rows: NDArray[np.int64], forward: ForwardIndex, item_ids: Collection[str]) -> NDArray[np.bool_]:
    """Return (n,) bool: which rows are those of the items."""
    found = np.zeros(forward.end + 1, np.bool_)
    found[forward.rows(list(item_ids))] = True  # -1, of what isn't here, is the last one
    among: NDArray[np.bool_] = found[rows]
    return among


def _scores(
    request: Request,
    user: UserState,
    policy: RankingPolicy,
    forward: ForwardIndex,
    retriever: Retriever,
    query: Clause,
    rows: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Return what a retriever scores rows (n,), about; inner products as they are, all else on its scale."""
    if retriever.name == RECENCY:
        return np.nan_to_num(recency_scores(request, policy, forward.created_at(rows)))
    if retriever.name == AUTHOR:
        return author_scores(request, policy, query, forward, rows)
    if retriever.scale == "list":
        return _list_scores(_listed(forward, retriever, user, policy), rows)
    products = forward.rough_scores_of(query["knn"]["field"], rows, query["knn"]["query_vector"]).astype(np.float64)
    products[np.isinf(products)] = 0.0
    return products if retriever.scale == "inner" else scaled_products(retriever.scale, products, 1.0)


def _best_product(forward: ForwardIndex, query: Clause, rows: NDArray[np.int64], rough: NDArray[np.float64]) -> float:
    """Return the largest inner product of the rows, exact where the rough ones rank it among the first."""
    first = rows[top_k(rough, _EXACT)] if len(rows) > _EXACT else rows
    products = forward.scores(query["knn"]["field"], first, query["knn"]["query_vector"])
    return max(float(np.nanmax(products, initial=0.0)), 0.0)


def _listed(forward: ForwardIndex, retriever: Retriever, user: UserState, policy: RankingPolicy) -> ListedRows:
    """Return a list's rows, ascending, and their scores over the largest, from the user state where they were found before."""
    found = user.listed.get(retriever.name)
    if found is None or found[0] is not forward.numbering:
        ranked = ranked_list(retriever, user, policy)[:MAX_LIST_IDS]
        rows = forward.rows([item_id for item_id, _ in ranked])
        scores = np.maximum(np.array([score for _, score in ranked], np.float64), 0.0)
        order = np.argsort(rows)
        found = forward.numbering, rows[order], scores[order] / max(float(scores.max(initial=0.0)), 1e-9)
        user.listed[retriever.name] = found
    return found


def _list_scores(listed: ListedRows, rows: NDArray[np.int64]) -> NDArray[np.float64]:
    _, own, scores = listed
    if not len(own):
        return np.zeros(len(rows))
    positions = np.minimum(np.searchsorted(own, rows), len(own) - 1)
    found: NDArray[np.float64] = np.where(own[positions] == rows, scores[positions], 0.0)
    return found
