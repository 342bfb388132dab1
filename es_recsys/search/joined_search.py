"""One search for the words of a query and its vectors, instead of one each and a third for what only a vector finds.

The body finds the best items by words and the nearest of each vector, and scores all of them by words. A clause with a constant
score marks the nearest of a vector. The constants are powers of two above any score of words, so a hit's `_score` says which
vectors found it and what the words score it. How near it is the forward index says. Where Elasticsearch would scan a field, the
forward index does, and the body asks for the ids: a `knn` clause in it would match every item.

What else a ranking draws candidates from (tastes, models, lists) only reorders what matches the words. It is asked for in a
second body, `rest_body`, and only where such items can still reach the page (see `candidates.needs_rest`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from es_recsys.search.bodies import filter_clauses
from es_recsys.search.hit_names import hit_fields
from es_recsys.search.lexical import CONSTANT
from es_recsys.search.products import id_filter
from es_recsys.search.query_dsl import MAX_KNN_CANDIDATES, Body, Clause, Response, hits_of, item_ids_of
from es_recsys.search.request import RankingPolicy, Request, retrieval_depth

__all__ = [
    "JoinedHits",
    "find_nearest",
    "joined_body",
    "joined_size",
    "nearest_depth",
    "parse_joined",
    "rest_body",
    "rest_scores",
    "seq_no_of",
    "words_scores",
]

_NEAREST = 100
_NEAREST_OF_ALL = 500
# BM25 of one word is at most boost * idf * 2.2, with an idf of 17 in a hundred million items.
_LARGEST_SCORE_OF_WORD = 64.0
_MANTISSA_BITS = 24
_USUAL_MARKS = 2
_MAX_HITS = MAX_KNN_CANDIDATES


@dataclass(frozen=True, slots=True)
class JoinedHits:
    """What the body found.

    words: item id -> BM25 > 0, best first. unmatched: ids that only vectors found. nearest: for each vector the ids that it
    found. seq_no: item id -> number of the write that was found. matches: items in the index that the words find. ordinary:
    those of `words` that the ordinary depth finds. unseen: BM25 of any other match at most, infinite where that isn't known.
    """

    words: Mapping[str, float]
    unmatched: frozenset[str]
    nearest: Sequence[Sequence[str]]
    seq_no: Mapping[str, int]
    matches: int
    ordinary: Sequence[str]
    unseen: float


def nearest_depth(policy: RankingPolicy) -> int:
    """Return how many items each vector brings."""
    return min(_NEAREST, policy.settings.depth)


def joined_body(
    words: Clause,
    vectors: Mapping[str, Clause],
    nearest: Mapping[str, Mapping[str, float]],
    request: Request,
    policy: RankingPolicy,
) -> Body:
    """Return the body. words: the lexical query. vectors: by retriever, `knn` clauses. nearest: what `find_nearest` found."""
    filters = filter_clauses(request, policy, matching=False)
    mark = _mark(request, policy)
    should = [words]
    for name, clause in vectors.items():
        near = _ids(nearest[name]) if name in nearest else _knn(clause, filters, policy)
        should.append({"constant_score": {"filter": near, "boost": mark}})
        mark *= 2.0
    return {
        "size": joined_size(retrieval_depth(request, policy), len(vectors), policy),
        **hit_fields(policy),
        "track_total_hits": True,
        "query": {"bool": {**filters, "should": should, "minimum_should_match": 1}} if len(should) > 1 or filters else words,
    }


def joined_size(depth: int, vectors: int, policy: RankingPolicy) -> int:
    """Return how many hits `joined_body` asks for, of which `depth` are found by words alone."""
    return min(depth + nearest_depth(policy) * _shards(policy) * vectors, _MAX_HITS)


def parse_joined(response: Response, vectors: int, request: Request, policy: RankingPolicy) -> JoinedHits:
    """Read the response to `joined_body` with so many vectors."""
    hits = hits_of(response)
    ids = item_ids_of(hits)
    mark = _mark(request, policy)
    scores = np.array([hit["_score"] for hit in hits], np.float64)
    marks = (scores // mark).astype(np.int64)
    words = _on_grid(scores - marks * mark, mark, vectors)
    order = np.argsort(-words, kind="stable")
    found = words[order].tolist()
    matching = int(np.count_nonzero(words > 0.0))
    unmatched = frozenset(ids[row] for row in order[matching:].tolist())
    # The first hits of a deeper search are all that the ordinary one finds.
    ordinary = joined_size(policy.settings.depth, vectors, policy)
    return JoinedHits(
        {ids[row]: score for row, score in zip(order[:matching].tolist(), found, strict=False)},
        unmatched,
        [[ids[row] for row in np.flatnonzero(marks & (1 << k)).tolist()] for k in range(vectors)],
        dict(zip(ids, [hit["_seq_no"] for hit in hits], strict=True)),
        int(response["hits"]["total"]["value"]) - len(unmatched),
        [item_id for item_id, score in zip(ids[:ordinary], words.tolist(), strict=False) if score > 0.0],
        # What has no mark comes last, by words alone.
        math.inf if not len(ids) or marks[-1] else float(words[-1]),
    )


def rest_body(
    words: Clause, vectors: Sequence[Clause], listed: Sequence[str], request: Request, policy: RankingPolicy
) -> Body | None:
    """Return the body that finds which items that match the words are near to vectors or listed, scored by words.

    vectors: `knn` clauses. listed: ids of items, or products where items are variants. None where there is nothing to ask for.
    """
    filters = filter_clauses(request, policy, matching=True)
    found = [_nearest(clause, filters, request, policy) for clause in vectors]
    size = sum(_NEAREST_OF_ALL if "ids" in clause else nearest_depth(policy) * _shards(policy) for clause in found)
    if listed:
        found.append(id_filter(listed, has_variants=policy.has_variants))
        size += math.ceil(len(listed) * max(policy.metadata.variants or 1.0, 1.0))
    if not found:
        return None
    among: Clause = {"bool": {"should": found, "minimum_should_match": 1}}
    query: Clause = {"bool": {**filters, "filter": [among, *filters.get("filter", ())], "should": [words]}}
    return {
        "size": min(size, _MAX_HITS),
        **hit_fields(policy),
        "track_total_hits": False,
        "query": query,
    }


def rest_scores(response: Response, vectors: int, request: Request, policy: RankingPolicy) -> dict[str, float]:
    """Return item id -> BM25 of what `rest_body` found, as precise as in a joined response with so many vectors."""
    hits = hits_of(response)
    return dict(zip(item_ids_of(hits), words_scores(hits, vectors, request, policy).tolist(), strict=True))


def words_scores(hits: Sequence[Mapping[str, Any]], vectors: int, request: Request, policy: RankingPolicy) -> NDArray[np.float64]:
    """Return what hits of words alone score (n,), as precise as in a joined response with so many vectors."""
    return _on_grid(np.array([hit["_score"] for hit in hits], np.float64), _mark(request, policy), vectors)


def seq_no_of(response: Response) -> dict[str, int]:
    """Return item id -> number of the write that was found, of the hits of `rest_body`."""
    hits = hits_of(response)
    return dict(zip(item_ids_of(hits), [hit["_seq_no"] for hit in hits], strict=True))


def _on_grid(scores: NDArray[np.float64], mark: float, marks: int) -> NDArray[np.float64]:
    # `_score` has the precision of 32 bits, of which the marks take some: as many for all pages of an answer.
    step = mark * 2.0 ** (max(marks, _USUAL_MARKS) - _MANTISSA_BITS)
    rounded: NDArray[np.float64] = np.rint(scores / step) * step
    return rounded


def _mark(request: Request, policy: RankingPolicy) -> float:
    """Return the least power of two above any score of the words."""
    boosts = policy.text_matching.boosts
    words = len(request.text.split()) + sum(not letter.isascii() for letter in request.text) + 1
    of_words = math.fsum(boost for name, boost in boosts.items() if name not in CONSTANT)
    constant = math.fsum(boosts.get(name, 0.0) for name in CONSTANT)
    return 2.0 ** math.ceil(math.log2(max(_largest_score_of_word(policy) * words * of_words + constant, 1.0)))


def _largest_score_of_word(policy: RankingPolicy) -> float:
    if policy.forward is None:
        return _LARGEST_SCORE_OF_WORD
    # Elasticsearch may count more documents than there are items: new ones, and deleted ones that it still holds.
    documents = 2.0 * len(policy.forward) + 10_000.0
    return min(1.1 * 2.2 * math.log(2.0 * documents + 1.0), _LARGEST_SCORE_OF_WORD)


def find_nearest(clause: Clause, request: Request, policy: RankingPolicy, scanned: int = 0) -> dict[str, float] | None:
    """Return the items nearest to the vector of a `knn` clause and their inner products; None where Elasticsearch has to.

    The forward index finds them where Elasticsearch would scan the field, and `scanned` of them if that is more; and in another
    field that it can search, where nothing is filtered.
    """
    forward, knn = policy.forward, clause["knn"]
    field, vector = knn["field"], knn["query_vector"]
    if forward is None or not forward.can_search(field, vector) or (request.filters and field not in forward.scanned):
        return None
    n = max(scanned, nearest_depth(policy)) if field in forward.scanned else nearest_depth(policy)
    return forward.nearest(field, vector[None], n, request.exclude)[0]


def _nearest(clause: Clause, filters: Mapping[str, list[Clause]], request: Request, policy: RankingPolicy) -> Clause:
    """Return the clause that finds the matches nearest to a vector, or the nearest of all in a field that is scanned."""
    is_scanned = policy.forward is not None and clause["knn"]["field"] in policy.forward.scanned
    found = find_nearest(clause, request, policy, _NEAREST_OF_ALL) if is_scanned else None
    return _knn(clause, filters, policy) if found is None else _ids(found)


def _ids(item_ids: Iterable[str]) -> Clause:
    return {"ids": {"values": list(item_ids)}}


def _knn(clause: Clause, filters: Mapping[str, list[Clause]], policy: RankingPolicy) -> Clause:
    """Return the `knn` clause, which finds the nearest of those that pass the filters."""
    k = nearest_depth(policy)
    among = {"filter": {"bool": dict(filters)}} if filters else {}
    return {"knn": {**clause["knn"], "k": k, "num_candidates": max(policy.settings.num_candidates // 2, k), **among}}


def _shards(policy: RankingPolicy) -> int:
    """Return how many shards each find the nearest of their own."""
    return 1 if policy.forward is None else max(len(policy.forward.state.checkpoints), 1)
