"""Two towers: one makes a vector of an item, the other one of a user, and their inner product says how well they fit."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from es_recsys.errors import MissingExtra, ModelError
from es_recsys.features import features
from es_recsys.models import artefact
from es_recsys.models.base import not_fitted
from es_recsys.models.callback import TrainingCallback
from es_recsys.models.folded import FactorModel
from es_recsys.models.grouping import LEAST_USERS
from es_recsys.models.habits import habits, scale_of
from es_recsys.models.histories import HistoryBatch
from es_recsys.models.ids import ItemIds
from es_recsys.models.segments import Segments
from es_recsys.models.sequences import take
from es_recsys.models.tower_examples import hold_out
from es_recsys.models.tower_inputs import HABITS, Reader, inputs
from es_recsys.models.user_graph import session
from es_recsys.types import Interactions, ItemTable

__all__ = ["Tower", "TowerConfig"]

_BATCH = 256


@dataclass(frozen=True, slots=True)
class TowerConfig:
    """dims: of the vectors. ordered: whether recency tells anything. history: events of a user that are read, the newest.
    targets: liked items that one piece of a history is to find. negatives: candidates drawn evenly from the catalogue beside
    those of the batch; as many as there are items, or more: all items are candidates. temperature: of the softmax over
    cosines. correction: exponent of the chance to be a candidate (1: unbiased; less brings rarer items). id_dropout: share
    of items whose id is hidden in a step; dropout: the same of the events of a history. rate, decay: learning rate and weight
    decay of AdamW. batch: pieces a step. epochs, patience: at most so many, and so many without a gain on users held out (a
    tenth, at most `held`) before it ends.
    """

    dims: int = 64
    ordered: bool = True
    history: int = 50
    targets: int = 2
    negatives: int = 1_024
    temperature: float = 0.1
    correction: float = 1.0
    id_dropout: float = 0.2
    dropout: float = 0.2
    rate: float = 3e-3
    decay: float = 1e-4
    batch: int = 512
    epochs: int = 60
    patience: int = 4
    held: int = 1_000


class Tower(FactorModel):
    """A user tower and an item tower (Covington et al. 2016, "Deep neural networks for YouTube recommendations"). An item's
    vector is made of its id e_i, which only items with events have, and of the content vectors c_if of an `ItemTable`; ids of
    items with content are hidden now and then in training (DropoutNet, Volkovs et al. 2017), so that an item without events has
    a place. A user's is made of the history's events h with signed weights w_h, in tower_network.py:

        v_i = z_i + G(z_i), made of length 1,      z_i = e_i + sum over fields f of P_f c_if
        m   = sum_h a_h sign(w_h) A v_h / | sum_h a_h A v_h |
        u   = m + F(m, x)

    where a_h is attention by v_h, recency and x, the context with the segment. Context is what the history tells as of its newest
    event: how long and how varied it is, and the features of its user (tower_inputs.py); how long ago that event was when the
    model is asked is not in it, as a model is given a history only. The segment is the nearest of groups made of the same
    (segments.py). A piece of a history in training is read like a whole one when asked, by one function. F and G have one
    hidden layer; G is there where there is content. For every item j that follows a piece of a history, of which a share of the
    events is hidden too,

        loss = -log( e^s(j) / (e^s(j) + sum over i in C of e^s(i)) ),      s(i) = u . v_i / temperature - correction * log p_i

    over candidates C of the batch and of the whole catalogue, without what the user likes; p_i is the chance of i to be in C,
    without which popular items would be learned to be worse than they are (Yi et al. 2019, "Sampling-bias-corrected neural
    modeling"; tower_training.py). An item scores u . v_i.

    The rows v (n, d) are what Elasticsearch keeps. The user tower is kept as ONNX inside the artefact, with its digest, and run
    by onnxruntime: nobody needs torch to be answered.
    """

    name: ClassVar[str] = "tower"
    field: ClassVar[str | None] = "tower_vector"
    reads_items: ClassVar[bool] = True
    layout: ClassVar[int] = 2
    extra_state: ClassVar[tuple[str, ...]] = ("_digest", "_reader")

    def __init__(self, config: TowerConfig | None = None) -> None:
        self.config = config or TowerConfig()
        self._digest = ""
        self._reader: Reader | None = None
        self._lock = threading.Lock()
        self._session: Any = None

    def fit(
        self, data: Interactions, rng: Generator, items: ItemTable | None = None, callback: TrainingCallback | None = None
    ) -> Self:
        """Trains both towers; needs the package torch. With fewer than twenty users there are no segments.

        What is kept back to tell when to end is kept back from all that is learned, features and segments included.

        Raises MissingExtra without it, ModelError where there is nothing to learn, or nobody has two events.
        """
        if not (data.weights > 0).any():
            raise ModelError(
                "There are no positive events to train tower on.", "Load events first: `es-recsys events load FILE`."
            )
        try:
            from es_recsys.models.tower_training import train
        except ImportError as error:
            raise MissingExtra("torch", "train") from error
        data, contents = _joined(data, items)
        seed = int(rng.integers(2**31))
        config = self.config
        rest, held = hold_out(data, np.random.default_rng(seed), config.held, ordered=config.ordered, history=config.history)
        reader = _reader(rest, items, config.history, seed)
        vectors, graph = train(config, rest, held, contents, reader, seed, callback or TrainingCallback())
        self._ids, self._fingerprint, self._session = ItemIds.of(data.item_ids.tolist()), None, None
        self._digest, self._reader = hashlib.sha256(graph).hexdigest(), reader
        self._arrays = {"vectors": vectors, "graph": np.frombuffer(graph, np.uint8), **reader.arrays()}
        return self

    @classmethod
    def search_space(cls, ordered: bool, timed: bool) -> Mapping[str, tuple[Any, ...]]:
        """Setting -> values worth trying."""
        return {"temperature": (0.05, 0.07, 0.1, 0.15, 0.2), "correction": (0.25, 0.5, 0.75, 1.0), "dims": (64, 128)}

    @classmethod
    def default_config(cls, ordered: bool, timed: bool) -> TowerConfig:
        """The whole history and more of it to find where order tells nothing."""
        return TowerConfig() if ordered else TowerConfig(ordered=False, history=100, targets=4)

    def _users(self, batch: HistoryBatch) -> NDArray[np.float32]:
        blocks = [batch.some(begin, min(begin + _BATCH, len(batch))) for begin in range(0, len(batch), _BATCH)]
        empty = np.zeros((0, self.config.dims), np.float32)
        return np.concatenate([empty, *(self._asked(block) for block in blocks)])

    def _asked(self, batch: HistoryBatch) -> NDArray[np.float32]:
        users = np.zeros((len(batch), self.config.dims), np.float32)
        rows, feed = self._feed(batch)
        if len(rows):
            users[rows] = self._run("user", feed)
        return users

    def _feed(self, batch: HistoryBatch) -> tuple[NDArray[np.int64], dict[str, NDArray[Any]]]:
        """The users who liked something that has a vector, and what the user tower reads of them."""
        if self._reader is None:
            raise not_fitted(self.name)
        given = inputs(batch, self.config.history, self.config.ordered, self._reader)
        vectors = self.item_vectors[given.items]
        liked = (given.weights > 0) & vectors.any(axis=2)
        rows: NDArray[np.int64] = np.flatnonzero(liked.any(axis=1))
        feed: dict[str, NDArray[Any]] = {
            "vectors": vectors[rows],
            "weights": given.weights[rows],
            "recency": given.recency[rows],
            "context": given.context[rows],
            "segments": given.segments[rows],
        }
        return rows, feed

    def _contributions(self, batch: HistoryBatch, place: int) -> NDArray[np.float64]:
        # What the context and the hidden layer add is nobody's; the attention's sum is what the events bring.
        shares = np.zeros(len(batch.items))
        rows, feed = self._feed(batch)
        if len(rows):
            parts = self._run("parts", feed)[0] @ self.item_vectors[place]
            shares[len(shares) - len(parts) :] = parts[::-1]
        return shares

    def _run(self, output: str, feed: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
        with self._lock:
            if self._session is None:
                self._session = session(self._arrays["graph"])
        result: NDArray[np.float32] = self._session.run([output], dict(feed))[0]
        return result

    @classmethod
    def load(cls, folder: Path) -> Self:
        """The model as saved. Raises ModelError where the folder isn't whole, or its graph is not the one that was saved."""
        model = super().load(folder)
        if hashlib.sha256(model._arrays["graph"].tobytes()).hexdigest() != model._digest:
            raise ModelError(f"The user tower {Path(folder) / 'graph.npy'} is not the one that was saved.", artefact.REMEDY)
        model._reader = Reader.from_arrays(model._arrays)
        return model

    def _params(self) -> dict[str, Any]:
        return {**asdict(self.config), "digest": self._digest}

    @classmethod
    def _from_params(cls, params: Mapping[str, Any]) -> Self:
        settings = dict(params)
        digest = str(settings.pop("digest"))
        model = cls(TowerConfig(**settings))
        model._digest = digest
        return model


def _reader(data: Interactions, items: ItemTable | None, history: int, seed: int) -> Reader:
    """What a training on `data` (over all items) knows of items and users."""
    users = np.unique(data.users[data.weights > 0]).astype(np.int64)
    segments = Segments().fit(data, np.random.default_rng(seed), items).map if len(users) >= LEAST_USERS else None
    facts = features(data, items).facts if segments is None else segments.facts
    told = habits(HistoryBatch.of_users(take(data, data.weights != 0), users, history), facts)
    return Reader(facts, scale_of(told, HABITS), segments)


def _joined(data: Interactions, items: ItemTable | None) -> tuple[Interactions, dict[str, NDArray[np.float32]]]:
    """The interactions over all items, with or without events, and the content vectors of each (n, D)."""
    if items is None:
        return data, {}
    ids = np.union1d(data.item_ids, items.item_ids)
    places = np.searchsorted(ids, data.item_ids).astype(np.int32)
    joined = replace(data, item_ids=ids, items=places[data.items] if len(places) else data.items)
    contents = {}
    for name, rows in sorted(items.vectors.items()):
        contents[name] = np.zeros((len(ids), rows.shape[1]), np.float32)
        contents[name][np.searchsorted(ids, items.item_ids)] = rows
    return joined, {name: rows for name, rows in contents.items() if rows.any()}
