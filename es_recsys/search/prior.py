"""What an item scores whatever the words say of it, and the items that score most: a search finds those that match at once.

Of all but the words, the client knows what every item scores: the query's vectors, tastes, models, lists. The items with the
highest sum are looked for in the search for the words. Of all others it is known how much they can score at most, so that it
need not be asked which of them match (see `candidates.needs_rest`). Sketches of vectors are near enough for both.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from es_recsys.forward_index import ForwardIndex
from es_recsys.search.local_scores import recency_scores
from es_recsys.search.query_dsl import Clause
from es_recsys.search.request import Head, Prior, RankingPolicy, Request, UserState
from es_recsys.search.retriever_weights import largest_weights
from es_recsys.search.retrievers import LEXICAL, MAX_LIST_IDS, RECENCY, Retriever, ranked_list
from es_recsys.top_k import top_k

__all__ = ["find_head"]

_LISTED = 200
_KEPT = 800
_MOST_PRIORS = 8
_HOUR_S = 3_600.0

Query = tuple[Retriever, Clause]


def find_head(
    request: Request,
    user: UserState,
    policy: RankingPolicy,
    queries: Sequence[Query],
    weights: Mapping[str, float],
    table: str | None = None,
) -> Head | None:
    """Return the items that score most without the words; None where the client can't tell.

    queries: of all retrievers. weights: of each, before damping. table: the weights that the search is expected to have (see
    `search_table`), None for any.
    """
    forward = policy.forward
    others = [each for each in queries if each[0].name in weights and each[0].name != LEXICAL]
    if forward is None or policy.has_variants or not others or not all(_is_known(forward, *each) for each in others):
        return None
    weights = largest_weights(request, user, policy, weights, [retriever for retriever, _ in queries], table)
    others = [each for each in others if each[0].name in weights]
    prior = _prior(request, user, policy, forward, [each for each in others if not each[0].matches_query], weights)
    vectors = [(weights[retriever.name], query["knn"]) for retriever, query in others if retriever.matches_query]
    hidden = np.concatenate([forward.gone_rows(), forward.rows(list(request.exclude))])
    rows, totals, bound = _best_sums(forward, prior, vectors, hidden)
    best = top_k(totals, _LISTED + 1)
    if len(best) > _LISTED:
        bound = max(bound, float(totals[best[_LISTED]]))
    head = best[:_LISTED]
    return Head(tuple(forward.item_ids(rows[head[totals[head] > 0.0]])), bound, prior.best, table)


def _best_sums(
    forward: ForwardIndex, prior: Prior, vectors: Sequence[tuple[float, Clause]], hidden: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.float32], float]:
    """Return rows (m,) with the highest sums of prior and query vectors, their sums (m,), and a bound on all other sums.

    vectors: weight and body of `knn`. hidden: rows that are none of them.

    What neither the prior nor a vector has among its highest scores at most the sum of their last, the threshold of Fagin, Lotem
    and Naor ("Optimal aggregation algorithms for middleware", 2003).
    """
    near = [forward.highest(knn["field"], knn["query_vector"][None])[0] for _, knn in vectors]
    among = np.zeros(forward.end, np.bool_)
    for some in (prior.rows, *(rows for rows, _ in near)):
        among[some] = True
    among[hidden[hidden >= 0]] = False
    rows = np.flatnonzero(among)
    totals = _spread(forward, prior.rows, prior.scores, prior.bound)[rows]
    scores = (
        np.stack([_spread(forward, *found, np.nan)[rows] for found in near]) if near else np.zeros((0, len(rows)), np.float32)
    )
    weights = np.array([weight for weight, _ in vectors], np.float32)
    last = np.array([max(float(found.min(initial=1.0)), 0.0) for _, found in near], np.float32)
    unknown = np.isnan(scores)
    lower = totals + weights @ np.where(unknown, 0.0, np.clip(scores, 0.0, 1.0))
    upper = lower + weights @ np.where(unknown, last[:, None], 0.0)
    # Of what can't be among the best, nothing more is asked.
    least = float(np.partition(lower, -_LISTED - 1)[-_LISTED - 1]) if len(rows) > _LISTED else -math.inf
    asked = np.flatnonzero((upper > lower) & (upper >= least))
    for k, (_, knn) in enumerate(vectors):
        lacking = asked[unknown[k, asked]]
        exact = forward.rough_scores_of(knn["field"], rows[lacking], knn["query_vector"])
        upper[lacking] += weights[k] * (np.clip(exact, 0.0, 1.0) - last[k])
    return rows, upper, prior.bound + float(weights @ last)


def _spread(
    forward: ForwardIndex, rows: NDArray[np.integer[Any]], values: NDArray[np.float32], other: float
) -> NDArray[np.float32]:
    """Return the values of rows, and another one for all other rows."""
    found = np.full(forward.end, other, np.float32)
    found[rows] = values
    return found


def _is_known(forward: ForwardIndex, retriever: Retriever, query: Clause) -> bool:
    if "knn" in query:
        return forward.can_search(query["knn"]["field"], query["knn"]["query_vector"])
    return retriever.scale == "list" or retriever.name == RECENCY


def _prior(
    request: Request,
    user: UserState,
    policy: RankingPolicy,
    forward: ForwardIndex,
    queries: Sequence[Query],
    weights: Mapping[str, float],
) -> Prior:
    """Return what retrievers that know no query score, from the user state where it was found before."""
    key = (
        forward.numbering,
        *sorted((retriever.name, weights[retriever.name]) for retriever, _ in queries),
        request.now // _HOUR_S,
    )
    found = user.priors.get(key)
    if found is None:
        found = _find_prior(request, user, policy, forward, queries, weights)
        if len(user.priors) >= _MOST_PRIORS:
            user.priors.clear()
        user.priors[key] = found
    return found


def _find_prior(
    request: Request,
    user: UserState,
    policy: RankingPolicy,
    forward: ForwardIndex,
    queries: Sequence[Query],
    weights: Mapping[str, float],
) -> Prior:
    totals = np.zeros(forward.end, np.float32)
    best: dict[str, float] = {}
    for retriever, query in queries:
        weight = weights[retriever.name]
        if retriever.scale == "list":
            rows, scores = _listed(forward, ranked_list(retriever, user, policy)[:MAX_LIST_IDS])
            totals[rows] += weight * scores
            continue
        if retriever.name == RECENCY:
            scores = np.nan_to_num(recency_scores(request, policy, forward.all_created_at()), nan=0.0).astype(np.float32)
        else:
            scores = _rough(forward, query)
            if retriever.scale == "inner":
                best[retriever.name] = highest = max(float(scores.max(initial=0.0)), 1e-9)
                scores = scores / highest
        totals += weight * np.clip(scores, 0.0, 1.0)
    rows = top_k(totals, _KEPT + 1)
    bound = float(totals[rows[_KEPT]]) if len(rows) > _KEPT else 0.0
    kept = np.sort(rows[:_KEPT])
    return Prior(kept, totals[kept], bound, best)


def _rough(forward: ForwardIndex, query: Clause) -> NDArray[np.float32]:
    scores: NDArray[np.float32] = forward.rough_scores(query["knn"]["field"], query["knn"]["query_vector"][None])[0]
    return scores


def _listed(forward: ForwardIndex, ranked: Sequence[tuple[str, float]]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return the rows of a list's items, and their scores over the largest, none below 0."""
    rows = forward.rows([item_id for item_id, _ in ranked])
    raw = np.maximum(np.array([score for _, score in ranked], np.float32), 0.0)
    scores = (raw / max(float(raw.max(initial=0.0)), 1e-9)).astype(np.float32)
    return rows[rows >= 0], scores[rows >= 0]
