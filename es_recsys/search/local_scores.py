"""Scores that need no request: what the forward index says of the candidates.

Everything but BM25 can be computed from it, as Elasticsearch would. An item that the forward index doesn't hold yet has no score
here; Elasticsearch is asked for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from es_recsys.forward_index import ForwardIndex
from es_recsys.search.query_dsl import Clause
from es_recsys.search.request import RankingPolicy, Request
from es_recsys.search.retrievers import AUTHOR, RECENCY, recency_pivot_hours

__all__ = ["author_scores", "has_local_candidates", "local_scores", "recency_scores"]

_HOUR_S = 3_600.0


def has_local_candidates(request: Request, policy: RankingPolicy) -> bool:
    """Return whether candidates from lists and the newest items need no request: nothing restricts what may be shown.

    Where items are variants, lists are of products, whose items Elasticsearch finds.
    """
    return policy.forward is not None and not policy.has_variants and not request.filters and not request.has_text


def local_scores(
    request: Request, policy: RankingPolicy, queries: Mapping[str, Clause], item_ids: Sequence[str]
) -> dict[str, NDArray[np.float64]]:
    """Return retriever -> what its query scores the items (n,): inner products, or recency; 0 for no vector or no date.

    queries: of retrievers. Those that only Elasticsearch can answer, such as words, are left out. NaN for an item that the
    forward index doesn't hold.
    """
    forward = policy.forward
    if forward is None:
        return {}
    rows = forward.rows(item_ids)
    found: dict[str, NDArray[np.float64]] = {}
    by_field: dict[str, list[str]] = {}
    for name, query in queries.items():
        if name == RECENCY:
            found[name] = recency_scores(request, policy, forward.created_at(rows))
        elif name == AUTHOR:
            found[name] = author_scores(request, policy, query, forward, rows)
        elif "knn" in query and query["knn"]["field"] in forward.dims:
            by_field.setdefault(query["knn"]["field"], []).append(name)
    for field, names in by_field.items():
        vectors = np.stack([queries[name]["knn"]["query_vector"] for name in names])
        products = forward.scores(field, rows, vectors).astype(np.float64)
        found |= {name: products[:, k] for k, name in enumerate(names)}
    for scores in found.values():
        scores[np.isnan(scores)] = 0.0
        scores[rows < 0] = np.nan
    return found


def recency_scores(request: Request, policy: RankingPolicy, created_at: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return what `distance_feature` scores (n,): 1 for an item made now, 1/2 at the pivot's age; NaN stays."""
    pivot = recency_pivot_hours(policy.settings) * _HOUR_S
    return pivot / (pivot + np.abs(request.now - created_at))


def author_scores(
    request: Request, policy: RankingPolicy, query: Clause, forward: ForwardIndex, rows: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return what the query for authors scores rows (n,): the author's weight times the item's recency, else 0."""
    weights: dict[str | None, float] = {}
    for clause in query["bool"]["should"]:
        author = clause["bool"]["filter"][0]["term"]["author"]
        weights[author] = clause["bool"]["must"][0]["distance_feature"]["boost"]
    found = np.array([weights.get(author, 0.0) for author in forward.authors(rows)], np.float64)
    return found * np.nan_to_num(recency_scores(request, policy, forward.created_at(rows)))
