"""Recommendations for many users at once, on arrays of the rows of a forward index.

The ranking is that of `retrieve`, `candidates` and `rerank.pipeline` where nothing is asked and nothing restricts what may be
shown. The difference is that the vectors of all users of a block are multiplied with those of all items in one matrix product,
and that candidates are rows of the forward index: only the hits of a page get an id. Fields that `ForwardIndex.nearest` searches
by sketches, or Elasticsearch by a graph, are exact here, so a list may have an item that these miss.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from es_recsys.batching import batched
from es_recsys.forward_index import ForwardIndex
from es_recsys.item_ids import ItemIds
from es_recsys.search.bodies import candidates_depth
from es_recsys.search.candidates import CandidateTable, ScoredCandidates
from es_recsys.search.exploration import RERANK_DEPTH
from es_recsys.search.interests import allocate_slots, nearest_interest
from es_recsys.search.local_scores import recency_scores
from es_recsys.search.request import RankingPolicy, Request, ScoredIds, UserState, situation
from es_recsys.search.retrieval_results import RetrieverResult, list_best
from es_recsys.search.retriever_weights import retriever_weights
from es_recsys.search.retrievers import INTEREST, MAX_LIST_IDS, POPULARITY, RECENCY, Retriever, active_retrievers, ranked_list
from es_recsys.search.scales import scaled_products
from es_recsys.top_k import highest, top_scores

__all__ = ["FoundRows", "ModelRows", "RankedRows", "rank_block"]

Rows = NDArray[np.int64]

# Scores of a matrix: 16 MiB, which the C library takes from memory that was used before.
_CELLS = 1 << 22


@dataclass(frozen=True, slots=True, eq=False)
class ModelRows:
    """Where the items of a model are in a forward index.

    item_ids: of the model. rows (n_items,): the row of each, -1 for an item that is not there. item_idx (end,): the item of each
    row, -1 for one that the model doesn't know.
    """

    item_ids: ItemIds
    rows: Rows
    item_idx: Rows

    @classmethod
    def of(cls, item_ids: ItemIds, forward: ForwardIndex) -> ModelRows:
        """Look up the items of a model."""
        rows = forward.rows(item_ids[:])
        item_idx = np.full(forward.end, -1, np.int64)
        item_idx[rows[rows >= 0]] = np.flatnonzero(rows >= 0)
        return cls(item_ids, rows, item_idx)


@dataclass(frozen=True, slots=True, eq=False)
class _ListScores(Sequence[tuple[str, float]]):
    """What a model of neighbours says of one user: its best items as ScoredIds, whose ids are read where they are asked for.

    best (k,): item_idx of the best items, best first. scores (n_items,): raw, of all items. item_ids: of the model.
    """

    best: Rows
    scores: NDArray[np.float32]
    item_ids: ItemIds

    def __len__(self) -> int:
        return len(self.best)

    @overload
    def __getitem__(self, index: int) -> tuple[str, float]: ...
    @overload
    def __getitem__(self, index: slice) -> list[tuple[str, float]]: ...
    def __getitem__(self, index: int | slice) -> tuple[str, float] | list[tuple[str, float]]:
        if isinstance(index, int):
            return self[index : index + 1 or None][0]
        best = self.best[index]
        return list(zip(self.item_ids.take(best), self.scores[best].tolist(), strict=True))


@dataclass(frozen=True, slots=True, eq=False)
class RankedRows:
    """A page of a ranking.

    rows (k,): of the forward index, as they are shown. scores (k,). ranks (k,): by score among all candidates, from 1. best: the
    highest score of any. retrievers: m, with what they found. values (k, m): of the hits, on the retrievers' scales. weights
    (m,). total: items that all pages show. situation: see `request.situation`.
    """

    rows: Rows
    scores: NDArray[np.float64]
    ranks: Rows
    best: float
    retrievers: tuple[FoundRows, ...]
    values: NDArray[np.float64]
    weights: NDArray[np.float64]
    total: int
    situation: str

    def parts(self) -> list[dict[str, float]]:
        """Return the contributions to the score of each hit; those of 0 are left out."""
        names = [each.retriever.name for each in self.retrievers]
        parts = (self.values * self.weights).tolist()
        return [{name: part for name, part in zip(names, own, strict=True) if part != 0.0} for own in parts]

    def scored(self, forward: ForwardIndex, documents: Sequence[Mapping[str, Any]]) -> ScoredCandidates:
        """Return the hits as candidates, for what is computed of these. documents: of each hit."""
        item_ids = tuple(forward.item_ids(self.rows))
        retrievers = tuple(each.result(forward) for each in self.retrievers)
        none = np.zeros(len(item_ids), bool)
        table = CandidateTable(item_ids, retrievers, self.values, self.weights, none, none, item_ids)
        order = _ordered(forward, self.rows, self.scores, len(item_ids)).tolist()
        found = {item_id: {"_id": item_id, "_source": source} for item_id, source in zip(item_ids, documents, strict=True)}
        return ScoredCandidates(table, self.scores.tolist(), order, found, ())


@dataclass(frozen=True, slots=True, eq=False)
class FoundRows:
    """What one retriever says of all items to one user.

    rows: the candidates that it brings, of a vector in no order, else best first. scores: raw, of the row, or of `item_idx[row]`
    where that is given; 0 for -1. best: what inner products and scores of lists are divided by.
    """

    retriever: Retriever
    rows: Rows
    scores: NDArray[Any]
    best: float = 1.0
    item_idx: Rows | None = None

    def column(self, rows: Rows) -> NDArray[np.float64]:
        """Return the scores (n,) of rows on the retriever's scale."""
        if self.item_idx is None:
            raw = self.scores[rows].astype(np.float64)
            raw[raw == -np.inf] = 0.0
        else:
            item_idx = self.item_idx[rows]
            raw = np.where(item_idx >= 0, self.scores[item_idx], 0.0).astype(np.float64)
        scale = self.retriever.scale
        return np.clip(raw / self.best, -1.0, 1.0) if scale == "list" else scaled_products(scale, raw, self.best)

    def result(self, forward: ForwardIndex) -> RetrieverResult:
        """Return the same with ids."""
        scores = self.column(self.rows)
        in_order = self.retriever.scale in ("list", "unit")
        order = np.arange(len(scores)) if in_order else _ordered(forward, self.rows, scores, len(scores))
        found = dict(zip(forward.item_ids(self.rows[order]), scores[order].tolist(), strict=True))
        return RetrieverResult(self.retriever, {}, found, self.best, True, 0.0, True)


class _Block:
    """What the users of a block share: their requests at one time, a policy, and a forward index."""

    def __init__(self, requests: Sequence[Request], policy: RankingPolicy, models: Mapping[str, ModelRows]) -> None:
        assert policy.forward is not None
        self.policy, self.models, self.forward = policy, models, policy.forward
        self.exclude = [list(request.exclude) for request in requests]
        rows = self.forward.rows([item_id for ids in self.exclude for item_id in ids])
        self.excluded = np.split(rows, np.cumsum([len(ids) for ids in self.exclude])[:-1])
        self.hidden, self.found = np.zeros((2, self.forward.end), bool)
        most = max(map(len, self.exclude))
        newest = self.forward.newest(policy.settings.depth + most, requests[0].now)
        self.newest = self.forward.rows(newest)
        self.recency = np.nan_to_num(recency_scores(requests[0], policy, self.forward.all_created_at()), nan=0.0)
        self.popular, self.popularity = self._popularity(policy.popularity)

    def _popularity(self, ranked: ScoredIds) -> tuple[Rows, NDArray[np.float64]]:
        """Return the rows of the most popular items, and the raw scores of all."""
        known = [*ranked[:MAX_LIST_IDS], *(each for each in ranked[MAX_LIST_IDS:] if each[1] < 0.0)]
        rows = self.forward.rows([item_id for item_id, _ in known])
        raw = np.array([score for _, score in known], np.float64)
        scores = np.zeros(self.forward.end)
        scores[rows[rows >= 0]] = raw[rows >= 0]
        return rows[(rows >= 0) & (raw > 0.0)], scores

    def best_of_model(self, name: str, scores: NDArray[np.float32], user: int) -> _ListScores:
        """Return what a model of neighbours says of a user. scores: raw, of all its items."""
        model, excluded = self.models[name], self.excluded[user]
        item_idx = model.item_idx[excluded[excluded >= 0]]
        if (excluded < 0).any():
            lacking = [item_id for item_id, row in zip(self.exclude[user], excluded.tolist(), strict=True) if row < 0]
            item_idx = np.concatenate([item_idx, model.item_ids.find(lacking)])
        best, _ = top_scores(scores, MAX_LIST_IDS, item_idx[item_idx >= 0])
        return _ListScores(best, scores, model.item_ids)


def rank_block(
    requests: Sequence[Request],
    users: Sequence[UserState],
    policy: RankingPolicy,
    models: Mapping[str, ModelRows],
    scores_of_users: Iterable[Mapping[str, NDArray[np.float32]]],
) -> list[RankedRows]:
    """Return the page of each user.

    requests: without text, vectors and filters, all of one time, their pages within `settings.depth`. users: without neighbours.
    models: of neighbours. scores_of_users: for each user the raw scores (n_items,) of those that know something of them. policy:
    with a forward index that has all vector fields, weighted fusion, no variants, no learned ranking and nothing left to chance.
    """
    if not requests:
        return []
    block = _Block(requests, policy, models)
    vectors = _vector_scores(block, requests, users)
    found = []
    for k, (request, user, scores) in enumerate(zip(requests, users, scores_of_users, strict=True)):
        neighbours = {name: block.best_of_model(name, raw, k) for name, raw in scores.items()}
        excluded = block.excluded[k][block.excluded[k] >= 0]
        block.hidden[excluded] = True
        found.append(_rank(block, request, replace(user, neighbours=neighbours), vectors[k], excluded))
        block.hidden[excluded] = False
    return found


def _vector_scores(
    block: _Block, requests: Sequence[Request], users: Sequence[UserState]
) -> list[dict[str, NDArray[np.float32]]]:
    """Return for each user retriever -> inner products (end,) of its query vector with all items, of those that count."""
    asked: dict[str, list[tuple[int, str, NDArray[np.float32]]]] = defaultdict(list)
    for k, (request, user) in enumerate(zip(requests, users, strict=True)):
        queries = {
            retriever: query["knn"]
            for retriever in active_retrievers(request, user, block.policy)
            if retriever.scale != "list" and (query := retriever.build_query(request, user, block.policy)) and "knn" in query
        }
        weights = retriever_weights(request, user, block.policy, list(queries))
        for retriever, knn in queries.items():
            if retriever.name in weights:
                asked[knn["field"]].append((k, retriever.name, knn["query_vector"]))
    found: list[dict[str, NDArray[np.float32]]] = [{} for _ in users]
    for field_name, each in asked.items():
        for some in batched(each, max(_CELLS // max(block.forward.end, 1), 1)):
            products = block.forward.all_scores(field_name, np.stack([vector for _, _, vector in some]))
            for (k, name, _), row in zip(some, products, strict=True):
                found[k][name] = row
    return found


def _rank(
    block: _Block, request: Request, user: UserState, vectors: Mapping[str, NDArray[np.float32]], excluded: Rows
) -> RankedRows:
    """Return the page of one user, whose excluded rows are hidden."""
    policy = block.policy
    retrievers = [one for one in active_retrievers(request, user, policy) if _has_query(one, user, policy, vectors)]
    weights = retriever_weights(request, user, policy, retrievers)
    results = [_find(block, request, each, user, vectors, excluded) for each in retrievers if each.name in weights]
    rows = _candidates(block, request, results)
    weight = np.array([weights[each.retriever.name] for each in results], np.float64)
    scores = np.column_stack([each.column(rows) for each in results]) if results else np.zeros((len(rows), 0))
    totals = (scores * weight).sum(axis=1)
    order = _ordered(block.forward, rows, totals, max(request.end, RERANK_DEPTH))
    page = _page(request, user, results, scores, order)
    ranks = np.zeros(len(rows), np.int64)
    ranks[order] = np.arange(1, len(order) + 1)
    best = float(totals.max(initial=-np.inf))
    total = len(block.forward) - len(excluded)
    kind = situation(request, user)
    return RankedRows(rows[page], totals[page], ranks[page], best, tuple(results), scores[page], weight, total, kind)


def _has_query(retriever: Retriever, user: UserState, policy: RankingPolicy, vectors: Mapping[str, Any]) -> bool:
    if retriever.name == RECENCY:
        return "created_at" in policy.metadata.fields
    if retriever.scale == "list":
        return len(ranked_list(retriever, user, policy)) > 0
    return retriever.name in vectors


def _find(
    block: _Block,
    request: Request,
    retriever: Retriever,
    user: UserState,
    vectors: Mapping[str, NDArray[np.float32]],
    excluded: Rows,
) -> FoundRows:
    """Return the candidates of one retriever, and its scores."""
    depth = candidates_depth(retriever, request, block.policy)
    if retriever.name == RECENCY:
        return FoundRows(retriever, block.newest[~block.hidden[block.newest]][:depth], block.recency)
    if retriever.name == POPULARITY:
        rows = block.popular[~block.hidden[block.popular]]
        return FoundRows(retriever, rows, block.popularity, list_best(block.policy.popularity))
    if retriever.scale == "list":
        said = user.neighbours[retriever.name]
        assert isinstance(said, _ListScores)
        of_model = block.models[retriever.name]
        rows = of_model.rows[said.best]
        best = float(said.scores[said.best[0]])
        return FoundRows(retriever, rows[rows >= 0], said.scores, best, of_model.item_idx)
    scores = vectors[retriever.name]
    scores[excluded] = -np.inf
    rows = _highest(block.forward, scores, depth)
    best = float(scores[rows].max(initial=0.0)) if retriever.scale == "inner" else 1.0
    return FoundRows(retriever, rows, scores, best if best > 0.0 else 1.0)


def _highest(forward: ForwardIndex, scores: NDArray[np.float32], n: int) -> Rows:
    """Return the rows of the n highest scores above -inf, in any order; of equal ones those with the first ids."""
    rows = highest(scores, n)
    rows = rows[scores[rows] > -np.inf]
    if len(rows) <= n:
        return rows
    own = scores[rows]
    equal = rows[own == own.min()]
    first = _by_id(forward, equal)[: n - (len(rows) - len(equal))]
    return np.concatenate([rows[own > own.min()], first])


def _by_id(forward: ForwardIndex, rows: Rows) -> Rows:
    found: Rows = rows[np.argsort(np.array(forward.item_ids(rows), object), kind="stable")]
    return found


def _candidates(block: _Block, request: Request, results: Sequence[FoundRows]) -> Rows:
    """Return the rows of all candidates, ascending."""
    depth = block.policy.settings.depth
    for each in results:
        block.found[each.rows] = True
    rows = np.flatnonzero(block.found)
    block.found[rows] = False
    if len(rows) < depth and all(len(each.rows) < depth for each in results):
        rows = np.union1d(rows, block.forward.rows(block.forward.first(depth, request.exclude)))
    return rows[~block.hidden[rows]]


def _page(request: Request, user: UserState, results: Sequence[FoundRows], scores: NDArray[np.float64], order: Rows) -> Rows:
    """Return the positions of the page's hits among the candidates, as they are shown. order: positions of the best."""
    interests = user.interests
    columns = {each.retriever.name: column for column, each in enumerate(results)}
    own = [columns.get(f"{INTEREST}_{k + 1}", -1) for k in range(0 if interests is None else len(interests))]
    if interests is None or -1 in own:
        return order[request.offset : request.end]
    pool = order[:RERANK_DEPTH]
    similarity = scores[pool][:, own] * [results[column].best for column in own]
    kept = allocate_slots(pool.tolist(), nearest_interest(similarity), interests.shares, request.personalization, request.end)
    return np.array([*kept, *order[RERANK_DEPTH:].tolist()], np.int64)[request.offset : request.end]


def _ordered(forward: ForwardIndex, rows: Rows, totals: NDArray[np.float64], n: int) -> Rows:
    """Return the positions of the n highest totals, highest first, ties by id."""
    positions = highest(totals, n)
    own = totals[positions]
    order = np.argsort(-own, kind="stable")
    if len(np.unique(own)) < len(own):
        item_ids = forward.item_ids(rows[positions])
        order = np.array(sorted(order.tolist(), key=lambda k: (-own[k], item_ids[k])), np.int64)
    return positions[order][:n]
