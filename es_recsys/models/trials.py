"""Trying configurations on a slice: each model's settings, then the weights of the blend."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

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
        start, moves = _ordered(self._slice.train.timed) if ordered else _unordered()
        return climb(start, moves, _change, lambda config: float(self.each(config).mean()), deadline=deadline)


def _ordered(timed: bool) -> tuple[TransitionsConfig, Mapping[str, tuple[object, ...]]]:
    start = TransitionsConfig(Counting(10, 0.8, 0.5, 0.3), 0.5, 0.2, half_life=3.0)
    moves: dict[str, tuple[object, ...]] = {
        "half_life": (1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0, _INFINITE),
        "target_power": (0.0, 0.1, 0.2, 0.3, 0.4, 0.5),
        "source_power": (0.3, 0.4, 0.5, 0.6, 0.8, 1.0),
        "window": ((5, 0.7), (10, 0.8), (20, 0.9), (50, 0.97), (None, 1.0)),
        "backward": (0.1, 0.25, 0.4, 0.5, 0.7, 1.0),
        "user_power": (0.0, 0.3, 0.5, 0.75, 1.0),
    }
    if timed:
        moves["half_life_days"] = (1.0, 3.0, 10.0, 30.0, 90.0, _INFINITE)
        moves["pair_half_life_days"] = (10.0, 30.0, 90.0, 365.0, _INFINITE)
    return start, moves


def _unordered() -> tuple[TransitionsConfig, Mapping[str, tuple[object, ...]]]:
    start = TransitionsConfig(Counting(None, 1.0, 1.0, 0.75), 0.8, 0.2)
    moves: dict[str, tuple[object, ...]] = {
        "target_power": (0.0, 0.1, 0.2, 0.3, 0.4),
        "source_power": (0.4, 0.6, 0.8, 1.0),
        "window": ((20, 0.9), (50, 0.97), (None, 1.0)),
        "user_power": (0.0, 0.25, 0.5, 0.75, 1.0),
    }
    return start, moves


def _change(config: TransitionsConfig, setting: str, value: Any) -> TransitionsConfig:
    counting = config.counting
    if setting == "window":
        counting = replace(counting, window=value[0], decay=value[1])
    elif setting == "pair_half_life_days":
        counting = replace(counting, half_life_days=value)
    elif setting in ("backward", "user_power"):
        counting = replace(counting, **{setting: value})
    else:
        return replace(config, **{setting: value})
    return replace(config, counting=counting)


def try_als(part: Slice, ordered: bool, seed: int, deadline: float) -> tuple[ALS, Climb[ALSConfig]]:
    """The best ALS found on the slice, and how it was found. Settings of the query need no new training."""
    trained: dict[ALSConfig, ALS] = {}

    def model(config: ALSConfig) -> ALS:
        key = replace(config, half_life=_INFINITE)
        if key not in trained:
            trained[key] = ALS(key).fit(part.train, np.random.default_rng(seed))
        return trained[key].with_half_life(config.half_life)

    def change(config: ALSConfig, setting: str, value: Any) -> ALSConfig:
        if setting in ("scale", "b"):
            return replace(config, confidence=replace(config.confidence, **{setting: value}))
        return replace(config, **{setting: value})

    moves: dict[str, tuple[object, ...]] = {"half_life": (2.0, 4.0, 8.0, 20.0, _INFINITE)} if ordered else {}
    moves |= {"scale": (4.0, 10.0, 25.0, 60.0), "b": (0.2, 0.5, 0.8), "factors": (32, 64, 128)}
    found = climb(
        ALSConfig(factors=32), moves, change, lambda config: float(_each(model(config), part).mean()), rounds=1, deadline=deadline
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
