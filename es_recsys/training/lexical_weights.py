"""Chooses the boosts of the lexical clauses and the weights of the legs that answer a query, from judged queries.

Scores are collected once a query (`collect`, driven by the caller); the search over boosts is then arithmetic on them:
coordinate ascent on the mean NDCG@10 over all judged items (unjudged count 0), on a grid of factors, the same
arithmetic as the served query, so that what is tuned is what is served.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from es_recsys.errors import InputError
from es_recsys.search.context import Context
from es_recsys.search.gather import scaled
from es_recsys.search.legs import LEGS, Body, ask, fill
from es_recsys.search.lexical import CLAUSES, FALLBACKS, boost_of, lexical_clauses
from es_recsys.search.weights import answering_weights
from es_recsys.training.coordinate_ascent import JudgedScores, ascend, ndcg

__all__ = ["MOST_QUERIES", "Judged", "Tuned", "collect", "sample", "tune"]

Response = Mapping[str, Any]

MOST_QUERIES = 4_000
HELD_OUT = 0.25
_DEPTH = 60


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """A judged query's candidates. scores: clause or leg name -> (n,) float32, in the order of `item_ids` (sorted);
    grades (n,) of the same items; ideal: the best DCG@10 that the judgments allow."""

    query: str
    item_ids: tuple[str, ...]
    scores: Mapping[str, NDArray[np.float32]]
    grades: NDArray[np.float32]
    ideal: float


@dataclass(frozen=True, slots=True)
class Tuned:
    """lexical and weights: for `IndexMetadata.lexical` and `IndexMetadata.weights["query"]`. before, after: NDCG@10 on the
    queries held out; `kept` says that the choice was better there, else it is what was set before."""

    lexical: Mapping[str, float]
    weights: Mapping[str, float]
    before: float
    after: float
    queries: int
    held_out: int
    kept: bool


def sample(queries: Sequence[str], rng: np.random.Generator) -> list[str]:
    """At most 4,000 of the judged queries, drawn by `rng`, in their order: more change the choice no further."""
    if len(queries) <= MOST_QUERIES:
        return list(queries)
    return [queries[i] for i in np.sort(rng.permutation(len(queries))[:MOST_QUERIES])]


def collect(context: Context, grades: Mapping[str, float]) -> Generator[tuple[Body, ...], Sequence[Response], Judged | None]:
    """Scores of one judged query: yields the bodies of two requests and is sent their responses.

    context: the query's text and vectors, nothing personal. Returns None where no grade is above 0 or nothing is found.
    """
    ideal = _dcg(sorted(grades.values(), reverse=True))
    if ideal <= 0.0:
        return None
    context = replace(context, n=10, offset=0, settings=context.settings.model_copy(update={"depth": _DEPTH}))
    legs = [leg for leg in LEGS.values() if leg.answers and leg.signal(context) is not None]
    first = yield tuple(body for leg in legs if (body := ask(leg, context)) is not None)
    ids = sorted({hit["_id"] for response in first for hit in _hits(response)})
    if not ids:
        return None
    vectors = [leg for leg in legs if leg.name != "lexical"]
    clauses = lexical_clauses(context.text)
    bodies = [_clause_body(clause, ids) for clause in clauses.values()]
    bodies += [body for leg in vectors if (body := fill(leg, context, ids)) is not None]
    second = yield tuple(bodies)
    rows = {item_id: row for row, item_id in enumerate(ids)}
    scales = {**dict.fromkeys(clauses, "unit"), **{leg.name: leg.scale for leg in vectors}}
    scores = {name: _column(r, rows, scale) for (name, scale), r in zip(scales.items(), second, strict=True)}
    return Judged(context.text, tuple(ids), scores, np.array([grades.get(i, 0.0) for i in ids], np.float32), ideal)


def tune(context: Context, judged: Sequence[Judged], rng: np.random.Generator) -> Tuned:
    """The best boosts and weights for `judged`, checked on a quarter of them that the choice has not seen.

    context: anything of the store; its tables are where the search begins. rng: draws the queries held out.
    Raises InputError with fewer than 20 queries, from which nothing could be learned.
    """
    if len(judged) < 20:
        raise InputError(
            f"Only {len(judged)} of the judged queries have a positive grade and a candidate.",
            "Give at least 20 judged queries whose items are in the store.",
        )
    drawn = rng.permutation(len(judged))
    held = max(round(len(drawn) * HELD_OUT), 5)
    sheets = [_sheet([judged[i] for i in part]) for part in (drawn[held:], drawn[:held])]
    boosts = {name: boost_of(name, context.metadata.lexical) for name in CLAUSES}
    weights = {name: w for name, w in answering_weights(context).items() if name in sheets[0].legs or name == "lexical"}
    found_boosts, found_weights = ascend(sheets[0], boosts, weights, FALLBACKS)
    before = float(ndcg(sheets[1], boosts, weights).mean())
    after = float(ndcg(sheets[1], found_boosts, found_weights).mean())
    if after <= before:
        return Tuned(_tidy(boosts), weights, before, before, len(drawn), held, kept=False)
    return Tuned(_tidy(found_boosts), found_weights, before, after, len(drawn), held, kept=True)


def _tidy(boosts: Mapping[str, float]) -> dict[str, float]:
    return {name: round(boost, 4) for name, boost in boosts.items() if boost > 0.0}


def _sheet(judged: Sequence[Judged]) -> JudgedScores:
    """Queries side by side, each padded to the longest."""
    width = max(len(each.item_ids) for each in judged)
    names = list(dict.fromkeys(name for each in judged for name in each.scores))
    scores = {name: np.zeros((len(judged), width), np.float32) for name in names}
    grades = np.zeros((len(judged), width), np.float32)
    real = np.zeros((len(judged), width), bool)
    for row, each in enumerate(judged):
        n = len(each.item_ids)
        grades[row, :n], real[row, :n] = each.grades, True
        for name, column in each.scores.items():
            scores[name][row, :n] = column
    clauses = {name: scores[name] for name in names if name in CLAUSES}
    legs = {name: scores[name] for name in names if name not in CLAUSES}
    return JudgedScores(clauses, legs, grades, real, np.array([each.ideal for each in judged]))


def _clause_body(clause: Body, ids: Sequence[str]) -> Body:
    query = {"bool": {"must": [clause], "filter": [{"ids": {"values": list(ids)}}]}}
    return {"size": len(ids), "_source": False, "track_total_hits": False, "query": query}


def _column(response: Response, rows: Mapping[str, int], scale: str) -> NDArray[np.float32]:
    column = np.zeros(len(rows), np.float32)
    hits = _hits(response)
    raw = np.array([hit["_score"] for hit in hits], np.float64)
    column[[rows[hit["_id"]] for hit in hits]] = scaled(scale, raw, 1.0) if scale in ("cosine", "dot") else raw
    return column


def _dcg(grades: Sequence[float]) -> float:
    return math.fsum(grade / math.log2(rank + 2) for rank, grade in enumerate(grades[:10]))


def _hits(response: Response) -> Sequence[Mapping[str, Any]]:
    hits: Sequence[Mapping[str, Any]] = response.get("hits", {}).get("hits", ())
    return hits
