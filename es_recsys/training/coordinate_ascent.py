"""Coordinate ascent on NDCG@10 over collected scores: the arithmetic of `tune`."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from es_recsys.evaluation.metrics import ndcg_of_scores

__all__ = ["JudgedScores", "coordinate_ascent", "ndcg"]

_FACTORS = (0.0, 0.5, 0.7, 0.85, 1.2, 1.5, 2.0)
_FIRST = (0.05, 0.1, 0.25, 0.5, 1.0)
_SHARES = tuple(round(0.05 * i, 2) for i in range(13))
_ROUNDS = 6
_GAIN = 1e-4
_N = 10


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


def ndcg(sheet: JudgedScores, boosts: Mapping[str, float], weights: Mapping[str, float]) -> NDArray[np.float64]:
    """Return NDCG@10 (q,) of the served order with these boosts and weights.

    The score is the lexical sum over its best, plus the weighted retrievers; ties in the order given.
    """
    return _measure(sheet, _lexical(sheet, boosts), weights)


def coordinate_ascent(
    sheet: JudgedScores, boosts: Mapping[str, float], weights: Mapping[str, float], fixed: Collection[str] = ()
) -> tuple[dict[str, float], dict[str, float]]:
    """Return boosts and weights of which no single change betters the mean NDCG@10 by 0.0001 any more.

    Weights keep their sum. A clause that adds less than that is dropped, for each costs time in every search. The boosts of
    `fixed` stay.
    """
    boosts, weights = dict(boosts), dict(weights)
    best = float(ndcg(sheet, boosts, weights).mean())
    for _ in range(_ROUNDS):
        before = best
        for name in [clause for clause in sheet.clauses if clause not in fixed]:
            best = _better_boost(sheet, boosts, weights, name, best)
        for name in weights:
            best = _better_weight(sheet, boosts, weights, name, best)
        if best < before + _GAIN:
            break
    for name in sorted(boosts, key=lambda each: (boosts[each], each)):
        fewer = {**boosts, name: 0.0}
        if name not in fixed and boosts[name] > 0.0 and any(fewer.values()):
            without = float(ndcg(sheet, fewer, weights).mean())
            if without > best - _GAIN:
                boosts, best = fewer, without
    return boosts, weights


def _better_boost(sheet: JudgedScores, boosts: dict[str, float], weights: Mapping[str, float], name: str, best: float) -> float:
    rest = _lexical(sheet, {**boosts, name: 0.0})
    for boost in _steps(boosts[name]):
        if boost > 0.0 or any(other > 0.0 for key, other in boosts.items() if key != name):
            found = float(_measure(sheet, rest + np.float32(boost) * sheet.clauses[name], weights).mean())
            if found > best + _GAIN:
                best, boosts[name] = found, boost
    return best


def _better_weight(sheet: JudgedScores, boosts: Mapping[str, float], weights: dict[str, float], name: str, best: float) -> float:
    lexical, total = _lexical(sheet, boosts), sum(weights.values())
    others = total - weights[name]
    if name == "lexical" or total <= 0.0 or others <= 0.0:
        return best
    start = dict(weights)
    for share in _SHARES:
        scale = (1.0 - share) * total / others
        tried = {key: round(share * total if key == name else weight * scale, 6) for key, weight in start.items()}
        found = float(_measure(sheet, lexical, tried).mean())
        if found > best + _GAIN:
            best = found
            weights.update(tried)
    return best


def _steps(boost: float) -> Iterator[float]:
    yield from ((boost * factor for factor in _FACTORS) if boost > 0.0 else _FIRST)


def _lexical(sheet: JudgedScores, boosts: Mapping[str, float]) -> NDArray[np.float32]:
    total = np.zeros(sheet.grades.shape, np.float32)
    for name, scores in sheet.clauses.items():
        if boosts.get(name, 0.0) > 0.0:
            total += np.float32(boosts[name]) * scores
    return total


def _measure(sheet: JudgedScores, lexical: NDArray[np.float32], weights: Mapping[str, float]) -> NDArray[np.float64]:
    best = lexical.max(axis=1, keepdims=True)
    total = np.float32(weights.get("lexical", 0.0)) * lexical / np.where(best > 0.0, best, 1.0)
    for name, scores in sheet.retrievers.items():
        total = total + np.float32(weights.get(name, 0.0)) * scores
    return ndcg_of_scores(total, sheet.grades, sheet.ideal, _N, sheet.real)
