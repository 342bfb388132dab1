"""Lexical boosts and retriever weights for queries, chosen from judged queries.

Scores are collected once a query (`collect`, driven by the caller); the search over boosts is then arithmetic on them: coordinate
ascent on the mean NDCG@10 over all judged items (unjudged count 0), on a grid of factors, the same arithmetic as the served
query, so that what is tuned is what is served.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from es_recsys.errors import InputError
from es_recsys.evaluation.metrics import ideal_dcg
from es_recsys.search.bodies import candidates_body, scoring_body
from es_recsys.search.lexical import CLAUSES, UNTUNED, clause_boost, lexical_clauses
from es_recsys.search.query_dsl import Body, Response, hits_of
from es_recsys.search.request import RankingPolicy, Request, UserState
from es_recsys.search.retrieve import scaled_scores
from es_recsys.search.retriever_weights import query_weights
from es_recsys.search.retrievers import LEXICAL, RETRIEVERS
from es_recsys.training.coordinate_ascent import JudgedScores, coordinate_ascent, ndcg

__all__ = ["MOST_QUERIES", "Judged", "Tuned", "collect", "sample", "tune"]

MOST_QUERIES = 4_000
HELD_OUT = 0.25
_DEPTH = 60


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """A judged query with the scores and grades of its candidates.

    scores: clause or retriever name -> (n,) float32, in the order of `item_ids` (sorted); grades (n,) of the same items; ideal:
    the best DCG@10 that the judgments allow.
    """

    query: str
    item_ids: tuple[str, ...]
    scores: Mapping[str, NDArray[np.float32]]
    grades: NDArray[np.float32]
    ideal: float


@dataclass(frozen=True, slots=True)
class Tuned:
    """Boosts and weights that were tuned, and their NDCG@10 before and after.

    lexical and weights: for `text_boosts` and `retriever_weights["query"]` of the metadata. before, after: NDCG@10 on the queries
    held out; `kept` says that the choice was better there, else it is what was set before.
    """

    lexical: Mapping[str, float]
    weights: Mapping[str, float]
    before: float
    after: float
    queries: int
    held_out: int
    kept: bool


def sample(queries: Sequence[str], rng: np.random.Generator) -> list[str]:
    """Return at most 4,000 of the judged queries, drawn by `rng`, in their order.

    More change the choice no further.
    """
    if len(queries) <= MOST_QUERIES:
        return list(queries)
    return [queries[i] for i in np.sort(rng.permutation(len(queries))[:MOST_QUERIES])]


def collect(
    request: Request, policy: RankingPolicy, grades: Mapping[str, float]
) -> Generator[tuple[Body, ...], Sequence[Response], Judged | None]:
    """Return the scores of one judged query's candidates, clause by clause and retriever by retriever.

    A generator: yields the bodies of two requests and is sent their responses. request: the query's text and vectors. Returns
    None where no grade is above 0 or nothing is found.
    """
    ideal = ideal_dcg(list(grades.values()), 10)
    if ideal <= 0.0:
        return None
    policy = replace(policy, settings=policy.settings.model_copy(update={"depth": _DEPTH}))
    queries = {
        name: query
        for name, retriever in RETRIEVERS.items()
        if retriever.matches_query and (query := retriever.build_query(request, UserState(), policy)) is not None
    }
    first = yield tuple(candidates_body(RETRIEVERS[name], query, request, policy) for name, query in queries.items())
    ids = sorted({hit["_id"] for response in first for hit in hits_of(response)})
    if not ids:
        return None
    vectors = [name for name in queries if name != LEXICAL]
    clauses = lexical_clauses(request.text)
    bodies = [_clause_body(clause, ids) for clause in clauses.values()]
    bodies += [scoring_body(queries[name], ids, policy) for name in vectors]
    second = yield tuple(bodies)
    rows = {item_id: row for row, item_id in enumerate(ids)}
    scales = {**dict.fromkeys(clauses, "unit"), **{name: RETRIEVERS[name].scale for name in vectors}}
    scores = {name: _column(r, rows, scale) for (name, scale), r in zip(scales.items(), second, strict=True)}
    return Judged(request.text, tuple(ids), scores, np.array([grades.get(i, 0.0) for i in ids], np.float32), ideal)


def tune(policy: RankingPolicy, judged: Sequence[Judged], rng: np.random.Generator) -> Tuned:
    """Return the best boosts and weights for `judged`, checked on a quarter of them that the choice has not seen.

    policy: of the store; its weights are where the search begins. rng: draws the queries held out. Raises InputError with fewer
    than 20 queries, from which nothing could be learned.
    """
    if len(judged) < 20:
        raise InputError(
            f"Only {len(judged)} of the judged queries have a positive grade and a candidate.",
            "Give at least 20 judged queries whose items are in the store.",
        )
    drawn = rng.permutation(len(judged))
    held = max(round(len(drawn) * HELD_OUT), 5)
    sheets = [_sheet([judged[i] for i in part]) for part in (drawn[held:], drawn[:held])]
    boosts = {name: clause_boost(name, policy.metadata.text_boosts) for name in CLAUSES}
    weights = {name: w for name, w in query_weights(policy).items() if name in sheets[0].retrievers or name == LEXICAL}
    found_boosts, found_weights = coordinate_ascent(sheets[0], boosts, weights, UNTUNED)
    before = float(ndcg(sheets[1], boosts, weights).mean())
    after = float(ndcg(sheets[1], found_boosts, found_weights).mean())
    if after <= before:
        return Tuned(_tidy(boosts), weights, before, before, len(drawn), held, kept=False)
    return Tuned(_tidy(found_boosts), found_weights, before, after, len(drawn), held, kept=True)


def _tidy(boosts: Mapping[str, float]) -> dict[str, float]:
    return {name: round(boost, 4) for name, boost in boosts.items() if boost > 0.0}


def _sheet(judged: Sequence[Judged]) -> JudgedScores:
    """Return scores and grades of the queries side by side, each padded to the longest."""
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
    retrievers = {name: scores[name] for name in names if name not in CLAUSES}
    return JudgedScores(clauses, retrievers, grades, real, np.array([each.ideal for each in judged]))


def _clause_body(clause: Body, ids: Sequence[str]) -> Body:
    query = {"bool": {"must": [clause], "filter": [{"ids": {"values": list(ids)}}]}}
    return {"size": len(ids), "_source": False, "track_total_hits": False, "query": query}


def _column(response: Response, rows: Mapping[str, int], scale: str) -> NDArray[np.float32]:
    column = np.zeros(len(rows), np.float32)
    hits = hits_of(response)
    raw = np.array([hit["_score"] for hit in hits], np.float64)
    column[[rows[hit["_id"]] for hit in hits]] = scaled_scores(scale, raw, 1.0) if scale in ("cosine", "dot") else raw
    return column
