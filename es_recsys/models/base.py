"""What a model is: fitted on interactions, it answers for any history; and what fitted models share."""

from __future__ import annotations

import abc
import math
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, is_dataclass, replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Self

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from es_recsys import artefact
from es_recsys.dataset import History, Interactions, ItemTable
from es_recsys.errors import ModelError, OutOfTime
from es_recsys.item_ids import ItemIds
from es_recsys.models.types import HistoryBatch, NewItems, encode
from es_recsys.renamed import MODELS, current_keys, spellings
from es_recsys.top_k import ScoredItems, top_scores

__all__ = [
    "DEPTHS",
    "ContentModel",
    "FactorModel",
    "Model",
    "TrainingCallback",
    "content_recency_space",
    "from_json",
    "not_fitted",
    "recency_space",
    "rows_of_all_items",
    "to_json",
    "unit",
]

DEPTHS = {"neighbours": 300, "vector": 200}
"""Kind of a model -> how many candidates it gives to the ensemble, after exclusions."""


def not_fitted(name: str) -> ModelError:
    """Return the error for a model that is asked before it was fitted."""
    return ModelError(f"The model {name} was asked before it was trained.", "Call fit, or load a trained one.")


@dataclass(frozen=True, slots=True)
class TrainingCallback:
    """Callback of one training.

    on_epoch(epoch, total, metrics): called after each epoch with what was measured, such as {"loss": .3, "ndcg": .05}; after
    each part of another long training with no metrics. checkpoints: folder in which a training keeps its state, so that one
    that was interrupted goes on from there (None: nothing is kept); removed when the training ends, unless keep_checkpoints.
    deadline: `time.process_time` seconds after which no further epoch begins; the best by then is kept. required: whether there
    must be a model; if not, a training that gives nothing before it is whole is given up at the deadline. validate(model):
    quality in [0, 1] of a model that learns in epochs, after each of them, on events that it doesn't learn from; training
    stops when it no longer rises. Without it, all epochs of the configuration are trained. proceed(): whether one more epoch is
    wanted, asked before each. keep_state: whether the model keeps what another training needs to go on from it, where it can.
    begun: a model that did so, and learned from most of the same data: one of the same settings goes on from it, for a tenth of
    the epochs.
    """

    on_epoch: Callable[[int, int, Mapping[str, float]], None] | None = None
    checkpoints: Path | None = None
    deadline: float = float("inf")
    required: bool = True
    validate: Callable[[Any], float] | None = None
    keep_checkpoints: bool = False
    proceed: Callable[[], bool] = lambda: True
    keep_state: bool = False
    begun: Model | None = None

    def report(self, done: int, total: int, metrics: Mapping[str, float] | None = None) -> None:
        """Call `on_epoch`, where there is one."""
        if self.on_epoch is not None:
            self.on_epoch(done, total, metrics or {})

    def check_deadline(self, name: str) -> None:
        """Raise OutOfTime after the deadline, unless the model is required.

        For a training that gives nothing before it is whole.
        """
        if not self.required and time.process_time() > self.deadline:
            raise OutOfTime(f"The training of {name} was not whole when its time was over.", "Give it more time.")


def to_json(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings as JSON values: an infinite one is None."""
    found = {}
    for name, value in values.items():
        found[name] = to_json(value) if isinstance(value, dict) else None if value == math.inf else value
    return found


def from_json(config: type, values: Mapping[str, Any]) -> Any:
    """Return the config, a dataclass with a default for each setting, whose settings `to_json` was given."""
    usual, settings = config(), {}
    for name, value in values.items():
        default = getattr(usual, name)
        if is_dataclass(default):
            settings[name] = from_json(type(default), value)
        elif value is None and name.startswith("half_life"):
            settings[name] = math.inf
        else:
            settings[name] = _as_tuple(value)
    return config(**settings)


def _as_tuple(value: Any) -> Any:
    return tuple(map(_as_tuple, value)) if isinstance(value, list) else value


def recency_space(ordered: bool, timed: bool) -> dict[str, tuple[Any, ...]]:
    """Return the half-lives of a history that are worth trying, where order tells."""
    if not ordered:
        return {}
    days: dict[str, tuple[Any, ...]] = {"half_life_days": (1.0, 3.0, 10.0, 30.0, 90.0, math.inf)} if timed else {}
    return {"half_life": (1.0, 2.0, 4.0, 8.0, 20.0, math.inf), **days}


def content_recency_space(ordered: bool, timed: bool) -> dict[str, tuple[Any, ...]]:
    """Return the half-lives worth trying for models of content: by days also where order tells nothing."""
    days: dict[str, tuple[Any, ...]] = {"half_life_days": (1.0, 7.0, 30.0, 90.0, math.inf)} if timed else {}
    return {**({"half_life": (1.0, 2.0, 4.0, 10.0, 30.0, math.inf)} if ordered else {}), **days}


class Model(abc.ABC):
    """Base of the models: fitted on `Interactions`, asked with a `History`, which may be of a user whom the training never saw.

    name: also the folder of its artefact. kind: "vector" (item vectors in the index field `field`, served by kNN with the inner
    product) or "neighbours" (an artefact beside the client, served as weighted ids). Scores are raw: only their order and their
    ratio to the model's own best count (ensemble.py). Answering needs numpy alone; loading maps the arrays and reads nothing.

    reads_items: whether `fit` reads an `ItemTable`; then items without events may be among `item_ids`, too. takes_new_items:
    whether `add_new_items` gives items without events a place. stops_early: whether
    `fit` learns in epochs and stops by `TrainingCallback.validate`. layout: counted up where the saved arrays come to mean
    something else, so that an older artefact is refused. inference_params: settings that only change how the model answers, so
    that trials of them need no new training. renamed_params: name of a setting in artefacts and tuned settings written before 0.2
    -> its name. extra_state: attributes that are learned beside `_arrays`, tuples of strings, saved with the settings.
    config_class: a frozen dataclass of settings, each with a default; config: one of them. epochs: after how many the learned
    state was, where it was just fitted in epochs.

    A subclass gives `config_class`, `fit`, which gives `_set_learned` its arrays, `_all_scores` and `_contributions`.
    """

    name: ClassVar[str]
    kind: ClassVar[str]
    config_class: ClassVar[type]
    field: ClassVar[str | None] = None
    reads_items: ClassVar[bool] = False
    takes_new_items: ClassVar[bool] = False
    stops_early: ClassVar[bool] = False
    layout: ClassVar[int] = 1
    inference_params: ClassVar[frozenset[str]] = frozenset()
    renamed_params: ClassVar[Mapping[str, str]] = MappingProxyType({})
    extra_state: ClassVar[tuple[str, ...]] = ()

    epochs: int = 0
    _ids: ItemIds | None = None
    _arrays: Mapping[str, NDArray[Any]]
    _fingerprint: str | None = None
    _last: tuple[History, ItemIds, HistoryBatch] | None = None

    def __init__(self, config: Any = None) -> None:
        self.config = config or self.config_class()

    @property
    def item_ids(self) -> ItemIds:
        """Return the ids of the items that the model knows; raise ModelError before `fit`."""
        if self._ids is None:
            raise not_fitted(self.name)
        return self._ids

    @property
    def fingerprint(self) -> str:
        """Return a digest of the parameters and the learned values: two trainings differ in it."""
        if self._fingerprint is None:
            self._fingerprint = artefact.fingerprint(self.name, self._params(), self._everything())
        return self._fingerprint

    @classmethod
    def search_space(cls, ordered: bool, timed: bool) -> Mapping[str, tuple[Any, ...]]:
        """Return setting -> the values that are worth trying, in order.

        ordered: whether the newest events of a history say more of the next item than the rest; timed: whether events have
        times.
        """
        return {}

    @classmethod
    def default_config(cls, ordered: bool, timed: bool) -> Any:
        """Return the usual config."""
        return cls.config_class()

    @classmethod
    def config_for(cls, data: Interactions, ordered: bool) -> Any:
        """Return the config to train with and to search from; it may depend on how many events there are."""
        return cls.default_config(ordered, data.timed)

    @classmethod
    def with_param(cls, config: Any, setting: str, value: Any) -> Any:
        """Return the config with one setting of `search_space` at another value."""
        return replace(config, **{setting: value})

    def with_config(self, config: Any) -> Self:
        """Return the fitted model with a config that differs in `inference_params` alone."""
        model = type(self)(config)
        model._ids, model._arrays = self.item_ids, self._arrays
        for name in self.extra_state:
            setattr(model, name, getattr(self, name))
        return model

    @property
    def item_vectors(self) -> NDArray[np.float32]:
        """Return (n_items, d) float32 in the order of `item_ids`, a row of zeros for an item without a vector.

        Raises ModelError for a model of neighbours.
        """
        _ = self.item_ids
        if self.kind != "vector":
            raise ModelError(f"The model {self.name} has no item vectors.", "This is a mistake in the program; please report it.")
        return self._arrays["vectors"]

    def check_finite(self) -> Self:
        """Return itself; raise ModelError where it has learned vectors that are not finite."""
        vectors = self._arrays.get("vectors")
        if vectors is not None and not np.isfinite(vectors).all():
            raise ModelError(f"The training of {self.name} came to values that are no numbers.", "Train without it.")
        return self

    def save(self, folder: Path) -> None:
        """Write the artefact into `folder`, replacing what is there. Raises ModelError."""
        artefact.save(folder, self.name, self._params(), self._everything(), self.layout)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Return the model as saved, its arrays memory-mapped.

        Raises ModelError where the folder isn't whole, or is of another layout.
        """
        saved = artefact.load(folder, *spellings(cls.name, MODELS))
        if saved.layout != cls.layout:
            raise ModelError(
                f"The model {cls.name} in {folder} has layout {saved.layout}; this version reads {cls.layout}.", artefact.REMEDY
            )
        with artefact.described(folder):
            model = cls._from_params(current_keys(saved.params, cls.renamed_params))
            model._ids = ItemIds.from_arrays(saved.arrays)
            model._arrays = {name: array for name, array in saved.arrays.items() if not name.startswith("ids_")}
            if cls.kind == "vector" and model._arrays["vectors"].shape[:1] != (len(model._ids),):
                raise ValueError("vectors of other items")
        model._fingerprint = saved.fingerprint
        return model

    def score(self, history: History, item_ids: Sequence[str]) -> NDArray[np.float32]:
        """Return the raw score (n,) float32 of each item; 0 for an item that the model doesn't know."""
        item_idx = self.item_ids.find(item_ids)
        scores = np.zeros(len(item_idx), np.float32)
        known = item_idx >= 0
        scores[known] = self.score_idx(self._encoded(history), [item_idx[known]])[0]
        return scores

    def scorer(self, history: History) -> Callable[[Sequence[str]], NDArray[np.float32]]:
        """Return `score` for this history; it may keep what it computes, for as long as somebody keeps it."""
        return partial(self.score, history)

    def recommend(self, history: History, n: int = 300, exclude: Collection[str] = frozenset()) -> list[tuple[str, float]]:
        """Return the n best items and their raw scores > 0, best first (ties by item_idx); a vector model scans exactly."""
        return self.recommend_batch([history], n, [exclude])[0]

    def recommend_batch(
        self, histories: Sequence[History], n: int, exclude: Sequence[Collection[str]]
    ) -> list[list[tuple[str, float]]]:
        """Return `recommend` of each of many histories, which cost less together."""
        left_out = [self.item_ids.find(list(each)) for each in exclude]
        batch = self._encoded(histories[0]) if len(histories) == 1 else HistoryBatch.of(histories, self.item_ids)
        found = self.recommend_idx(batch, n, [item_idx[item_idx >= 0] for item_idx in left_out])
        return [list(zip(self.item_ids.take(item_idx), scores.tolist(), strict=True)) for item_idx, scores in found]

    def user_vector(self, history: History) -> NDArray[np.float32] | None:
        """Return the user vector (d,) float32 in the space of `field`; None for a history that says nothing, or another kind."""
        return None

    def query_vector(
        self, text: str, vectors: Mapping[str, NDArray[np.float32]] = MappingProxyType({})
    ) -> NDArray[np.float32] | None:
        """Return the unit vector (d,) float32 of a query in the space of `field`; None where the model reads none or not this.

        text: the words, "" for a picture alone. vectors: field -> what the encoders make of the words or the picture.
        """
        return None

    def explain(self, history: History, item_id: str, n: int = 3) -> tuple[str, ...]:
        """Return the items of the history that add most to the score of `item_id`, strongest first; none where none does."""
        return self.explain_items(history, [item_id], n)[0]

    def explain_items(self, history: History, item_ids: Sequence[str], n: int = 3) -> list[tuple[str, ...]]:
        """Return `explain` of each of many items, which cost less together."""
        item_idx, batch = self.item_ids.find(item_ids), self._encoded(history)
        known = item_idx >= 0
        reasons: list[tuple[str, ...]] = [()] * len(item_ids)
        if not len(batch.items) or not known.any():
            return reasons
        items, inverse = np.unique(batch.items, return_inverse=True)
        shares = np.zeros((len(items), np.count_nonzero(known)))
        np.add.at(shares, inverse, self._contributions(batch, item_idx[known]))
        shares[items[:, None] == item_idx[known]] = 0.0
        strongest = np.argsort(-shares, axis=0, kind="stable")[:n]
        added, names = np.take_along_axis(shares, strongest, axis=0), self.item_ids.take(items)
        for place, own, values in zip(np.flatnonzero(known).tolist(), strongest.T.tolist(), added.T.tolist(), strict=True):
            reasons[place] = tuple(names[k] for k, value in zip(own, values, strict=True) if value > 0.0)
        return reasons

    def recommend_idx(self, batch: HistoryBatch, n: int, exclude: Sequence[NDArray[np.int64]]) -> list[ScoredItems]:
        """Return `recommend` of each user of the batch as item_idx and scores; `exclude` has the item_idx to leave out."""
        return [top_scores(scores, n, exclude[user]) for user, scores in enumerate(self.scores_of_users(batch))]

    def score_idx(self, batch: HistoryBatch, item_idx: Sequence[NDArray[np.int64]]) -> list[NDArray[np.float32]]:
        """Return `score` of each user of the batch at its own item_idx."""
        return [scores[item_idx[user]] for user, scores in enumerate(self.scores_of_users(batch))]

    @abc.abstractmethod
    def fit(
        self, data: Interactions, rng: Generator, items: ItemTable | None = None, callback: TrainingCallback | None = None
    ) -> Self:
        """Learn from the interactions, the same for the same data and generator; return itself.

        items: for models that read them. callback: hears of the progress of long trainings and keeps their checkpoints.
        """

    def add_new_items(self, new: NewItems) -> Self:
        """Give items without events a place by what they are like (see `new_items`), once; return itself."""
        raise NotImplementedError

    def _set_learned(self, item_ids: Iterable[str], arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Take what a training has learned; return itself."""
        self._ids, self._arrays, self._fingerprint = ItemIds.of(item_ids), arrays, None
        return self

    def _params(self) -> dict[str, Any]:
        learned = {name.removeprefix("_"): list(getattr(self, name)) for name in self.extra_state}
        return {**to_json(asdict(self.config)), **learned}

    @classmethod
    def _from_params(cls, params: Mapping[str, Any]) -> Self:
        settings = dict(params)
        learned = {name: tuple(settings.pop(name.removeprefix("_"))) for name in cls.extra_state}
        model = cls(from_json(cls.config_class, settings))
        for name, value in learned.items():
            setattr(model, name, value)
        return model

    def scores_of_users(self, batch: HistoryBatch) -> Iterator[NDArray[np.float32]]:
        """Yield the raw scores (n_items,) float32 of each user of a batch; who has them doesn't write into them."""
        for user in range(len(batch)):
            yield self._all_scores(batch.one(user))

    @abc.abstractmethod
    def _all_scores(self, batch: HistoryBatch) -> NDArray[np.float32]:
        """Return raw scores (n_items,) float32 for a batch of one user."""

    @abc.abstractmethod
    def _contributions(self, batch: HistoryBatch, item_idx: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return what each of m events of a batch of one user adds to the score of each of t items, (m, t) float64."""

    def _encoded(self, history: History) -> HistoryBatch:
        """Return the encoded history, cached for the last one: an answer needs its recommendations, scores and explanations."""
        last = self._last
        if last is None or last[0] is not history or last[1] is not self.item_ids:
            self._last = last = (history, self.item_ids, encode(history, self.item_ids))
        return last[2]

    def _everything(self) -> dict[str, NDArray[Any]]:
        return {**self.item_ids.arrays(), **self._arrays}


_USERS = 256


class FactorModel(Model):
    """A history becomes a vector, and an item scores its inner product with the item's row of `_arrays["vectors"]`.

    A child gives `user_vectors`; a row of zeros there is a user of whom nothing is known.
    """

    kind: ClassVar[str] = "vector"

    def user_vector(self, history: History) -> NDArray[np.float32] | None:
        """Return the (d,) float32 user vector; None where no known item of the history was liked."""
        found = self.user_vectors(self._encoded(history))[0]
        return found if found.any() else None

    def recommend_idx(self, batch: HistoryBatch, n: int, exclude: Sequence[NDArray[np.int64]]) -> list[ScoredItems]:
        """Return the n best items of each user, by exact inner products, a block of users at a time."""
        lists: list[ScoredItems] = []
        for begin in range(0, len(batch), _USERS):
            end = min(begin + _USERS, len(batch))
            scores = self._products(self.user_vectors(batch.some(begin, end)), self.item_vectors.T)
            lists += [top_scores(row, n, exclude[begin + offset]) for offset, row in enumerate(scores)]
        return lists

    def score_idx(self, batch: HistoryBatch, item_idx: Sequence[NDArray[np.int64]]) -> list[NDArray[np.float32]]:
        """Return the score of each user at its own item_idx."""
        users = self.user_vectors(batch)
        return [self._products(self.item_vectors[at], users[user]) for user, at in enumerate(item_idx)]

    def _all_scores(self, batch: HistoryBatch) -> NDArray[np.float32]:
        return self._products(self.item_vectors, self.user_vectors(batch)[0])

    def _products(self, left: NDArray[np.float32], right: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the scores, from vectors of items and of users."""
        result: NDArray[np.float32] = left @ right
        return result

    @abc.abstractmethod
    def user_vectors(self, batch: HistoryBatch) -> NDArray[np.float32]:
        """Return the (n, d) float32 vector of each user of a batch."""


def unit(rows: NDArray[np.floating]) -> NDArray[np.float32]:
    """Return the rows at length 1, (n, d) float32; a row of zeros stays one."""
    lengths = np.linalg.norm(rows.astype(np.float64), axis=1, keepdims=True)
    return np.asarray(rows / np.where(lengths > 1e-12, lengths, np.inf), np.float32)


class ContentModel(FactorModel):
    """Base of models whose items lie where their content puts them, so that one without events has a vector.

    Unit vectors e(i) of items, and of a user the decayed signed mean of what they did:

        u = sum_h w_h d_h e(i_h) / sum_h |w_h| d_h        d_h = 2 ** (-p_h / half_life) * 2 ** (-a_h / half_life_days)

    over events h with weights w_h, items i_h, recency ranks p_h (0 for the newest) and ages a_h (days before it). `config` has
    half_life and half_life_days.
    """

    def user_vectors(self, batch: HistoryBatch) -> NDArray[np.float32]:
        weights = batch.recent_weights(self.config.half_life, self.config.half_life_days)
        users = np.zeros((len(batch), self.item_vectors.shape[1]), np.float32)
        for user, (begin, end) in enumerate(zip(batch.starts[:-1].tolist(), batch.starts[1:].tolist(), strict=True)):
            vectors, mine = self.item_vectors[batch.items[begin:end]], weights[begin:end]
            if ((mine > 0) & vectors.any(axis=1)).any():
                users[user] = mine @ vectors / np.abs(mine).sum()
        return users

    def _contributions(self, batch: HistoryBatch, item_idx: NDArray[np.int64]) -> NDArray[np.float64]:
        if not self.user_vectors(batch).any():
            return np.zeros((len(batch.items), len(item_idx)))
        alike: NDArray[np.float64] = (self.item_vectors[batch.items] @ self.item_vectors[item_idx].T).astype(np.float64)
        return batch.recent_weights(self.config.half_life, self.config.half_life_days)[:, None] * alike


def rows_of_all_items(data: Interactions, items: ItemTable, rows: NDArray[np.float32]) -> tuple[list[str], NDArray[np.float32]]:
    """Return the ids of all items, sorted, and the row (d,) of `rows` of each.

    Items with events alone are among them, with zeros.
    """
    ids: NDArray[Any] = np.union1d(data.item_ids, items.item_ids)
    spread = np.zeros((len(ids), rows.shape[1]), np.float32)
    spread[np.searchsorted(ids, items.item_ids)] = rows
    return ids.tolist(), spread
