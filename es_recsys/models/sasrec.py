"""SASRec: what comes next after a sequence, by self-attention."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from es_recsys.errors import MissingExtra, ModelError
from es_recsys.models.callback import TrainingCallback
from es_recsys.models.folded import FactorModel
from es_recsys.models.histories import HistoryBatch
from es_recsys.models.ids import ItemIds
from es_recsys.models.sasrec_forward import padded, states
from es_recsys.types import Interactions, ItemTable

__all__ = ["SASRec", "SASRecConfig"]

_BLOCK = 64
# The newest events of a history are looked at for reasons; those before it hardly count, and every one costs a state.
_REASONS = 20


@dataclass(frozen=True, slots=True)
class SASRecConfig:
    """dims: of the vectors. blocks, heads: of attention. length: events of a sequence that are read, the newest. ordered:
    whether the order of events tells anything; if not, it is shuffled. dropout: also of the inputs; much of it on sparse
    data. negatives: candidates drawn evenly from all items, beside those of the batch. tokens: events a step. hide: share of
    items with content whose id is hidden in a step. rate, decay: learning rate and weight decay of AdamW. epochs, patience:
    at most so many, and so many without a gain on the last items of `held` users before it ends. refit: whether it is then
    trained again for the best number of epochs with these items too. dislike: what the mean disliked item takes off.
    """

    dims: int = 256
    blocks: int = 1
    heads: int = 2
    length: int = 50
    ordered: bool = True
    dropout: float = 0.5
    negatives: int = 512
    tokens: int = 2_048
    hide: float = 0.2
    rate: float = 2e-3
    decay: float = 0.1
    epochs: int = 40
    patience: int = 3
    held: int = 4_000
    refit: bool = True
    dislike: float = 0.5


class SASRec(FactorModel):
    """Item vectors v_i (n_items, d) float32 of length 1, and a causal self-attention over the vectors of a sequence (Kang and
    McAuley 2018; sasrec_network.py) whose state h after the last event, of length 1 too, is the user's vector. It is trained
    to find the event on j, of strength w_j, that follows every prefix, among candidates C that a batch shares
    (sasrec_training.py): the few negatives of the original are what holds it back (Klenitskiy and Vasilev 2023; Petrov and
    Macdonald 2023).

        loss = -w_j log( e^s(j) / (e^s(j) + sum over i in C of e^s(i)) ),      s(i) = sharpness h . v_i - log p_i

    with a learned sharpness and the chance p_i of i to be in C (Yi et al. 2019). An item's vector v_i is an embedding of its id
    plus a projection of the content vectors of an `ItemTable`, made of length 1; an item without events has the latter alone.
    A history is read as the training reads one: what was liked on balance, oldest first, of one
    item several times in a row once. What was disliked on balance, with weights w_d, is taken off (Rocchio 1971):

        u = h - dislike * sum_d |w_d| v_d / sum_d |w_d|

    and an item scores u . v_i. The user's vector is computed in numpy (sasrec_forward.py), in a few milliseconds.
    """

    name: ClassVar[str] = "sasrec"
    field: ClassVar[str | None] = "sasrec_vector"
    reads_items: ClassVar[bool] = True
    inference_params: ClassVar[frozenset[str]] = frozenset({"dislike"})

    def __init__(self, config: SASRecConfig | None = None) -> None:
        self.config = config or SASRecConfig()
        self._asked: tuple[bytes, NDArray[np.int64], NDArray[np.float32]] | None = None

    def fit(
        self, data: Interactions, rng: Generator, items: ItemTable | None = None, callback: TrainingCallback | None = None
    ) -> Self:
        """Trains on the GPU where there is one; needs the package torch. Raises MissingExtra without it, ModelError where no user
        has two events that follow each other, and for settings that don't go together."""
        if self.config.dims % self.config.heads:
            raise ModelError(
                f"{self.config.dims} dimensions can't be shared by {self.config.heads} heads.", "Take a multiple of the heads."
            )
        data, content = _joined(data, items)
        positive = data.users[data.weights > 0]
        if not (positive[1:] == positive[:-1]).any():
            raise ModelError(
                "There is no user with two positive events to train sasrec on.",
                "Load events first: `es-recsys events load FILE`.",
            )
        try:
            from es_recsys.models.sasrec_training import train
        except ImportError as error:
            raise MissingExtra(error.name or "torch", "train") from error
        learned = train(self.config, data, content, int(rng.integers(2**31)), callback or TrainingCallback())
        self._ids, self._fingerprint, self._asked = ItemIds.of(data.item_ids.tolist()), None, None
        self._arrays = {"vectors": learned.vectors, **{f"net.{name}": value for name, value in learned.numbers.items()}}
        return self

    @classmethod
    def search_space(cls, ordered: bool, timed: bool) -> Mapping[str, tuple[Any, ...]]:
        """Setting -> values worth trying; every trial is a training."""
        return {"dropout": (0.2, 0.35, 0.5, 0.6), "dims": (64, 128, 256)}

    @classmethod
    def default_config(cls, ordered: bool, timed: bool) -> SASRecConfig:
        """The usual settings."""
        return SASRecConfig(ordered=ordered)

    def _users(self, batch: HistoryBatch) -> NDArray[np.float32]:
        rows, sequences = [], []
        users = np.zeros((len(batch), self.item_vectors.shape[1]), np.float32)
        for user in range(len(batch)):
            sequence, away = self._read(batch.one(user))
            if len(sequence):
                rows.append(user)
                sequences.append(sequence)
                users[user] = away
        users[rows] += self._states(sequences)
        return users

    def _read(self, one: HistoryBatch) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """What a history of one user is to the network, and what its dislikes take off (d,)."""
        distinct, inverse = np.unique(one.items, return_inverse=True)
        total = np.bincount(inverse, weights=one.weights, minlength=len(distinct))
        rows = self.item_vectors[distinct]
        total[~rows.any(axis=1)] = 0.0
        sequence = one.items[(one.weights > 0) & (total[inverse] > 0)]
        sequence = sequence[np.concatenate([[True], sequence[1:] != sequence[:-1]])] if len(sequence) else sequence
        against = np.maximum(-total, 0.0)
        away = against @ rows * (-self.config.dislike / against.sum()) if against.any() else np.zeros(rows.shape[1])
        return sequence[-self.config.length :], away.astype(np.float32)

    def _states(self, sequences: list[NDArray[np.int64]]) -> NDArray[np.float32]:
        """(n, d) of sequences that aren't empty, blocks of about the same length at a time."""
        found = np.zeros((len(sequences), self.item_vectors.shape[1]), np.float32)
        numbers = {name[4:]: value for name, value in self._arrays.items() if name.startswith("net.")}
        order = np.argsort([len(one) for one in sequences], kind="stable")
        for begin in range(0, len(order), _BLOCK):
            chosen = order[begin : begin + _BLOCK]
            places, lengths = padded([sequences[row] for row in chosen])
            found[chosen] = states(numbers, self.config.heads, self.item_vectors[places], lengths)
        return found

    def _shares(self, batch: HistoryBatch, place: int) -> NDArray[np.float64]:
        """What an item of the history brings by itself and what the score would lose without it, the mean of the two: the
        ends of its Shapley value. At the item's first event."""
        shares = np.zeros(len(batch.items))
        items, parts = self._parts(batch)
        for item, part in zip(items.tolist(), (parts @ self.item_vectors[place]).tolist(), strict=True):
            shares[np.flatnonzero(batch.items == item)[0]] = part
        return shares

    def _parts(self, batch: HistoryBatch) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The k distinct items of the newest that were liked, and for each (k, d) the mean of the state after it alone and of
        what the state after all of them loses without it."""
        key = batch.items.tobytes() + batch.weights.tobytes()
        asked = self._asked
        # The reasons of one answer are asked for item by item, and the history is the same.
        if asked is None or asked[0] != key:
            sequence = self._read(batch)[0][-_REASONS:]
            items = np.unique(sequence)
            rests = [sequence[sequence != item] for item in items]
            there = [row for row, rest in enumerate(rests) if len(rest)]
            without = np.zeros((len(items), self.item_vectors.shape[1]), np.float32)
            asking = [sequence, *np.split(items, len(items)), *(rests[row] for row in there)] if len(items) else []
            found = self._states(asking)
            without[there] = found[1 + len(items) :]
            if len(items):
                without = (found[:1] - without + found[1 : 1 + len(items)]) * np.float32(0.5)
            self._asked = asked = (key, items, without)
        return asked[1], asked[2]

    def _params(self) -> dict[str, Any]:
        return asdict(self.config)

    @classmethod
    def _from_params(cls, params: Mapping[str, Any]) -> Self:
        return cls(SASRecConfig(**params))


def _joined(data: Interactions, items: ItemTable | None) -> tuple[Interactions, NDArray[np.float32]]:
    """The interactions over all items, with or without events, and the content vectors of each beside each other (n, c)."""
    if items is None:
        return data, np.zeros((len(data.item_ids), 0), np.float32)
    ids = np.union1d(data.item_ids, items.item_ids)
    places = np.searchsorted(ids, data.item_ids).astype(np.int32)
    fields = [items.vectors[name] for name in sorted(items.vectors) if items.vectors[name].any()]
    content = np.zeros((len(ids), sum(rows.shape[1] for rows in fields)), np.float32)
    if fields:
        content[np.searchsorted(ids, items.item_ids)] = np.concatenate(fields, axis=1)
    return replace(data, item_ids=ids, items=places[data.items] if len(places) else data.items), content
