"""Ensemble selection: the weights of the ensemble of several models that answers a holdout split best."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np
from numpy.typing import NDArray

from es_recsys.evaluation.holdout_split import HoldoutSplit
from es_recsys.models.base import Model
from es_recsys.training.ensemble_candidates import Candidates

__all__ = ["SURE", "MarginalGain", "SelectedEnsemble", "select_among", "select_ensemble", "with_model"]

# A model must bring this much to be worth a search of its own in every answer.
_WORTH = 1.005
_SHARES = (0.1, 0.2, 0.3, 0.4, 0.5)
_STEP = 0.1
# Users from which on the weights found are taken as they are; samples drawn of fewer; a mean share that isn't worth a search.
SURE, _SAMPLES, _SLIGHT = 2_000, 20, 0.05
# The best of some settings beside others is, of a few hundred users, often luck: a memory of one day once seemed .001 better
# there, and halved what the model answers alone.
_DOUBT = 0.1


@dataclass(frozen=True, slots=True)
class SelectedEnsemble:
    """Weights of the models of an ensemble, and how they were found.

    weights: model -> share, summing to 1, only of those above 0. score: NDCG of the ensemble. alone: of each model by itself.
    path: (weights, NDCG) as each model joined, and of the mean over samples where one was taken.
    """

    weights: Mapping[str, float]
    score: float
    alone: Mapping[str, float]
    path: tuple[tuple[Mapping[str, float], float], ...]


def select_ensemble(
    models: Mapping[str, Model],
    part: HoldoutSplit,
    least: float = 0.0,
    earlier: Sequence[tuple[Mapping[str, Model], HoldoutSplit]] = (),
) -> SelectedEnsemble:
    """Return the weights of the best ensemble found on a holdout split.

    It begins with the best model alone, then one more joins as long as it brings half a percent. A model joins with the share
    that serves best, the others shrink in proportion; then shares are shifted between pairs by a tenth while that helps. Where
    there are few users, chance decides too much of that, so the weights are the mean of what is found for samples of the users,
    drawn with replacement (Caruana et al. 2004, "Ensemble selection from libraries of models").

    least: the share that each model has at least (0: one that brings nothing is left out). earlier: holdout splits of earlier
    moments, whose users count as well, each with the same models trained on it.
    """
    joined = [Candidates.of(models, part), *(Candidates.of(*one) for one in earlier)]
    return select_among(joined, tuple(models), least, SURE)


def select_among(
    candidates: Sequence[Candidates], names: Sequence[str], least: float = 0.0, sure: int = SURE
) -> SelectedEnsemble:
    """Return the same where the candidates of the users are known, which are joined.

    names: of their models. sure: users from which on no samples are drawn.
    """

    def each(weights: Mapping[str, float]) -> NDArray[np.float64]:
        return np.concatenate([one.each(weights) for one in candidates])

    def score(weights: Mapping[str, float]) -> float:
        return float(each(weights).mean())

    alone = {name: score({name: 1.0}) for name in names}
    path = _path(names, score)
    users = sum(map(len, candidates))
    if users < sure and len(names) > 1:
        averaged = _bagged(names, each, users)
        path.append((averaged, score(averaged)))
    weights, best = path[-1]
    if least > 0.0:
        floored = {name: max(weights.get(name, 0.0), least) for name in names}
        total = sum(floored.values())
        weights = {name: round(share / total, 3) for name, share in floored.items()}
        best = score(weights)
    return SelectedEnsemble(weights, best, alone, tuple(path))


class MarginalGain:
    """Score of a model by what it brings to others, whose own ensemble is found first.

    A model may be poor by itself and tell what the others don't, so settings that are chosen by it alone are not those that serve
    best. without: the NDCG of the ensemble of the others. ensemble_ndcg, alone: the NDCG of the best ensemble with the best model
    scored so far, and of that model by itself.
    """

    def __init__(self, models: Mapping[str, Model], part: HoldoutSplit) -> None:
        self._candidates = Candidates.of(models, part)
        self._doubt = _DOUBT * max(1.0 - len(part) / SURE, 0.0)
        self._weights, self.without = _path(tuple(models), lambda weights: float(self._candidates.each(weights).mean()))[-1]
        self._best, self.ensemble_ndcg, self.alone = -math.inf, self.without, 0.0

    def __call__(self, name: str, model: Model) -> float:
        """Return the score that the settings of a model are chosen by.

        It is the NDCG of the best ensemble with this model more, where that is more than `without`; else the NDCG of the model
        alone, but at most `without`: of settings that add nothing, those that do least harm would be poor ones. The fewer users
        there are, the more the NDCG of the model alone counts beside that (`_DOUBT` with no user).
        """
        ensemble_ndcg, alone = self.asked(name, model)
        found = (ensemble_ndcg if ensemble_ndcg > self.without else min(alone, self.without)) + self._doubt * alone
        if found > self._best:
            self._best, self.ensemble_ndcg, self.alone = found, ensemble_ndcg, alone
        return found

    def asked(self, name: str, model: Model) -> tuple[float, float]:
        """Return NDCG of the best ensemble with this model more, and of the model alone."""
        candidates = self._candidates.beside(name, model)

        def score(weights: Mapping[str, float]) -> float:
            return float(candidates.each(weights).mean())

        tried = [with_model(self._weights, name, share) for share in _SHARES]
        scores = [score(weights) for weights in tried]
        top = int(np.argmax(scores))
        return _shifted(tried[top], scores[top], score)[1], score({name: 1.0})


def _path(names: Sequence[str], score: Callable[[Mapping[str, float]], float]) -> list[tuple[Mapping[str, float], float]]:
    alone = {name: score({name: 1.0}) for name in names}
    first = max(alone, key=lambda name: alone[name])
    weights, best = {first: 1.0}, alone[first]
    path: list[tuple[Mapping[str, float], float]] = [(weights, best)]
    while len(weights) < len(names):
        tried = [with_model(weights, name, share) for name in names if name not in weights for share in _SHARES]
        scores = [score(each) for each in tried]
        top = int(np.argmax(scores))
        if scores[top] < _WORTH * best:
            break
        weights, best = _shifted(tried[top], scores[top], score)
        path.append((weights, best))
    return path


def _bagged(names: Sequence[str], each: Callable[[Mapping[str, float]], NDArray[np.float64]], users: int) -> dict[str, float]:
    rng = np.random.default_rng(0)
    sums = dict.fromkeys(names, 0.0)
    for _ in range(_SAMPLES):
        drawn = rng.integers(0, users, users)
        weights, _ = _path(names, lambda weights, drawn=drawn: float(each(weights)[drawn].mean()))[-1]  # type: ignore[misc]
        for name, share in weights.items():
            sums[name] += share / _SAMPLES
    kept = {name: share for name, share in sums.items() if share >= _SLIGHT}
    total = sum(kept.values())
    return {name: round(share / total, 2) for name, share in kept.items()}


def with_model(weights: Mapping[str, float], name: str, share: float) -> dict[str, float]:
    """Return the weights with one more model of this share; the others shrink in proportion."""
    return {**{other: round(weight * (1.0 - share), 6) for other, weight in weights.items()}, name: share}


def _shifted(
    weights: dict[str, float], best: float, score: Callable[[Mapping[str, float]], float]
) -> tuple[dict[str, float], float]:
    """Move a tenth of the weight from one model to another while the score rises; return weights and score."""
    improved = True
    while improved:
        improved = False
        for source, target in permutations(weights, 2):
            if weights[source] <= _STEP + 1e-9:
                continue
            moved = {**weights, source: round(weights[source] - _STEP, 6), target: round(weights[target] + _STEP, 6)}
            reached = score(moved)
            if reached > best:
                weights, best, improved = moved, reached, True
    return weights, best
