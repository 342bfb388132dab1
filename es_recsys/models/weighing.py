"""What several models are worth to each other: the weights of the blend that answers a slice best."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np
from numpy.typing import NDArray

from es_recsys.models.asked import Asked
from es_recsys.models.base import DEPTHS, Model
from es_recsys.models.blend import blend
from es_recsys.models.ids import ItemIds
from es_recsys.models.slices import Slice, ndcg
from es_recsys.models.trials import DEPTH

__all__ = ["Candidates", "Weighed", "weigh"]

# A model must bring this much to be worth a search of its own in every answer.
_WORTH = 1.005
_SHARES = (0.1, 0.2, 0.3, 0.4, 0.5)
_STEP = 0.1
# Users from which on the weights found are taken as they are; samples drawn of fewer; a mean share that isn't worth a search.
_SURE, _SAMPLES, _SLIGHT = 2_000, 20, 0.05


@dataclass(frozen=True, slots=True)
class Weighed:
    """weights: model -> share, summing to 1, only of those above 0. score: NDCG of the blend. alone: of each model by
    itself. path: (weights, NDCG) as each model joined, and of the mean over samples where one was taken. next: (n_users,)
    NDCG of the blend where only the first target of each user counts, so that it doesn't depend on how long one waited for
    targets."""

    weights: Mapping[str, float]
    score: float
    alone: Mapping[str, float]
    path: tuple[tuple[Mapping[str, float], float], ...]
    next: NDArray[np.float64]


class Candidates:
    """Each user's candidates with all raw scores, once for all weights: lists of every model are in the union."""

    def __init__(self, models: Mapping[str, Model], part: Slice) -> None:
        self._slice = part
        ids = ItemIds.of(part.train.item_ids.tolist())
        asked = {name: Asked(model, ids) for name, model in models.items()}
        lists = {name: one.top(part.histories, DEPTHS[models[name].kind], part.known) for name, one in asked.items()}
        self._own = {name: [places for places, _ in own] for name, own in lists.items()}
        self._best = [
            {name: float(own[user][1][0]) for name, own in lists.items() if len(own[user][0])} for user in range(len(part))
        ]
        self._union = [np.unique(np.concatenate([own[user] for own in self._own.values()])) for user in range(len(part))]
        self._raw = {name: one.scores_at(part.histories, self._union) for name, one in asked.items()}
        self._known: dict[frozenset[tuple[str, float]], NDArray[np.float64]] = {}

    def each(self, weights: Mapping[str, float]) -> NDArray[np.float64]:
        """(n_users,) NDCG of each user with these weights, which are remembered: samples of users ask for the same ones."""
        key = frozenset((name, share) for name, share in weights.items() if share > 0.0)
        if key not in self._known:
            self._known[key] = self._slice.ndcg(self._lists(weights), DEPTH)
        return self._known[key]

    def next(self, weights: Mapping[str, float]) -> NDArray[np.float64]:
        """(n_users,) the same where only the first target of each user is to be found."""
        return ndcg(self._lists(weights), tuple(one[:1] for one in self._slice.targets), DEPTH)

    def _lists(self, weights: Mapping[str, float]) -> list[NDArray[np.int64]]:
        """The best of each user's union with these weights."""
        used = [name for name, weight in weights.items() if weight > 0]
        lists = []
        for user, union in enumerate(self._union):
            # A model without weight brings no candidates either.
            at = np.searchsorted(union, np.unique(np.concatenate([self._own[name][user] for name in used])))
            raw = {name: self._raw[name][user][at] for name in used}
            total = np.zeros(len(at)) + sum(blend(raw, self._best[user], weights).values())
            lists.append(union[at[np.lexsort((at, -total))[:DEPTH]]])
        return lists


def weigh(models: Mapping[str, Model], part: Slice, least: float = 0.0) -> Weighed:
    """Weights of the best blend found: the best model alone, then with one more as long as it brings half a percent.

    A model joins with the share that serves best, the others shrink in proportion; then shares are shifted between pairs
    by a tenth while that helps. Where few users can be asked, chance decides too much of that, so the weights are the mean
    of what is found for samples of the users, drawn with replacement (Caruana et al. 2004, "Ensemble selection from
    libraries of models"). least: the share that each model has at least (0: one that brings nothing is left out).
    """
    candidates = Candidates(models, part)

    def score(weights: Mapping[str, float]) -> float:
        return float(candidates.each(weights).mean())

    alone = {name: score({name: 1.0}) for name in models}
    path = _path(tuple(models), score)
    if len(part) < _SURE and len(models) > 1:
        averaged = _bagged(tuple(models), candidates, len(part))
        path.append((averaged, score(averaged)))
    weights, best = path[-1]
    if least > 0.0:
        floored = {name: max(weights.get(name, 0.0), least) for name in models}
        total = sum(floored.values())
        weights = {name: round(share / total, 3) for name, share in floored.items()}
        best = score(weights)
    return Weighed(weights, best, alone, tuple(path), candidates.next(weights))


def _path(names: Sequence[str], score: Callable[[Mapping[str, float]], float]) -> list[tuple[Mapping[str, float], float]]:
    alone = {name: score({name: 1.0}) for name in names}
    first = max(alone, key=lambda name: alone[name])
    weights, best = {first: 1.0}, alone[first]
    path: list[tuple[Mapping[str, float], float]] = [(weights, best)]
    while len(weights) < len(names):
        tried = [joined(weights, name, share) for name in names if name not in weights for share in _SHARES]
        scores = [score(each) for each in tried]
        top = int(np.argmax(scores))
        if scores[top] < _WORTH * best:
            break
        weights, best = _shifted(tried[top], scores[top], score)
        path.append((weights, best))
    return path


def _bagged(names: Sequence[str], candidates: Candidates, users: int) -> dict[str, float]:
    rng = np.random.default_rng(0)
    sums = dict.fromkeys(names, 0.0)
    for _ in range(_SAMPLES):
        drawn = rng.integers(0, users, users)
        weights, _ = _path(names, lambda weights, drawn=drawn: float(candidates.each(weights)[drawn].mean()))[-1]  # type: ignore[misc]
        for name, share in weights.items():
            sums[name] += share / _SAMPLES
    kept = {name: share for name, share in sums.items() if share >= _SLIGHT}
    total = sum(kept.values())
    return {name: round(share / total, 2) for name, share in kept.items()}


def joined(weights: Mapping[str, float], name: str, share: float) -> dict[str, float]:
    """The weights with one more model of this share; the others shrink in proportion."""
    return {**{other: round(weight * (1.0 - share), 6) for other, weight in weights.items()}, name: share}


def _shifted(
    weights: dict[str, float], best: float, score: Callable[[Mapping[str, float]], float]
) -> tuple[dict[str, float], float]:
    """Moves a tenth from one model to another while the score rises."""
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
