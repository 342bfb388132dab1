"""Trials of configs of one model on one holdout split."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from es_recsys.errors import ModelError
from es_recsys.evaluation.holdout import HoldoutSplit
from es_recsys.models.base import Model, TrainingCallback
from es_recsys.models.cooccurrence import Counting, count, user_sequences
from es_recsys.models.covisitation import CoVisitation, CoVisitationConfig
from es_recsys.models.registry import MODELS
from es_recsys.models.types import CSR, ItemIds
from es_recsys.training import early_stopping
from es_recsys.training.aligned_models import AlignedModel
from es_recsys.training.coordinate_search import CoordinateSearchResult, coordinate_search
from es_recsys.types import ItemTable

__all__ = ["DEPTH", "CoVisitationTrials", "Trials", "trials_of"]

# Length of the answers that are compared: NDCG@20.
DEPTH = 20
# Trainings that are kept: neighbours on a climb often share one.
_KEPT = 4


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
        self._kind, self._slice, self._seed = kind, part, seed
        self._items, self._watch = items, watch
        self._ids = ItemIds.of(part.train.item_ids.tolist())
        self._trained: dict[Any, Model] = {}
        self._best: tuple[float, Any] | None = None

    def model(self, config: Any) -> Model:
        """Return the model of this config, trained on the holdout split.

        The first one is needed, however long that takes; the best of a climb is kept: when time has run out it could not be
        trained again.
        """
        learned = self._learned(config)
        if learned not in self._trained:
            if len(self._trained) == _KEPT:
                del self._trained[next(one for one in self._trained if one != self._of_best())]
            model = self._kind(learned)  # type: ignore[call-arg]
            rng = np.random.default_rng(self._seed)
            watch = replace(self._watch, required=not self._trained) if self._watch is not None else None
            self._trained[learned] = early_stopping.fit(model, self._slice.train, rng, self._items, watch).check_finite()
        return self._trained[learned].with_config(config)

    def each(self, config: Any) -> NDArray[np.float64]:
        """Return NDCG@20 (n_users,) of each user of the holdout split."""
        asked = AlignedModel(self.model(config), self._ids)
        lists = [places for places, _ in asked.recommend_idx(self._slice.histories, DEPTH, self._slice.seen)]
        return self._slice.ndcg(lists, DEPTH)

    def coordinate_search(
        self, ordered: bool, deadline: float, start: Any = None, score: Callable[[Model], float] | None = None
    ) -> CoordinateSearchResult[Any]:
        """Search the settings of the model, one at a time, and return the best found.

        ordered: whether a history may be weighed by recency. start: a config to stay at, instead of a search. score: what a
        trained model is worth (unless given, its own mean NDCG).
        """
        kind = (ordered, self._slice.train.timed)

        def value(config: Any) -> float:
            found = float(self.each(config).mean()) if score is None else score(self.model(config))
            if not math.isfinite(found):
                raise ModelError(f"What {self._kind.name} answers with these settings is not a number.")
            if self._best is None or found > self._best[0]:
                self._best = found, config
            return found

        return coordinate_search(
            self._kind.default_config(*kind) if start is None else start,
            self._kind.search_space(*kind) if start is None else {},
            self._kind.with_param,
            value,
            rounds=self.rounds,
            deadline=deadline,
        )

    def _of_best(self) -> Any:
        return None if self._best is None else self._learned(self._best[1])

    def _learned(self, config: Any) -> Any:
        """Return what of a config the training depends on: not what only concerns inference."""
        plain = self._kind.default_config(False, self._slice.train.timed)
        return replace(config, **{name: getattr(plain, name) for name in self._kind.inference_params})


class CoVisitationTrials(Trials):
    """Trials of co-visitation with many settings.

    Counts of the last countings are kept, as other settings share them.
    """

    rounds = 2

    def __init__(self, part: HoldoutSplit) -> None:
        super().__init__(CoVisitation, part, 0)
        self._sequences = user_sequences(part.train)
        self._counts: dict[Counting, CSR] = {}

    def model(self, config: CoVisitationConfig) -> CoVisitation:
        """Return co-visitation of this config, trained on the holdout split.

        CSR are pruned in two steps, so this is very slightly not what `fit` gives.
        """
        if config.counting not in self._counts:
            if len(self._counts) == 2:
                del self._counts[next(one for one in self._counts if one != self._of_best())]
            self._counts[config.counting] = count(self._sequences, config.counting, 2 * config.neighbours, 0.2)
        return CoVisitation(config).fit_counts(self._ids, self._sequences, self._counts[config.counting])

    def _learned(self, config: CoVisitationConfig) -> Counting:
        return config.counting


_SPECIAL: dict[str, Callable[[HoldoutSplit], Trials]] = {CoVisitation.name: CoVisitationTrials}


def trials_of(
    name: str, part: HoldoutSplit, seed: int, items: ItemTable | None = None, watch: TrainingCallback | None = None
) -> Trials:
    """Return trials of the model of this name."""
    special = _SPECIAL.get(name)
    return special(part) if special is not None else Trials(MODELS[name], part, seed, items, watch)
