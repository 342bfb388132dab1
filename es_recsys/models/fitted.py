"""What trained models share: ids and arrays, saving and loading, and turning scores into lists of items."""

from __future__ import annotations

import abc
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Self

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from es_recsys.errors import ModelError
from es_recsys.models import artefact
from es_recsys.models.base import ScoredItems, not_fitted
from es_recsys.models.callback import TrainingCallback
from es_recsys.models.histories import HistoryBatch, encode
from es_recsys.models.ids import ItemIds
from es_recsys.models.ranking import best
from es_recsys.renamed import MODELS, spellings
from es_recsys.types import History, Interactions, ItemTable

__all__ = ["TrainedModel", "top_of"]


class TrainedModel(abc.ABC):
    """Learned state of a model. A child gives `_params`, `_all_scores` and `_contributions`, and learns into `_arrays`."""

    name: ClassVar[str]
    kind: ClassVar[str]
    field: ClassVar[str | None] = None
    reads_items: ClassVar[bool] = False
    # Whether `fit` learns in epochs and stops early by `TrainingCallback.validate`.
    stops_early: ClassVar[bool] = False
    # Counted up where the saved arrays come to mean something else, so that an older artefact is refused.
    layout: ClassVar[int] = 1
    # Settings that only concern the asking, so that trials of them need no new training.
    inference_params: ClassVar[frozenset[str]] = frozenset()
    # Attributes that were learned beside `_arrays`.
    extra_state: ClassVar[tuple[str, ...]] = ()

    config: Any
    # After how many epochs the learned state was, of a model that was just fitted in epochs.
    epochs: int = 0
    _ids: ItemIds | None = None
    _arrays: Mapping[str, NDArray[Any]]
    _fingerprint: str | None = None
    _last: tuple[History, ItemIds, HistoryBatch] | None = None

    @property
    def item_ids(self) -> ItemIds:
        """Ids of the items that the model knows."""
        if self._ids is None:
            raise not_fitted(self.name)
        return self._ids

    @property
    def fingerprint(self) -> str:
        """Names this training: parameters and learned values."""
        if self._fingerprint is None:
            self._fingerprint = artefact.fingerprint(self.name, self._params(), self._everything())
        return self._fingerprint

    @classmethod
    def search_space(cls, ordered: bool, timed: bool) -> Mapping[str, tuple[Any, ...]]:
        """Setting -> the values that are worth trying, in order."""
        return {}

    @classmethod
    def default_config(cls, ordered: bool, timed: bool) -> Any:
        """The config that tuning sets out from."""
        return cls().config

    @classmethod
    def with_param(cls, config: Any, setting: str, value: Any) -> Any:
        """The config with one setting at another value."""
        return replace(config, **{setting: value})

    def with_config(self, config: Any) -> Self:
        """What was learned, asked with a config that differs in `asking` alone."""
        model = type(self)(config)  # type: ignore[call-arg]
        model._ids, model._arrays = self.item_ids, self._arrays
        for name in self.extra_state:
            setattr(model, name, getattr(self, name))
        return model

    @property
    def item_vectors(self) -> NDArray[np.float32]:
        """(n_items, d) float32, in the order of `item_ids`."""
        _ = self.item_ids
        if self.kind != "vector":
            raise ModelError(f"The model {self.name} has no item vectors.", "This is a mistake in the program; please report it.")
        return self._arrays["vectors"]

    def sound(self) -> Self:
        """Itself. Raises ModelError where what was learned has vectors that are no finite numbers."""
        vectors = self._arrays.get("vectors")
        if vectors is not None and not np.isfinite(vectors).all():
            raise ModelError(f"The training of {self.name} came to values that are no numbers.", "Train without it.")
        return self

    def save(self, folder: Path) -> None:
        """Writes the artefact into `folder`, replacing what is there. Raises ModelError."""
        artefact.save(folder, self.name, self._params(), self._everything(), self.layout)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """The model as saved, its arrays mapped. Raises ModelError where the folder isn't whole, or is of another layout."""
        saved = artefact.load(folder, *spellings(cls.name, MODELS))
        if saved.layout != cls.layout:
            raise ModelError(
                f"The model {cls.name} in {folder} has layout {saved.layout}; this version reads {cls.layout}.", artefact.REMEDY
            )
        with artefact.described(folder):
            model = cls._from_params(saved.params)
            model._ids = ItemIds.from_arrays(saved.arrays)
            model._arrays = {name: array for name, array in saved.arrays.items() if not name.startswith("ids_")}
            if cls.kind == "vector" and model._arrays["vectors"].shape[:1] != (len(model._ids),):
                raise ValueError("vectors of other items")
        model._fingerprint = saved.fingerprint
        return model

    def score(self, history: History, item_ids: Sequence[str]) -> NDArray[np.float32]:
        """(n,) float32 raw score of each item; 0 for an item that the model doesn't know."""
        places = self.item_ids.find(item_ids)
        scores = np.zeros(len(places), np.float32)
        known = places >= 0
        scores[known] = self.score_idx(self._encoded(history), [places[known]])[0]
        return scores

    def recommend(self, history: History, n: int = 300, exclude: Collection[str] = frozenset()) -> list[tuple[str, float]]:
        """The n best items and their raw scores, best first, only those above 0."""
        return self.recommend_batch([history], n, [exclude])[0]

    def recommend_batch(
        self, histories: Sequence[History], n: int, exclude: Sequence[Collection[str]]
    ) -> list[list[tuple[str, float]]]:
        """`recommend` of each of many histories."""
        left_out = [self.item_ids.find(list(each)) for each in exclude]
        batch = self._encoded(histories[0]) if len(histories) == 1 else HistoryBatch.of(histories, self.item_ids)
        found = self.recommend_idx(batch, n, [places[places >= 0] for places in left_out])
        return [list(zip(self.item_ids.names(places), scores.tolist(), strict=True)) for places, scores in found]

    def vector(self, history: History) -> NDArray[np.float32] | None:
        """(d,) float32 user vector, where the model has vectors."""
        return None

    def query_vector(
        self, text: str, vectors: Mapping[str, NDArray[np.float32]] = MappingProxyType({})
    ) -> NDArray[np.float32] | None:
        """(d,) float32 unit vector of a question by its words or the encoders' vectors of it, where the model reads them."""
        return None

    def explain(self, history: History, item_id: str, n: int = 3) -> tuple[str, ...]:
        """Items of the history that speak most for `item_id`, strongest first; none where nothing does."""
        place = int(self.item_ids.find([item_id])[0])
        batch = self._encoded(history)
        if place < 0 or not len(batch.items):
            return ()
        items, inverse = np.unique(batch.items, return_inverse=True)
        shares = np.bincount(inverse, weights=self._contributions(batch, place))
        shares[items == place] = 0.0
        strongest = best(shares, n)
        return tuple(self.item_ids.names(items[strongest[shares[strongest] > 0]]))

    def recommend_idx(self, batch: HistoryBatch, n: int, exclude: Sequence[NDArray[np.int64]]) -> list[ScoredItems]:
        """`recommend` of each user of the batch, in places; `exclude` has places, one array a user."""
        return [top_of(self._all_scores(batch.one(user)), n, exclude[user]) for user in range(len(batch))]

    def score_idx(self, batch: HistoryBatch, places: Sequence[NDArray[np.int64]]) -> list[NDArray[np.float32]]:
        """`score` of each user of the batch at its own places."""
        return [self._all_scores(batch.one(user))[places[user]] for user in range(len(batch))]

    @abc.abstractmethod
    def fit(
        self, data: Interactions, rng: Generator, items: ItemTable | None = None, callback: TrainingCallback | None = None
    ) -> Self:
        """Learns from the interactions. Returns itself."""

    @abc.abstractmethod
    def _params(self) -> dict[str, Any]: ...

    @classmethod
    @abc.abstractmethod
    def _from_params(cls, params: Mapping[str, Any]) -> Self: ...

    @abc.abstractmethod
    def _all_scores(self, batch: HistoryBatch) -> NDArray[np.float32]:
        """(n_items,) float32 raw scores for a batch of one user."""

    @abc.abstractmethod
    def _contributions(self, batch: HistoryBatch, place: int) -> NDArray[np.float64]:
        """(m,) float64 what each event of a batch of one user adds to the score of the item at `place`."""

    def _encoded(self, history: History) -> HistoryBatch:
        """What `encode` makes of it; remembered for the last one, as an answer asks for its best, scores and reasons."""
        last = self._last
        if last is None or last[0] is not history or last[1] is not self.item_ids:
            self._last = last = (history, self.item_ids, encode(history, self.item_ids))
        return last[2]

    def _everything(self) -> dict[str, NDArray[Any]]:
        return {**self.item_ids.arrays(), **self._arrays}


def top_of(scores: NDArray[np.float32], n: int, exclude: NDArray[np.int64]) -> ScoredItems:
    """Places and scores of the n best above 0, best first, without those at `exclude`."""
    positive = scores > 0
    positive[exclude] = False
    candidates = np.flatnonzero(positive)
    values = scores[candidates]
    chosen = best(values, n)
    return candidates[chosen], values[chosen]
