"""Lexical boosts and retriever weights for queries, chosen from judged queries.

Scores are collected once a query (`collect`, driven by the caller); trials are then arithmetic on them, the same as that of the
served query, so that what is tuned is what is served: the mean NDCG@10 over all judged items (unjudged count 0).
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from es_recsys.errors import InputError
from es_recsys.evaluation.metrics import ideal_dcg, ndcg_of_scores
from es_recsys.evaluation.tuner import optimize
from es_recsys.search.bodies import candidates_body, scoring_body
from es_recsys.search.lexical import CLAUSES, UNTUNED, lexical_clauses
from es_recsys.search.query_dsl import IDS_ONLY, Body, Response, hits_of, item_id_of
from es_recsys.search.request import RankingPolicy, Request, UserState
from es_recsys.search.retriever_weights import query_weights
from es_recsys.search.retrievers import LEXICAL, RETRIEVERS
from es_recsys.search.scales import scaled_scores

__all__ = ["Judged", "JudgedScores", "Tuned", "best_weights", "collect", "tune"]

HELD_OUT = 0.25
_DEPTH = 60
# Of a clause; and of a retriever, over the weight of the words.
_BOOSTS = (0.0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.65, 0.8, 1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0)
_RATIOS = (0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.2, 1.5, 2.0, 3.0)
_ROUNDS = 6
_MIN_GAIN = 1e-4


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


@dataclass(frozen=True, slots=True, eq=False)
class JudgedScores:
    """Scores and grades of the candidates of judged queries (q), padded to the longest (c).

    clauses, retrievers: name -> (q, c) float32 scores; grades (q, c); real (q, c) bool, False in the padding; ideal (q,) best
    DCG@10.
    """

    clauses: Mapping[str, NDArray[np.float32]]
    retrievers: Mapping[str, NDArray[np.float32]]
    grades: NDArray[np.float32]
    real: NDArray[np.bool_]
    ideal: NDArray[np.float64]

    def ndcg(self, boosts: Mapping[str, float], weights: Mapping[str, float]) -> NDArray[np.float64]:
        """Return NDCG@10 (q,) of the served order with these boosts and weights.

        The score is the lexical sum over its best, plus the weighted retrievers; ties in the order given.
        """
        lexical = np.zeros(self.grades.shape, np.float32)
        for name, scores in self.clauses.items():
            if boosts.get(name, 0.0) > 0.0:
                lexical += np.float32(boosts[name]) * scores
        best = lexical.max(axis=1, keepdims=True)
        total = np.float32(weights.get(LEXICAL, 0.0)) * lexical / np.where(best > 0.0, best, 1.0)
        for name, scores in self.retrievers.items():
            total = total + np.float32(weights.get(name, 0.0)) * scores
        return ndcg_of_scores(total, self.grades, self.ideal, 10, self.real)


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
    ids = sorted({item_id_of(hit) for response in first for hit in hits_of(response)})
    if not ids:
        return None
    vectors = [name for name in queries if name != LEXICAL]
    clauses = lexical_clauses(request.text, policy.text_matching)
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
    chooses, checks = (_judged_scores([judged[i] for i in part]) for part in (drawn[held:], drawn[:held]))
    in_force = policy.text_matching.boosts
    boosts = {name: in_force.get(name, 0.0) for name in CLAUSES}
    weights = {name: w for name, w in query_weights(policy).items() if name in chooses.retrievers or name == LEXICAL}
    found_boosts, found_weights = best_weights(chooses, boosts, weights)
    before, after = (float(checks.ndcg(*one).mean()) for one in ((boosts, weights), (found_boosts, found_weights)))
    if after <= before:
        return Tuned(_tidy(boosts), weights, before, before, len(drawn), held, kept=False)
    return Tuned(_tidy(found_boosts), found_weights, before, after, len(drawn), held, kept=True)


def best_weights(
    scores: JudgedScores, boosts: Mapping[str, float], weights: Mapping[str, float]
) -> tuple[dict[str, float], dict[str, float]]:
    """Return boosts and weights of which no single change betters the mean NDCG@10 by 0.0001 any more.

    Weights keep their sum. A clause that adds less than that is dropped, for each costs time in every search. Boosts of clauses
    that are not tuned stay.
    """
    tuned = [name for name in scores.clauses if name not in UNTUNED]
    others = [name for name in weights if name != LEXICAL]
    # Only the ratio of the weights counts: that of the words stays while the others are tried.
    scale = weights[LEXICAL] or 1.0
    space = {name: sorted({*_BOOSTS, boosts.get(name, 0.0)}) for name in tuned}
    space |= {name: sorted({*(ratio * scale for ratio in _RATIOS), weights[name]}) for name in others}

    def value(settings: Mapping[str, float]) -> float:
        return float(scores.ndcg({**boosts, **settings}, {**weights, **settings}).mean())

    start = {name: boosts.get(name, 0.0) for name in tuned} | {name: weights[name] for name in others}
    result = optimize(
        space, value, method="coordinate", start=start, rounds=_ROUNDS, exhaustive=True, min_gain=_MIN_GAIN, trials=None
    )
    assert result.best is not None
    found, best = dict(result.best.settings), result.best.value
    for name in sorted(tuned, key=lambda each: (found[each], each)):
        without = {**found, name: 0.0}
        if found[name] > 0.0 and any({**boosts, **without}[clause] > 0.0 for clause in scores.clauses):
            reached = value(without)
            if reached > best - _MIN_GAIN:
                found, best = without, reached
    new = {**weights, **{name: found[name] for name in others}}
    unit = sum(weights.values()) / (sum(new.values()) or 1.0)
    return {**boosts, **{name: found[name] for name in tuned}}, {name: round(weight * unit, 6) for name, weight in new.items()}


def _tidy(boosts: Mapping[str, float]) -> dict[str, float]:
    return {name: round(boost, 4) for name, boost in boosts.items() if boost > 0.0}


def _judged_scores(judged: Sequence[Judged]) -> JudgedScores:
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
    return {"size": len(ids), **IDS_ONLY, "track_total_hits": False, "query": query}


def _column(response: Response, rows: Mapping[str, int], scale: str) -> NDArray[np.float32]:
    column = np.zeros(len(rows), np.float32)
    hits = hits_of(response)
    raw = np.array([hit["_score"] for hit in hits], np.float64)
    column[[rows[item_id_of(hit)] for hit in hits]] = scaled_scores(scale, raw, 1.0) if scale in ("cosine", "dot") else raw
    return column
