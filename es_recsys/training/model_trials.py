"""Trials of configs of one model on one holdout split."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from es_recsys.cooccurrence import CooccurrenceConfig, count
from es_recsys.dataset import ItemTable
from es_recsys.errors import ModelError
from es_recsys.evaluation.holdout_split import HoldoutSplit
from es_recsys.evaluation.tuner import TuningResult, optimize
from es_recsys.item_ids import ItemIds
from es_recsys.linear_algebra import CSR
from es_recsys.models.base import Model, TrainingCallback
from es_recsys.models.covisitation import CoVisitation, CoVisitationConfig
from es_recsys.models.registry import MODELS
from es_recsys.sequences import user_sequences
from es_recsys.training import early_stopping
from es_recsys.training.aligned_models import AlignedModel
from es_recsys.vector_fields import VECTOR_FIELDS

__all__ = ["DEPTH", "CoVisitationTrials", "Trials", "listed_params", "trials_of", "with_params"]

# Length of the answers that are compared: NDCG@20.
DEPTH = 20
# Trainings that are kept: neighbouring settings often share one.
_KEPT = 4


def with_params(kind: type[Model], config: Any, settings: Mapping[str, Any]) -> Any:
    """Return the config with these settings."""
    for setting, value in settings.items():
        config = kind.with_param(config, setting, value)
    return config


def listed_params(kind: type[Model], config: Any, space: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of the space that the config has; a setting that has none of them is left out."""
    return {
        setting: value
        for setting, values in space.items()
        for value in values
        if kind.with_param(config, setting, value) == config
    }


class Trials:
    """Trials of one kind of model with many settings on one holdout split.

    Settings of inference alone need no new training.
    """

    rounds = 1

    def __init__(
        self,
        kind: type[Model],
        part: HoldoutSplit,
        seed: int,
        items: ItemTable | None = None,
        watch: TrainingCallback | None = None,
    ) -> None:
        self._kind, self._split, self._seed = kind, part, seed
        self._items, self._watch = items, watch
        self._ids = ItemIds.of(part.train.item_ids.tolist())
        self._trained: dict[Any, Model] = {}
        self._best: tuple[float, Any] | None = None

    def model(self, config: Any) -> Model:
        """Return the model of this config, trained on the holdout split.

        The first one is needed, however long that takes; the best so far is kept: when time has run out it could not be
        trained again.
        """
        learned = self._learned(config)
        if learned not in self._trained:
            if len(self._trained) == _KEPT:
                del self._trained[next(one for one in self._trained if one != self._of_best())]
            model = self._kind(learned)
            rng = np.random.default_rng(self._seed)
            watch = replace(self._watch, required=not self._trained) if self._watch is not None else None
            self._trained[learned] = early_stopping.fit(model, self._split.train, rng, self._items, watch).check_finite()
        return self._trained[learned].with_config(config)

    def each(self, config: Any) -> NDArray[np.float64]:
        """Return NDCG@20 (n_users,) of each user of the holdout split."""
        aligned = AlignedModel(self.model(config), self._ids)
        lists = [item_idx for item_idx, _ in aligned.recommend_idx(self._split.histories, DEPTH, self._split.seen)]
        return self._split.ndcg(lists, DEPTH)

    def tune(
        self, ordered: bool, deadline: float, config: Any = None, score: Callable[[Model], float] | None = None, **more: Any
    ) -> tuple[Any, TuningResult]:
        """Search the settings of the model, and return the best config with all trials.

        ordered: whether a history may be weighed by recency. config: one to stay at, instead of a search. score: what a trained
        model is worth (unless given, its own mean NDCG). more: of `optimize`; one setting after the other is moved from the
        defaults unless it says otherwise. Raises what the first training raises.
        """
        kind = (ordered, self._split.train.timed)
        base = self._kind.config_for(self._split.train, ordered) if config is None else config
        space = self._space(*kind) if config is None else {}

        def value(settings: Mapping[str, Any]) -> float:
            config = with_params(self._kind, base, settings)
            found = float(self.each(config).mean()) if score is None else score(self.model(config))
            if not math.isfinite(found):
                raise ModelError(f"What {self._kind.name} answers with these settings is not a number.")
            if self._best is None or found > self._best[0]:
                self._best = found, config
            return found

        options: dict[str, Any] = {
            "method": "coordinate",
            "start": listed_params(self._kind, base, space),
            "rounds": self.rounds,
        } | more
        options["start"] = {setting: value for setting, value in options["start"].items() if setting in space}
        result = optimize(space, value, deadline=deadline, **options)
        return with_params(self._kind, base, {} if result.best is None else result.best.settings), result

    def _space(self, ordered: bool, timed: bool) -> Mapping[str, tuple[Any, ...]]:
        """Return setting -> values worth trying here: a weight of contents that no item has would change nothing."""
        there = {} if self._items is None else self._items.vectors
        absent = {name for name in VECTOR_FIELDS if name not in there or not there[name].any()}
        space = self._kind.search_space(ordered, timed)
        return {setting: values for setting, values in space.items() if setting not in absent}

    def _of_best(self) -> Any:
        return None if self._best is None else self._learned(self._best[1])

    def _learned(self, config: Any) -> Any:
        """Return what of a config the training depends on: not what only concerns inference."""
        plain = self._kind.default_config(False, self._split.train.timed)
        return replace(config, **{name: getattr(plain, name) for name in self._kind.inference_params})


class CoVisitationTrials(Trials):
    """Trials of co-visitation with many settings.

    Counts of the last countings are kept, as other settings share them.
    """

    rounds = 2

    def __init__(self, part: HoldoutSplit) -> None:
        super().__init__(CoVisitation, part, 0)
        self._sequences = user_sequences(part.train)
        self._counts: dict[CooccurrenceConfig, CSR] = {}

    def model(self, config: CoVisitationConfig) -> CoVisitation:
        """Return co-visitation of this config, trained on the holdout split.

        CSR are pruned in two steps, so this is very slightly not what `fit` gives.
        """
        if config.counting not in self._counts:
            if len(self._counts) == 2:
                del self._counts[next(one for one in self._counts if one != self._of_best())]
            self._counts[config.counting] = count(self._sequences, config.counting, 2 * config.neighbours, 0.2)
        return CoVisitation(config).fit_counts(self._ids, self._sequences, self._counts[config.counting])

    def _learned(self, config: CoVisitationConfig) -> CooccurrenceConfig:
        return config.counting


_SPECIAL: dict[str, Callable[[HoldoutSplit], Trials]] = {CoVisitation.name: CoVisitationTrials}


def trials_of(
    name: str, part: HoldoutSplit, seed: int, items: ItemTable | None = None, watch: TrainingCallback | None = None
) -> Trials:
    """Return trials of the model of this name."""
    special = _SPECIAL.get(name)
    return special(part) if special is not None else Trials(MODELS[name], part, seed, items, watch)
