"""Trains the two towers: sampled softmax over the items of the batch, corrected for how often they are in it."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from es_recsys.errors import ModelError
from es_recsys.models.accelerator import host, place_on, training
from es_recsys.models.callback import TrainingCallback
from es_recsys.models.checkpoint import Checkpoint, mark, restore
from es_recsys.models.ranking import best
from es_recsys.models.slices import ndcg
from es_recsys.models.tower_examples import Example, Held, Stream
from es_recsys.models.tower_inputs import HABITS, Inputs, Reader, inputs
from es_recsys.models.tower_network import ItemTower, UserTower
from es_recsys.models.user_graph import graph_of
from es_recsys.types import Interactions

if TYPE_CHECKING:
    from es_recsys.models.two_tower import TowerConfig

__all__ = ["Towers", "train"]

_TOP = 20


class Towers(torch.nn.Module):
    """Both towers, and the loss of one step.

    For a user u and a liked item j of the batch, with candidates C (the liked items of the whole batch, and some drawn evenly
    from the catalogue), without those that this user is known to like,

        loss = -log( e^(s(u, j)) / (e^(s(u, j)) + sum over i in C of e^(s(u, i))) )     s(u, i) = u . v_i / t - c log p_i

    where p_i is the chance that i is among the candidates. In-batch candidates are popular ones; without log p_i they would
    be learned to be worse than they are (Yi et al. 2019, "Sampling-bias-corrected neural modeling").
    """

    def __init__(
        self,
        config: TowerConfig,
        contents: Mapping[str, NDArray[np.float32]],
        popularity: NDArray[np.int64],
        reader: Reader,
    ) -> None:
        super().__init__()
        tensors = {name: torch.from_numpy(np.ascontiguousarray(rows)) for name, rows in contents.items()}
        self.items = ItemTower(tensors, torch.from_numpy(popularity > 0), config.dims, config.id_dropout)
        self.users = UserTower(config.dims, 0 if reader.segments is None else len(reader.segments), config.ordered)
        self.config, self._reader = config, reader
        self._chance = popularity / max(int(popularity.sum()), 1)

    def _on(self, array: NDArray[Any]) -> Tensor:
        return place_on(self.items.known.device, array)

    def loss(self, example: Example, rng: np.random.Generator) -> Tensor:
        """Mean over the targets of a batch."""
        given = inputs(example.histories, self.config.history, self.config.ordered, self._reader)
        if self.config.dropout > 0.0:
            # Never the newest, so that something is left to go by.
            shown = rng.random(given.weights.shape) >= self.config.dropout
            shown[:, 0] = True
            given = replace(given, weights=given.weights * shown)
        pool, chances = self._candidates(example, rng)
        places, inverse = np.unique(np.concatenate([given.items.ravel(), pool]), return_inverse=True)
        vectors = self.items(self._on(places))
        at = self._on(inverse)
        history, candidates = vectors[at[: given.items.size]], vectors[at[given.items.size :]]
        users = self._embed(given, history.view(*given.items.shape, -1))
        correction = self._on((self.config.correction * np.log(chances)).astype(np.float32))
        logits = users @ candidates.T / self.config.temperature - correction
        columns = np.searchsorted(pool, np.maximum(example.targets, 0))
        wanted = self._on(example.targets >= 0)
        scores = logits.gather(1, self._on(columns))
        others = logits.masked_fill(self._on(self._liked(example, pool)), float("-inf"))
        rest = torch.logsumexp(others, dim=1, keepdim=True)
        losses = torch.nn.functional.softplus(rest - scores)
        return (losses * wanted).sum() / wanted.sum().clamp(min=1)

    def _embed(self, given: Inputs, vectors: Tensor) -> Tensor:
        read = (given.weights, given.recency, given.context, given.segments)
        tensors = (self._on(one) for one in read)
        users: Tensor = self.users(vectors, *tensors)[0]
        return users

    def _candidates(self, example: Example, rng: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Places, ascending, and the chance of each to be there."""
        size = len(self._chance)
        found = example.targets[example.targets >= 0]
        if self.config.negatives >= size:
            return np.arange(size), np.ones(size)
        drawn = rng.integers(size, size=self.config.negatives)
        pool = np.unique(np.concatenate([found, drawn]))
        rate = len(found) * self._chance[pool] + len(drawn) / size
        return pool, -np.expm1(-rate)

    def _liked(self, example: Example, pool: NDArray[np.int64]) -> NDArray[np.bool_]:
        """(b, |pool|): what a user of the batch has, or is to find."""
        column = np.full(len(self._chance), -1)
        column[pool] = np.arange(len(pool))
        histories = example.histories
        rows = np.repeat(np.arange(len(histories)), np.diff(histories.starts))
        row, place = np.nonzero(example.targets >= 0)
        at = column[np.concatenate([histories.items, example.targets[row, place]])]
        every = np.concatenate([rows, row])
        mask = np.zeros((len(histories), len(pool)), bool)
        mask[every[at >= 0], at[at >= 0]] = True
        return mask

    @torch.no_grad()
    def item_vectors(self) -> NDArray[np.float32]:
        """(n, d)."""
        self.eval()
        blocks = torch.split(torch.arange(len(self._chance), device=self.items.known.device), 16_384)
        rows: NDArray[np.float32] = host(torch.cat([self.items(block) for block in blocks]))
        return rows

    @torch.no_grad()
    def quality(self, held: Held) -> float:
        """NDCG@20 of the users held out, all items ranked, what they know left out."""
        vectors = self.item_vectors()
        values = []
        for begin in range(0, len(held.targets), 256):
            end = min(begin + 256, len(held.targets))
            given = inputs(held.histories.some(begin, end), self.config.history, self.config.ordered, self._reader)
            scores = host(self._embed(given, self._on(vectors[given.items]))) @ vectors.T
            for row, known in zip(scores, held.known[begin:end], strict=True):
                row[known] = -np.inf
            values.append(ndcg([best(row, _TOP) for row in scores], held.targets[begin:end], _TOP))
        return float(np.concatenate(values).mean())


def train(
    config: TowerConfig,
    rest: Interactions,
    held: Held,
    contents: Mapping[str, NDArray[np.float32]],
    reader: Reader,
    seed: int,
    callback: TrainingCallback,
) -> tuple[NDArray[np.float32], bytes]:
    """Item vectors (n, d) and the user tower as ONNX.

    rest: what is learned from; held: what is to be found for the training to go on; contents: field -> (n, D). Raises
    ModelError where nobody has two events.
    """
    stream = Stream(rest, ordered=config.ordered, targets=config.targets, history=config.history)
    if not len(stream):
        raise ModelError("Nobody has two events, so there is no next item to train tower on.", "Load longer histories first.")
    popularity = np.bincount(rest.items[rest.weights > 0], minlength=len(rest.item_ids))
    with training("tower", seed) as device:
        towers = Towers(config, contents, popularity, reader).to(device)
        read = {**contents, **reader.arrays(), "held": np.concatenate([held.users, *held.targets])}
        key = {"config": asdict(config), "seed": seed, "data": mark(rest), "habits": list(HABITS), "read": _digest(read)}
        kept = Checkpoint(callback.checkpoints, "tower", key)
        _run(towers, stream, held, kept, seed, callback)
        vectors = towers.item_vectors()
    kept.remove()
    return vectors, graph_of(towers.users.cpu(), config.dims)


def _digest(arrays: Mapping[str, NDArray[Any]]) -> str:
    """Names what is read besides the events: with other vectors or segments it is another training."""
    digest = hashlib.sha256()
    for name, rows in sorted(arrays.items()):
        digest.update(f"{name} {rows.shape}".encode())
        digest.update(rows.tobytes())
    return digest.hexdigest()


def _run(towers: Towers, stream: Stream, held: Held, kept: Checkpoint, seed: int, callback: TrainingCallback) -> None:
    """Trains until nothing is gained any more, and leaves the best of all epochs in `towers`.

    Every epoch has its own seed, so that a training that goes on learns what it would have learned in one go.
    """
    config, state = towers.config, kept.load()
    optimiser = torch.optim.AdamW(towers.parameters(), lr=config.rate, weight_decay=config.decay)
    restore(towers, optimiser, state)
    while state.epoch < config.epochs and state.stale < config.patience and time.monotonic() < callback.deadline:
        torch.manual_seed(seed + state.epoch)
        rng = np.random.default_rng([seed, state.epoch])
        figures = {"loss": _epoch(towers, optimiser, stream, rng)}
        if len(held.targets):
            figures["ndcg"] = towers.quality(held)
        state.reached(figures.get("ndcg"), towers)
        kept.save(state, towers, optimiser)
        callback.report(state.epoch, config.epochs, figures)
    state.give_best(towers)
    towers.eval()


def _epoch(towers: Towers, optimiser: torch.optim.Optimizer, stream: Stream, rng: np.random.Generator) -> float:
    towers.train()
    losses = []
    for example in stream.epoch(rng, towers.config.batch):
        loss = towers.loss(example, rng)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        losses.append(loss.item())
    return float(np.mean(losses)) if losses else 0.0
