"""What a collaborative model is: interactions in, item vectors or neighbours out, and an answer for any history."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Protocol, Self

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from es_recsys.errors import ModelError
from es_recsys.models.callback import TrainingCallback
from es_recsys.models.histories import HistoryBatch
from es_recsys.models.ids import ItemIds
from es_recsys.types import History, Interactions, ItemTable

__all__ = ["DEPTHS", "Model", "ScoredItems", "not_fitted"]

# Candidates that a model of each kind gives to the blend, after exclusions.
DEPTHS = {"neighbours": 300, "vector": 200}

# Places in the model's ids and their raw scores, best first.
ScoredItems = tuple[NDArray[np.int64], NDArray[np.float32]]


class Model(Protocol):
    """Trained on `Interactions`; asked with a `History`, which may be of a user whom the training never saw.

    kind: "vector" (item vectors in `field`, served by kNN with the inner product) or "neighbours" (an artefact beside
    the client, served as weighted ids). Scores are raw: only their order and their ratio to the model's own best
    count (see blend.py). Asking needs numpy alone; loading maps the arrays and reads nothing.

    reads_items: whether `fit` reads an `ItemTable`; then also items without events may be among `item_ids`.
    config: a frozen dataclass of settings, each of which may be left at its default.
    """

    name: ClassVar[str]
    kind: ClassVar[str]
    field: ClassVar[str | None]
    reads_items: ClassVar[bool]

    @property
    def config(self) -> Any:
        """The settings that `fit` learns with."""
        ...

    @classmethod
    def search_space(cls, ordered: bool, timed: bool) -> Mapping[str, tuple[Any, ...]]:
        """Setting -> the values that are worth trying, in order. ordered: whether the newest of a history say more of the
        next item than the rest; timed: whether events have times."""
        ...

    @classmethod
    def default_config(cls, ordered: bool, timed: bool) -> Any:
        """The config that tuning sets out from."""
        ...

    @classmethod
    def with_param(cls, config: Any, setting: str, value: Any) -> Any:
        """The config with one setting of `space` at another value."""
        ...

    @property
    def item_vectors(self) -> NDArray[np.float32]:
        """(n_items, d) float32 in the order of `item_ids`, a row of zeros for an item without one. Raises ModelError for a
        model of neighbours."""
        ...

    @property
    def item_ids(self) -> ItemIds:
        """Ids of the items that the model knows."""
        ...

    @property
    def fingerprint(self) -> str:
        """Names this training: parameters and learned values."""
        ...

    def fit(
        self, data: Interactions, rng: Generator, items: ItemTable | None = None, callback: TrainingCallback | None = None
    ) -> Self:
        """Learns from the interactions, the same for the same data and generator. Returns itself.

        items: for models that read them. watch: hears of the progress of long trainings and keeps their checkpoints.
        """
        ...

    def save(self, folder: Path) -> None:
        """Writes the artefact."""
        ...

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Maps an artefact. Raises ModelError."""
        ...

    def score(self, history: History, item_ids: Sequence[str]) -> NDArray[np.float32]:
        """(n,) float32 raw score of each item; 0 for an item that the model doesn't know."""
        ...

    def vector(self, history: History) -> NDArray[np.float32] | None:
        """(d,) float32 user vector in the space of `field`; None for a history that says nothing, or another kind."""
        ...

    def query_vector(
        self, text: str, vectors: Mapping[str, NDArray[np.float32]] = MappingProxyType({})
    ) -> NDArray[np.float32] | None:
        """(d,) float32 unit vector of a question in the space of `field`; None where the model reads none, or not this one.

        text: the words, "" for a picture alone. vectors: field -> what the encoders make of the words or the picture.
        """
        ...

    def recommend(self, history: History, n: int = 300, exclude: Collection[str] = frozenset()) -> list[tuple[str, float]]:
        """The n best items and their raw scores > 0, best first (ties by id's place); a vector model scans exactly."""
        ...

    def recommend_batch(
        self, histories: Sequence[History], n: int, exclude: Sequence[Collection[str]]
    ) -> list[list[tuple[str, float]]]:
        """`recommend` of each of many histories, which cost less together: most of what is read, is read once."""
        ...

    def explain(self, history: History, item_id: str, n: int = 3) -> tuple[str, ...]:
        """Items of the history that speak most for `item_id`, strongest first; none where nothing does."""
        ...

    def recommend_idx(self, batch: HistoryBatch, n: int, exclude: Sequence[NDArray[np.int64]]) -> list[ScoredItems]:
        """`recommend` of many users at once, in places; `exclude` has places to leave out, one array a user."""
        ...

    def score_idx(self, batch: HistoryBatch, places: Sequence[NDArray[np.int64]]) -> list[NDArray[np.float32]]:
        """`score` of many users at once, each at its own places."""
        ...


def not_fitted(name: str) -> ModelError:
    return ModelError(f"The model {name} was asked before it was trained.", "Call fit, or load a trained one.")
