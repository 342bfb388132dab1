"""Trying configurations on a slice: each model's settings, then the weights of the blend."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from es_recsys.models.als import ALS, ALSConfig
from es_recsys.models.base import DEPTHS, Model
from es_recsys.models.blend import blend
from es_recsys.models.climbing import Climb, climb
from es_recsys.models.cooccurrence import Counting, Rows, count
from es_recsys.models.ids import ItemIds
from es_recsys.models.sequences import sequences
from es_recsys.models.slices import Slice, ndcg
from es_recsys.models.transitions import Transitions, TransitionsConfig

__all__ = ["DEPTH", "TransitionTrials", "try_als", "weigh"]

# Length of the answers that are compared: NDCG@20.
DEPTH = 20
_INFINITE = float("inf")


class TransitionTrials:
    """Transitions of many settings on one slice; counts of the last countings are kept, as other settings share them."""

    def __init__(self, part: Slice) -> None:
        self._slice = part
        self._ids = ItemIds.of(part.train.item_ids.tolist())
        self._sequences = sequences(part.train)
        self._counts: dict[Counting, Rows] = {}

    def model(self, config: TransitionsConfig) -> Transitions:
        """Trained on the slice. Rows are pruned in two steps, so this is very slightly not what `fit` gives."""
        if config.counting not in self._counts:
            if len(self._counts) == 2:
                del self._counts[next(iter(self._counts))]
            self._counts[config.counting] = count(self._sequences, config.counting, 2 * config.neighbours, 0.2)
        return Transitions(config).fit_counts(self._ids, self._sequences, self._counts[config.counting])

    def each(self, config: TransitionsConfig) -> NDArray[np.float64]:
        """(n_users,) NDCG of each user of the slice."""
        return _each(self.model(config), self._slice)

    def climb(self, ordered: bool, deadline: float) -> Climb[TransitionsConfig]:
        """The best settings found; `ordered` widens the space to direction and recency."""
        kind = (ordered, self._slice.train.timed)
        return climb(
            Transitions.start(*kind),
            Transitions.space(*kind),
            Transitions.change,
            lambda config: float(self.each(config).mean()),
            deadline=deadline,
        )


def try_als(part: Slice, ordered: bool, seed: int, deadline: float) -> tuple[ALS, Climb[ALSConfig]]:
    """The best ALS found on the slice, and how it was found. Settings of the query need no new training."""
    trained: dict[ALSConfig, ALS] = {}

    def model(config: ALSConfig) -> ALS:
        key = replace(config, half_life=_INFINITE)
        if key not in trained:
            trained[key] = ALS(key).fit(part.train, np.random.default_rng(seed))
        return trained[key].with_half_life(config.half_life)

    kind = (ordered, part.train.timed)
    found = climb(
        ALS.start(*kind),
        ALS.space(*kind),
        ALS.change,
        lambda config: float(_each(model(config), part).mean()),
        rounds=1,
        deadline=deadline,
    )
    return model(found.config), found


def weigh(models: Mapping[str, Model], part: Slice) -> dict[float, float]:
    """Share of als (0 to 1, the rest for transitions) -> mean NDCG of the blend."""
    candidates = _Candidates(models, part)
    shares = [round(0.1 * step, 1) for step in range(11)]
    return {share: float(candidates.each({"transitions": 1.0 - share, "als": share}).mean()) for share in shares}


class _Candidates:
    """Each user's candidates with all raw scores, once for all weights: lists of every model are in the union."""

    def __init__(self, models: Mapping[str, Model], part: Slice) -> None:
        self._slice = part
        lists = {name: model.top(part.histories, DEPTHS[model.kind], part.known) for name, model in models.items()}
        self._own = {name: [places for places, _ in own] for name, own in lists.items()}
        self._best = [
            {name: float(own[user][1][0]) for name, own in lists.items() if len(own[user][0])} for user in range(len(part))
        ]
        self._union = [np.unique(np.concatenate([own[user] for own in self._own.values()])) for user in range(len(part))]
        self._raw = {name: model.scores_at(part.histories, self._union) for name, model in models.items()}

    def each(self, weights: Mapping[str, float]) -> NDArray[np.float64]:
        used = [name for name, weight in weights.items() if weight > 0]
        lists = []
        for user, union in enumerate(self._union):
            # A model without weight brings no candidates either.
            at = np.searchsorted(union, np.unique(np.concatenate([self._own[name][user] for name in used])))
            raw = {name: self._raw[name][user][at] for name in used}
            total = np.zeros(len(at)) + sum(blend(raw, self._best[user], weights).values())
            lists.append(union[at[np.lexsort((at, -total))[:DEPTH]]])
        return ndcg(lists, self._slice.targets, DEPTH)


def _each(model: Model, part: Slice) -> NDArray[np.float64]:
    lists = [places for places, _ in model.top(part.histories, DEPTH, part.known)]
    return ndcg(lists, part.targets, DEPTH)
