"""Choice of weights on what each retriever gave each candidate, judged by cross-validation.

Trials set out from the weights under which what people turned to was the likeliest of what they might have had
(models/conditional_logit.py), or from those until now, whichever are better, one retriever after the other moved to where it
serves best.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from es_recsys.evaluation.statistics import Estimate, bootstrap, paired_test
from es_recsys.evaluation.tuner import Trial, TuningResult, optimize
from es_recsys.evaluation.weights import RetrieverScores
from es_recsys.models.conditional_logit import fit_conditional_logit
from es_recsys.search.retriever_weights import SEARCH_KINDS, WINDOW_TABLES
from es_recsys.search.retrievers import RETRIEVERS

__all__ = ["TunedSituation", "best_weights", "choose_weights", "is_matching", "logit_weights"]

_VALUES = (0.0, 0.001, 0.003, 0.01, 0.03, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.65, 0.8, 1.0)
_FOLDS = 5
_ROUNDS = 6
_SURE = 0.05
_METRIC = "NDCG@10"
_IN_WORDS = {
    "no_query": "without a query",
    "query_item": "in searches that name one item",
    "query_kind": "in searches that name a kind of items",
    "query_vague": "in vague searches",
    "window_item": "in bodies that name one item",
    "window_kind": "in bodies that name a kind of items",
    "window_vague": "in vague bodies",
}
_SEARCHES = frozenset({*SEARCH_KINDS, *WINDOW_TABLES.values()})
# What the neutral answer counts in the choice of a search's weights, which it shares.
_NEUTRAL = 0.25
# Parts of the weights that don't match the query, of which the largest that loses no title is kept.
_MARGIN = 1.25  # titles are asked for by other people, too
_SHARES = (1.0, 0.85, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.05, 0.0)
# Words that name things say little for a query's vector, which finds what is put otherwise. Of vague searches the words may say
# next to nothing of which match is meant, but what matches is found by them.
_LEAST_MATCHING = 0.1


@dataclass(frozen=True, slots=True)
class TunedSituation:
    """Outcome of the choice for one situation, or one kind of searches.

    before, after: NDCG@10 with the weights until now and, each query by weights chosen without it, with new ones; p of their
    difference. over_neutral: of a search what the better of both gains over the neutral answer until now. trials: of the last
    choice, which all queries made.
    """

    name: str
    queries: int
    weights: Mapping[str, float]
    before: float
    after: float
    p: float
    kept: bool
    trials: tuple[Trial, ...]
    over_neutral: Estimate | None = None

    def history(self) -> dict[str, Any]:
        """Return the trials of the last choice, as the page plots them."""
        model = f"weights of the retrievers, {_IN_WORDS[self.name]}"
        return {"kind": "tuning", "model": model, "metric": _METRIC, "trials": [one.to_dict() for one in self.trials]}


def choose_weights(
    name: str,
    retriever_scores: RetrieverScores,
    before: NDArray[np.float64],
    who: Sequence[str],
    trials: int,
    seconds: float | None,
    seed: int,
    titles: tuple[RetrieverScores, NDArray[np.float64]] | None = None,
) -> TunedSituation:
    """Choose weights on all queries, and judge such a choice by cross-validation.

    before: weights (q, l) of each query until now. titles: searches for whole titles, with weights until now.

    Weights chosen on the other people's queries answer those of a fold's people. So each query says something, though none says
    anything of weights that it helped to choose.
    """
    # Who asks as nobody is not one person.
    people, owner = np.unique([one or f"\0{row}" for row, one in enumerate(who)], return_inverse=True)
    rng = np.random.default_rng(seed)
    fold = (rng.permutation(len(people)) % _FOLDS)[owner]
    seconds = math.inf if seconds is None else seconds / (_FOLDS + 1)
    start = dict(zip(retriever_scores.retrievers, np.median(before, axis=0).tolist(), strict=True))
    neutral = _neutral(retriever_scores.retrievers) if name in _SEARCHES else None
    old, new = retriever_scores.ndcg(before), np.zeros(len(retriever_scores))
    for one in range(_FOLDS):
        own = np.flatnonzero(fold == one)
        chosen, _ = best_weights(retriever_scores.some(np.flatnonzero(fold != one)), start, trials, seconds, neutral)
        chosen = _keeping_titles(chosen, titles, neutral)
        new[own] = retriever_scores.some(own).ndcg(chosen)
    best, result = best_weights(retriever_scores, start, trials, seconds, neutral)
    best = _keeping_titles(best, titles, neutral)
    p = paired_test(new, old, rng, groups=who)
    # So many trials find something in any noise: only what is significantly better goes into service.
    kept = bool(new.mean() > old.mean() and p < _SURE)
    means = float(old.mean()), float(new.mean())
    gain = None
    if neutral is not None:
        gain = bootstrap((new if kept else old) - retriever_scores.ndcg(before * neutral), rng, groups=who)
    return TunedSituation(name, len(retriever_scores), best if kept else start, *means, p, kept, result.trials, gain)


def _keeping_titles(
    weights: dict[str, float], titles: tuple[RetrieverScores, NDArray[np.float64]] | None, neutral: NDArray[np.float64] | None
) -> dict[str, float]:
    """Return the weights with all that doesn't match the query scaled down until no title is lost against the neutral answer."""
    if titles is None or neutral is None or not len(titles[0]):
        return weights
    scores, before = titles
    least = scores.first(before * neutral)
    for share in _SHARES:
        tried, more = (
            {name: weight * (1.0 if is_matching(name) else part) for name, weight in weights.items()}
            for part in (share, _MARGIN * share)
        )
        if scores.first(more) >= least:
            break
    return tried


def is_matching(retriever: str) -> bool:
    """Return whether a retriever matches the query."""
    return retriever in RETRIEVERS and RETRIEVERS[retriever].matches_query


def best_weights(
    retriever_scores: RetrieverScores,
    before: Mapping[str, float],
    trials: int,
    seconds: float,
    neutral: NDArray[np.float64] | None = None,
) -> tuple[dict[str, float], TuningResult]:
    """Return the best weights of all tried, and the trials.

    neutral (l,): 1 for each retriever of the neutral answer, where that counts, too.
    """
    names = retriever_scores.retrievers

    @cache
    def score(weights: tuple[float, ...]) -> float:
        found = float(retriever_scores.ndcg(dict(zip(names, weights, strict=True))).mean())
        if neutral is None:
            return found
        alone = tuple((np.array(weights) * neutral).tolist())
        return (1.0 - _NEUTRAL) * found + _NEUTRAL * _neutral_score(alone)

    @cache
    def _neutral_score(weights: tuple[float, ...]) -> float:
        return float(retriever_scores.ndcg(dict(zip(names, weights, strict=True))).mean())

    def value(weights: Mapping[str, float]) -> float:
        return score(tuple(weights.get(name, 0.0) for name in names))

    least = {name: _LEAST_MATCHING for name in names if is_matching(name)}
    space = {name: tuple(value for value in _VALUES if value >= least.get(name, 0.0)) for name in names}
    likely = {name: max(weight, least.get(name, 0.0)) for name, weight in logit_weights(retriever_scores).items()}
    better = likely if value(likely) > value(before) else before
    result = optimize(
        space,
        value,
        method="coordinate",
        start={name: min(values, key=lambda one: abs(one - better.get(name, 0.0))) for name, values in space.items()},
        trials=trials,
        deadline=time.process_time() + seconds,
        rounds=_ROUNDS,
        exhaustive=True,
    )
    tried: list[Mapping[str, float]] = [likely, before, *([] if result.best is None else [result.best.settings])]
    best = max(tried, key=value)
    return dict(best), result


def logit_weights(retriever_scores: RetrieverScores) -> dict[str, float]:
    """Return the retriever weights of the greatest likelihood (conditional logit), beside what the other retrievers give.

    What these give counts 1; where the largest weight should be more than that, it is 1 and the others shrink in proportion.
    """
    choices, worth = retriever_scores.choices()
    theta = fit_conditional_logit(choices, worth) if choices else np.zeros(len(retriever_scores.retrievers) + 1)
    scale = float(theta.max()) or 1.0
    return {retriever: float(weight) / scale for retriever, weight in zip(retriever_scores.retrievers, theta, strict=False)}


def _neutral(retrievers: Sequence[str]) -> NDArray[np.float64]:
    """Return (l,): 1 for each retriever of the neutral answer."""
    return np.array([float(name in RETRIEVERS and not RETRIEVERS[name].personalized) for name in retrievers])
