"""SASRec: what comes next after a sequence, by self-attention."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, ClassVar, Self

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from es_recsys.dataset import Interactions, ItemTable
from es_recsys.errors import MissingExtra, ModelError
from es_recsys.item_ids import ItemIds
from es_recsys.models.base import FactorModel, TrainingCallback
from es_recsys.models.sasrec.config import SASRecConfig
from es_recsys.models.sasrec.network import sequence_states
from es_recsys.models.types import HistoryBatch

__all__ = ["SASRec"]

_BLOCK, _READ = 16, 256
# Of a history the newest events are looked at for explanations; those before hardly count, and every one costs a state.
_EXPLAINED = 20
_NETWORK = "net."
# Events an item from which on there is much to learn from.
_DENSE = 32.0


class SASRec(FactorModel):
    """Causal self-attention over the sequence of what a user liked.

    Item vectors v_i (n_items, d) float32 of length 1, and a causal self-attention over the vectors of a sequence (Kang and
    McAuley 2018; network.py) whose state h after the last event, of length 1 too, is the user's vector. It is trained
    to find the event on j, of strength w_j, that follows every prefix, among candidates C that a batch shares
    (train.py): the few negatives of the original are what holds it back (Klenitskiy and Vasilev 2023; Petrov and
    Macdonald 2023).

        loss = -w_j log( e^s(j) / (e^s(j) + sum over i in C of e^s(i)) ),      s(i) = sharpness h . v_i - log p_i

    with a learned sharpness and the probability p_i of i to be in C (Yi et al. 2019). An item's vector v_i is an embedding of
    its id plus a projection of the content vectors of an `ItemTable`, made of length 1; an item without events has the latter
    alone. A history is read as in training: what was liked on balance, oldest first, of one item several times in a row
    once. What was disliked on balance, with weights w_d, is taken off (Rocchio 1971):

        u = h - dislike_weight * sum_d |w_d| v_d / sum_d |w_d|

    and an item scores u . v_i. Serving computes the user's vector with numpy, in a few milliseconds.
    """

    name: ClassVar[str] = "sasrec"
    config_class: ClassVar[type] = SASRecConfig
    field: ClassVar[str | None] = "sasrec_vector"
    reads_items: ClassVar[bool] = True
    stops_early: ClassVar[bool] = True
    inference_params: ClassVar[frozenset[str]] = frozenset({"dislike_weight"})
    renamed_params: ClassVar[Mapping[str, str]] = MappingProxyType(
        {
            "length": "max_length",
            "tokens": "batch_events",
            "hide": "id_dropout",
            "rate": "learning_rate",
            "decay": "weight_decay",
            "held": "validation_users",
            "dislike": "dislike_weight",
        }
    )

    _explained: tuple[bytes, NDArray[np.int64], NDArray[np.float32]] | None = None
    _state: Mapping[str, NDArray[Any]] | None = None

    def fit(
        self, data: Interactions, rng: Generator, items: ItemTable | None = None, callback: TrainingCallback | None = None
    ) -> Self:
        """Train on the GPU where there is one; return itself. Needs the package torch.

        Raises MissingExtra without it, ModelError where no user has two events that follow each other, and for settings that
        don't go together.
        """
        if self.config.dims % self.config.heads:
            raise ModelError(
                f"{self.config.dims} dimensions can't be shared by {self.config.heads} heads.", "Take a multiple of the heads."
            )
        data, content = _with_content(data, items)
        positive = data.users[data.weights > 0]
        if not (positive[1:] == positive[:-1]).any():
            raise ModelError(
                "There is no user with two positive events to train sasrec on.",
                "Load events first: `es-recsys events load FILE`.",
            )
        try:
            from es_recsys.models.sasrec.train import Begun, Learned, train
        except ImportError as error:
            raise MissingExtra(error.name or "torch", "train") from error
        callback, ids = callback or TrainingCallback(), ItemIds.of(data.item_ids.tolist())
        validate = callback.validate

        def validated(learned: Learned) -> float:
            self._take(ids, learned.vectors, learned.encoder)
            return validate(self) if validate is not None else 0.0

        score = validated if validate is not None else None
        begun, start = callback.begun, None
        if isinstance(begun, SASRec) and begun._state is not None and _alike(begun.config, self.config):
            start = Begun(begun._state, begun.item_ids.find(list(ids)), begun.fingerprint)
        learned = train(self.config, data, content, int(rng.integers(2**31)), callback, score, start)
        self._take(ids, learned.vectors, learned.encoder)
        self._state, self.epochs = learned.state if callback.keep_state else None, learned.epochs
        return self

    def _take(self, ids: ItemIds, vectors: NDArray[np.float32], encoder: Mapping[str, NDArray[Any]]) -> None:
        self._ids, self._fingerprint, self._explained = ids, None, None
        self._arrays = {"vectors": vectors, **{f"{_NETWORK}{name}": value for name, value in encoder.items()}}

    @classmethod
    def search_space(cls, ordered: bool, timed: bool) -> Mapping[str, tuple[Any, ...]]:
        """Return setting -> values worth trying; every trial is a training."""
        return {"dropout": (0.2, 0.35, 0.5, 0.6), "dims": (64, 128, 256)}

    @classmethod
    def default_config(cls, ordered: bool, timed: bool) -> SASRecConfig:
        """Return the usual settings, of half the size, which takes half the time and finds about as much."""
        return SASRecConfig(dims=128, ordered=ordered)

    @classmethod
    def config_for(cls, data: Interactions, ordered: bool) -> SASRecConfig:
        """Return the usual settings; for many events of each item less dropout, half the rate, two blocks, more events read."""
        config = cls.default_config(ordered, data.timed)
        if np.count_nonzero(data.weights > 0) < _DENSE * len(data.item_ids):
            return config
        # Kang and McAuley 2018 have the same dropout and blocks for films, and read 200 events. A second head tells no more
        # there, and takes half as long again to learn.
        return replace(config, blocks=2, heads=1, dropout=0.2, learning_rate=1e-3, max_length=150)

    def user_vectors(self, batch: HistoryBatch) -> NDArray[np.float32]:
        users, sequences = np.zeros((len(batch), self.item_vectors.shape[1]), np.float32), []
        for begin in range(0, len(batch), _READ):
            end = min(begin + _READ, len(batch))
            own, users[begin:end] = self._read(batch.some(begin, end))
            sequences += own
        # Of whom only dislikes are known, nothing is known.
        liking = np.array([len(sequence) > 0 for sequence in sequences], bool)
        users[~liking] = 0.0
        users[liking] += self._states([sequence for sequence in sequences if len(sequence)])
        return users

    def _read(self, batch: HistoryBatch) -> tuple[list[NDArray[np.int64]], NDArray[np.float32]]:
        """Return the sequence that the network reads of each of n users, and the offsets (n, d) by what is disliked."""
        owners = np.repeat(np.arange(len(batch)), np.diff(batch.starts))
        cells, inverse = np.unique(owners * len(self.item_vectors) + batch.items, return_inverse=True)
        total = np.bincount(inverse, weights=batch.weights, minlength=len(cells))
        users, items = np.divmod(cells, len(self.item_vectors))
        total[~self.item_vectors[items].any(axis=1)] = 0.0
        kept = np.flatnonzero((batch.weights > 0) & (total[inverse] > 0))
        again = (batch.items[kept[1:]] == batch.items[kept[:-1]]) & (owners[kept[1:]] == owners[kept[:-1]])
        kept = kept[np.concatenate([[True], ~again])] if len(kept) else kept
        cuts = np.searchsorted(owners[kept], np.arange(1, len(batch)))
        sequences = [batch.items[own][-self.config.max_length :] for own in np.split(kept, cuts)]
        offsets = np.zeros((len(batch), self.item_vectors.shape[1]))
        disliked = np.flatnonzero(total < 0.0)
        if len(disliked):
            whose = users[disliked]
            shares = total[disliked] / -np.bincount(whose, total[disliked])[whose]
            np.add.at(offsets, whose, self.config.dislike_weight * shares[:, None] * self.item_vectors[items[disliked]])
        return sequences, offsets.astype(np.float32)

    def _states(self, sequences: list[NDArray[np.int64]]) -> NDArray[np.float32]:
        """Return (n, d) of sequences that aren't empty, blocks of about the same length at a time."""
        found = np.zeros((len(sequences), self.item_vectors.shape[1]), np.float32)
        params = {name.removeprefix(_NETWORK): one for name, one in self._arrays.items() if name.startswith(_NETWORK)}
        order = np.argsort([len(one) for one in sequences], kind="stable")
        for begin in range(0, len(order), _BLOCK):
            chosen = order[begin : begin + _BLOCK]
            found[chosen] = sequence_states(params, self.config.heads, self.item_vectors, [sequences[row] for row in chosen])
        return found

    def _contributions(self, batch: HistoryBatch, item_idx: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return what each event adds to a score.

        It is the mean of what an item of the history brings by itself and what the score would lose without it: the ends
        of its Shapley value. At the item's first event."""
        contributions = np.zeros((len(batch.items), len(item_idx)))
        items, parts = self._explanation(batch)
        for item, part in zip(items.tolist(), parts @ self.item_vectors[item_idx].T, strict=True):
            contributions[np.flatnonzero(batch.items == item)[0]] = part
        return contributions

    def _explanation(self, batch: HistoryBatch) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return the k distinct items of the newest that were liked, and their parts.

        A part is for each (k, d) the mean of the state after it alone and of
        what the state after all of them loses without it."""
        key = batch.items.tobytes() + batch.weights.tobytes()
        cached = self._explained
        # The items of one answer are explained one by one, and the history is the same.
        if cached is None or cached[0] != key:
            sequence = self._read(batch)[0][0][-_EXPLAINED:]
            items = np.unique(sequence)
            rests = [sequence[sequence != item] for item in items]
            longer = [row for row, rest in enumerate(rests) if len(rest)]
            parts = np.zeros((len(items), self.item_vectors.shape[1]), np.float32)
            if len(items):
                found = self._states([sequence, *np.split(items, len(items)), *(rests[row] for row in longer)])
                parts[longer] = found[1 + len(items) :]
                parts = (found[:1] - parts + found[1 : 1 + len(items)]) * np.float32(0.5)
            self._explained = cached = (key, items, parts)
        return cached[1], cached[2]


def _alike(one: SASRecConfig, other: SASRecConfig) -> bool:
    """Return whether trainings of both make the same network of the same data, but for how long they learn."""
    return replace(one, epochs=other.epochs, patience=other.patience, validation_users=other.validation_users) == other


def _with_content(data: Interactions, items: ItemTable | None) -> tuple[Interactions, NDArray[np.float32]]:
    """Return the interactions over all items, with or without events, and the content vectors of each side by side (n, c)."""
    if items is None:
        return data, np.zeros((len(data.item_ids), 0), np.float32)
    ids = np.union1d(data.item_ids, items.item_ids)
    item_idx = np.searchsorted(ids, data.item_ids).astype(np.int32)
    fields = [items.vectors[name] for name in sorted(items.vectors) if items.vectors[name].any()]
    content = np.zeros((len(ids), sum(rows.shape[1] for rows in fields)), np.float32)
    if fields:
        content[np.searchsorted(ids, items.item_ids)] = np.concatenate(fields, axis=1)
    return replace(data, item_ids=ids, items=item_idx[data.items] if len(item_idx) else data.items), content
