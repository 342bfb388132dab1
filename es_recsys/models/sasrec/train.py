"""Training of SASRec: its parameters as PyTorch modules, and sampled softmax over candidates that a batch shares."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from es_recsys.cooccurrence import CooccurrenceConfig, spectral_vectors
from es_recsys.data_digest import array_digest, data_digest
from es_recsys.dataset import Interactions
from es_recsys.linear_algebra import ridge
from es_recsys.models.base import TrainingCallback, unit
from es_recsys.models.sasrec.config import SASRecConfig
from es_recsys.models.sasrec.network import encode
from es_recsys.sequences import UserSequences, batches, user_sequences
from es_recsys.torch_functions import dropout, logsumexp_of_candidates
from es_recsys.torch_training import Checkpoint, host, place_on, run_epochs, training

__all__ = ["ItemEmbedding", "Learned", "Network", "content_projection", "initial_vectors", "train", "training_sequences"]

_QUERIES = 0.1
_HALF_LIFE = 8.0  # events
_NOISE = 0.1
_RIDGE = 0.1


class ItemEmbedding(nn.Module):
    """Unit vector of an item.

    Unit vector (d,) of an item: the embedding of its id, which only items with events have, plus a linear projection of
    its content.

    vectors: (n, d) initial vectors of the items; projection: (d, c) initial projection of the content; known: (n,) bool, items
    with events; content: (n, c) float32, rows of zeros for none. id_dropout: share of the items of a step whose id is dropped
    where they have content, so that the content alone learns to stand for an item (DropoutNet, Volkovs et al. 2017).
    """

    known: Tensor
    content: Tensor
    described: Tensor

    def __init__(self, vectors: Tensor, projection: Tensor, known: Tensor, content: Tensor, id_dropout: float) -> None:
        super().__init__()
        self.ids = nn.Embedding(vectors.shape[0], vectors.shape[1], _weight=(vectors - content @ projection.T).clone())
        self.projection = nn.Parameter(projection.clone())
        self._id_dropout = id_dropout
        for name, value in (("known", known), ("content", content), ("described", content.any(dim=1))):
            self.register_buffer(name, value, persistent=False)

    def forward(self, item_idx: Tensor) -> Tensor:
        """Return the embeddings (k, d) of item_idx (k,) int64; zeros for an item without events and content."""
        with_id = self.known[item_idx]
        if self.training and self._id_dropout > 0.0:
            drawn = torch.rand(len(item_idx), device=item_idx.device) < self._id_dropout
            with_id = with_id & ~(drawn & self.described[item_idx])
        return functional.normalize(self.ids(item_idx) * with_id[:, None] + self.content[item_idx] @ self.projection.T, dim=1)


class Network(nn.Module):
    """Self-attention over a sequence, with its parameters.

    Kang and McAuley 2018, "Self-attentive sequential recommendation": causal self-attention over a sequence (network.py),
    here with the layer norms first and a learned term for each distance between two events instead of positions counted from
    the start, so that the last event sees the same in a long sequence as in a short one.

    The first block begins as a mean of the sequence in which every event counts half of the one eight events after it (all
    alike, where order tells nothing), as neighbour models weigh a history: x' = x_0 + sum_s w_s y_s / sum_s w_s with
    w_s = 2^(-(t - s) / 8), the queries being small. The other blocks begin by passing on what they get.
    """

    def __init__(self, config: SASRecConfig, items: ItemEmbedding) -> None:
        super().__init__()
        self.items = items
        self.blocks = nn.ModuleList(_Block(config, number == 0) for number in range(config.blocks))
        self.norm = nn.LayerNorm(config.dims)
        self.sharpness = nn.Parameter(torch.tensor(2.3))
        self._heads, self._dropout = config.heads, config.dropout

    def forward(self, vectors: Tensor) -> Tensor:
        """Return the states after each event.

        vectors (b, l, d) of the items -> states (b, l, d) of length 1."""
        order = torch.arange(vectors.shape[1], device=vectors.device)
        operations = _TorchOperations(self._dropout if self.training else 0.0)
        states: Tensor = encode(operations, self._encoder(), self._heads, vectors, order[:, None] - order)
        return states

    def encoder_params(self) -> Mapping[str, Tensor]:
        """Return what `encode` reads, by name."""
        return {name: value.detach() for name, value in self._encoder().items()}

    def _encoder(self) -> dict[str, Tensor]:
        return {name: value for name, value in self.named_parameters() if not name.startswith(("items.", "sharpness"))}


class _Block(nn.Module):
    """Parameters of one block, at their initial values."""

    def __init__(self, config: SASRecConfig, first: bool) -> None:
        super().__init__()
        dims = config.dims
        for name in ("norm1", "norm2"):
            self.add_module(name, nn.LayerNorm(dims))
        self.qkv, self.out = nn.Linear(dims, 3 * dims), nn.Linear(dims, dims)
        self.wide, self.narrow = nn.Linear(dims, dims), nn.Linear(dims, dims)
        self.distance = nn.Parameter(torch.zeros(config.heads, config.max_length))
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.narrow.weight)
        if first:
            self._begin_as_mean(dims, config.ordered)

    @torch.no_grad()
    def _begin_as_mean(self, dims: int, ordered: bool) -> None:
        if ordered:
            self.distance.copy_(-math.log(2.0) / _HALF_LIFE * torch.arange(self.distance.shape[1]))
        self.qkv.weight[:dims] *= _QUERIES
        self.qkv.weight[2 * dims :] = torch.eye(dims)
        self.qkv.bias.zero_()
        nn.init.eye_(self.out.weight)


class _TorchOperations:
    """`Operations` in PyTorch."""

    def __init__(self, dropout: float) -> None:
        self._dropout = dropout

    def linear(self, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """Return x W^T + b."""
        return functional.linear(x, weight, bias)

    def layer_norm(self, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """Return the layer norm."""
        return functional.layer_norm(x, weight.shape, weight, bias)

    def softmax(self, x: Tensor, allowed: Tensor) -> Tensor:
        """Return the softmax."""
        return torch.softmax(x.masked_fill(~allowed, float("-inf")), dim=-1)

    def gelu(self, x: Tensor) -> Tensor:
        """Return the GELU."""
        return functional.gelu(x, approximate="tanh")

    def normalize(self, x: Tensor) -> Tensor:
        """Return x at length 1."""
        return functional.normalize(x, dim=-1)

    def dropout(self, x: Tensor) -> Tensor:
        """Return x with the share dropped that was asked for."""
        return dropout(x, self._dropout)


def training_sequences(data: Interactions, ordered: bool, rng: np.random.Generator) -> UserSequences:
    """Return what each user liked, oldest first; in a random order where order tells nothing."""
    sequences = user_sequences(data)
    if ordered:
        return sequences
    order = np.lexsort((rng.random(len(sequences.items)), sequences.users))
    return replace(sequences, items=sequences.items[order], strengths=sequences.strengths[order])


def initial_vectors(sequences: UserSequences, dims: int, ordered: bool, rng: np.random.Generator) -> NDArray[np.float32]:
    """Return vectors that items begin with (n_items, dims) float32, of length 1.

    They lie near those of the items within ten events (within a user's whole history, where order tells nothing), with a little
    noise, and are random where nothing is. On sparse data this is most of what the training would otherwise take its first
    epochs, and its overfitting, to find.
    """
    how = CooccurrenceConfig(10, 0.8, 1.0, 0.0) if ordered else CooccurrenceConfig(None, 1.0, 1.0, 0.5)
    vectors = spectral_vectors(sequences, how, dims, rng)
    return unit(vectors + rng.normal(0.0, _NOISE * dims**-0.5, vectors.shape))


def content_projection(
    vectors: NDArray[np.float32], content: NDArray[np.float32], known: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """Return the projection P (d, c) float32 of content to vectors, so that an item without events has a vector to begin with.

    Content (n, c) P^T comes close to the vectors (n, d) of the items that are known.
    """
    return np.ascontiguousarray(ridge(content[known].astype(np.float64), vectors[known].astype(np.float64), _RIDGE).T, np.float32)


_WARM_UP_STEPS = 100
_MAX_GRADIENT_NORM = 5.0
# Of few items fewer candidates do, and a step takes as long as there are candidates: of the batch, and drawn evenly, one for so
# many items at most, where that isn't few.
_ITEMS_PER_CANDIDATE, _FEW_CANDIDATES = 8, 256
# How much the mean of a training leans towards its end.
_MEAN_LEANS = 8.0
# Part of the epochs that a training has which goes on from another's: of what that one didn't learn there is little.
_GOING_ON = 0.1
# Counted up where checkpoints come to hold something else.
_LAYOUT = 2


@dataclass(frozen=True, slots=True, eq=False)
class Learned:
    """What a training has learned.

    vectors (n, d) float32 unit rows, zeros for an item without events and content; encoder: the network's arrays, by name;
    epochs: after how many it was. state: the parameters of the network and of its mean, by name."""

    vectors: NDArray[np.float32]
    encoder: dict[str, NDArray[Any]]
    epochs: int
    state: dict[str, NDArray[Any]]


@dataclass(frozen=True, slots=True, eq=False)
class Begun:
    """What another training has learned, from which one goes on.

    state: its `Learned.state`. there (n,): the item_idx of each item there, -1 for one that it lacks. fingerprint: of its model.
    """

    state: Mapping[str, NDArray[Any]]
    there: NDArray[np.int64]
    fingerprint: str


def train(
    config: SASRecConfig,
    data: Interactions,
    content: NDArray[np.float32],
    seed: int,
    callback: TrainingCallback,
    score: Callable[[Learned], float] | None,
    begun: Begun | None = None,
) -> Learned:
    """Return the network of the epoch that `score` found best; of the last one without it.

    content (n, c): of each item, rows of zeros for none. begun: of a training with the same settings, to go on from.
    """
    digest = data_digest(data, array_digest(data.weights, content))
    key = {"layout": _LAYOUT, "config": asdict(config), "seed": seed, "data": digest}
    if begun is not None:
        key["begun"] = begun.fingerprint
        config = replace(config, epochs=max(round(_GOING_ON * config.epochs), 1))
    checkpoint = Checkpoint(callback.checkpoints, "sasrec", key)
    with training("sasrec", seed) as device:
        found = _Training(config, data, content, seed, device, begun).run(checkpoint, callback, score)
    if not callback.keep_checkpoints:
        checkpoint.remove()
    return found


class _Mean(nn.Module):
    """Mean of a network over the steps of its training, of which the last ninth counts most.

    It does what a falling learning rate does, without knowing when the training ends: polynomial-decay averaging (Shamir and
    Zhang 2013, "Stochastic gradient descent for non-smooth optimization").
    """

    counted: Tensor

    def __init__(self, network: Network) -> None:
        super().__init__()
        # The content isn't learned, and large: it is there once.
        self.network = deepcopy(network, {id(one): one for one in network.buffers()}).eval()
        self.register_buffer("counted", torch.zeros((), device=network.sharpness.device))

    @torch.no_grad()
    def count(self, network: Network) -> None:
        """Take the network as it is now into the mean."""
        self.counted += 1.0
        share = (_MEAN_LEANS + 1.0) / (float(self.counted) + _MEAN_LEANS)
        for mean, value in zip(self.network.parameters(), network.parameters(), strict=True):
            mean.lerp_(value, share)


class _Training:
    """One training of one network.

    One network and the sequences that it learns; its mean is what was learned. Every epoch has its own seed, so that a training
    that was interrupted learns what it would have learned in one go."""

    def __init__(
        self,
        config: SASRecConfig,
        data: Interactions,
        content: NDArray[np.float32],
        seed: int,
        device: torch.device,
        begun: Begun | None = None,
    ) -> None:
        torch.manual_seed(seed)
        self._sequences = training_sequences(data, config.ordered, np.random.default_rng([seed, 0]))
        popularity = self._sequences.popularity.astype(np.int64)
        vectors = initial_vectors(self._sequences, config.dims, config.ordered, np.random.default_rng([seed, 2]))
        projection = content_projection(vectors, content, popularity > 0)
        tensors = [torch.from_numpy(one) for one in (vectors, projection, popularity > 0, content)]
        items = ItemEmbedding(tensors[0], tensors[1], tensors[2], tensors[3], config.id_dropout)
        self._network = Network(config, items).to(device)
        self._mean = _Mean(self._network)
        self._learning = nn.ModuleList([self._network, self._mean])
        if begun is not None:
            self._learning.load_state_dict(_moved(begun, self._learning.state_dict()))
        self._config, self._seed, self._device = config, seed, device
        self._item_probability = popularity / max(int(popularity.sum()), 1)

    def run(self, checkpoint: Checkpoint, callback: TrainingCallback, score: Callable[[Learned], float] | None) -> Learned:
        """Train on from the checkpoint; return what was best."""
        config = self._config
        weights = [value for value in self._network.parameters() if value.dim() > 1]
        others = [value for value in self._network.parameters() if value.dim() <= 1]
        groups = [{"params": weights, "weight_decay": config.weight_decay}, {"params": others, "weight_decay": 0.0}]
        optimiser = torch.optim.AdamW(groups, lr=config.learning_rate, betas=(0.9, 0.98), fused=True)

        def epoch(number: int) -> tuple[dict[str, float], float | None]:
            metrics = {"loss": self._epoch(optimiser, number)}
            quality = None if score is None else score(self._learned(number + 1))
            return metrics if quality is None else {**metrics, "ndcg": quality}, quality

        best = run_epochs(
            epoch,
            self._learning,
            optimiser,
            checkpoint,
            epochs=config.epochs,
            patience=config.patience,
            seed=self._seed,
            deadline=callback.deadline,
            report=callback.report,
            proceed=callback.proceed,
        )
        return self._learned(best)

    @torch.no_grad()
    def _learned(self, epochs: int) -> Learned:
        network = self._mean.network
        blocks = torch.split(torch.arange(len(self._item_probability), device=self._device), 16_384)
        vectors = host(torch.cat([network.items(block) for block in blocks]))
        encoder = {name: host(value).copy() for name, value in network.encoder_params().items()}
        return Learned(vectors, encoder, epochs, {name: host(value) for name, value in self._learning.state_dict().items()})

    def _epoch(self, optimiser: torch.optim.Optimizer, epoch: int) -> float:
        config = self._config
        self._network.train()
        rng = np.random.default_rng([self._seed, 3, epoch])
        total = count = 0.0
        for step, (items, strengths) in enumerate(batches(self._sequences, config.max_length, config.batch_events, rng)):
            warm_up = min(1.0, (step + 1) / _WARM_UP_STEPS) if epoch == 0 else 1.0
            for group in optimiser.param_groups:
                group["lr"] = config.learning_rate * warm_up
            loss, targets = self._loss(items, strengths, rng)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(self._network.parameters(), _MAX_GRADIENT_NORM)
            optimiser.step()
            self._mean.count(self._network)
            total, count = total + loss.item() * targets, count + targets
        return total / max(count, 1.0)

    def _loss(self, items: NDArray[np.int64], strengths: NDArray[np.float32], rng: np.random.Generator) -> tuple[Tensor, float]:
        """Return the mean loss of a batch, weighted by the events' strengths, and the sum of these.

        For a state h and the item j that follows it, with candidates C, without those of the same window,

            loss = -log( e^s(j) / (e^s(j) + sum over i in C of e^s(i)) )       s(i) = sharpness h . v_i - log p_i

        where p_i is the probability of i to be a candidate: C has what follows in the batch, or some of it where items are few,
        and some items drawn evenly (Yi et al. 2019, "Sampling-bias-corrected neural modeling").
        """
        inside = items[:, 1:] >= 0
        pool, in_batch, drawn = self._candidates(items[:, 1:][inside], rng)
        # Padding has item_idx -1, the first; causal attention never looks at it.
        item_idx, inverse = np.unique(np.concatenate([np.maximum(items, 0).ravel(), pool]), return_inverse=True)
        table = self._network.items(self._on(item_idx))
        places, at = self._on(inverse[: items.size].reshape(items.shape)), self._on(inverse[items.size :])
        h = self._network(functional.embedding(places[:, :-1], table))[self._on(inside)] * self._network.sharpness.exp()
        wanted = places[:, 1:][self._on(inside)]
        odds = in_batch * self._item_probability[item_idx] + drawn / len(self._item_probability)
        # The one of the padding may have no chance.
        corrections = self._on(-np.log(np.maximum(-np.expm1(-odds), 1e-12)).astype(np.float32))
        scores = (h * functional.embedding(wanted, table)).sum(dim=1) + corrections[wanted]
        known = self._on(_in_window(items, pool)[np.nonzero(inside)[0]])
        others = logsumexp_of_candidates(h, functional.embedding(at, table), corrections[at], known)
        losses = functional.softplus(others - scores)
        weights = self._on(strengths[:, 1:][inside])
        return (losses * weights).sum() / weights.sum(), float(weights.sum())

    def _on(self, array: NDArray[Any]) -> Tensor:
        return place_on(self._device, array)

    def _candidates(self, targets: NDArray[np.int64], rng: np.random.Generator) -> tuple[NDArray[np.int64], int, int]:
        """Return the item_idx of the candidates, ascending, and of how many of `targets` and of all items they were made.

        targets: what follows in the batch.
        """
        size = len(self._item_probability)
        most = max(size // _ITEMS_PER_CANDIDATE, _FEW_CANDIDATES)
        found = targets if len(targets) <= most else rng.choice(targets, most, replace=False)
        drawn = rng.integers(size, size=min(self._config.negatives, most, size))
        # An item without events and content has no vector to push away.
        return np.unique(np.concatenate([found, drawn])), len(found), len(drawn)


def _moved(begun: Begun, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the state with all that was begun; items that were unknown there keep what they have."""
    found = {name: torch.from_numpy(np.array(value)) for name, value in begun.state.items()}
    known = np.flatnonzero(begun.there >= 0)
    for name, value in state.items():
        if name.endswith("items.ids.weight"):
            rows = value.clone()
            rows[known] = found[name][begun.there[known]].to(rows)
            found[name] = rows
    return found


def _in_window(items: NDArray[np.int64], pool: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return (b, |pool|): which candidates are in a window of the batch."""
    positions = np.minimum(np.searchsorted(pool, items), len(pool) - 1)
    found = pool[positions] == items
    mask = np.zeros((len(items), len(pool)), bool)
    mask[np.nonzero(found)[0], positions[found]] = True
    return mask
