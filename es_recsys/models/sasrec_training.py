"""Trains SASRec: sampled softmax over candidates that a batch shares, until what was held out is found no better."""

from __future__ import annotations

import hashlib
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from es_recsys.models.accelerator import host, place_on, training
from es_recsys.models.callback import TrainingCallback
from es_recsys.models.checkpoint import Checkpoint, mark, restore
from es_recsys.models.ranking import best
from es_recsys.models.sasrec_forward import padded, states
from es_recsys.models.sasrec_network import Items, Network
from es_recsys.models.sasrec_start import said_by_content, start_vectors
from es_recsys.models.sasrec_windows import Held, Lines, batches, hold_out, lines
from es_recsys.models.slices import ndcg
from es_recsys.types import Interactions

if TYPE_CHECKING:
    from es_recsys.models.sasrec import SASRecConfig

__all__ = ["Learned", "train"]

_TOP = 10
_WARM = 100
_LONGEST_STEP = 5.0
_NEVER = -1e4
_BLOCK = 256


@dataclass(frozen=True, slots=True, eq=False)
class Learned:
    """vectors (n, d) float32 unit rows, zeros for an item of which nothing is known; numbers: the network's, by name."""

    vectors: NDArray[np.float32]
    numbers: dict[str, NDArray[Any]]


def train(
    config: SASRecConfig, data: Interactions, content: NDArray[np.float32], seed: int, callback: TrainingCallback
) -> Learned:
    """The network that finds the held-out items best, or, with `refit`, one trained for as many epochs on everything.

    content (n, c): of each item, rows of zeros for none.
    """
    every = lines(data, config.ordered, np.random.default_rng([seed, 0]))
    held_users = min(config.held, len(data.user_ids) // 2)
    rest, held = hold_out(every, np.random.default_rng([seed, 1]), held_users)
    key = {"config": asdict(config), "seed": seed, "data": mark(data), "content": hashlib.sha256(content.tobytes()).hexdigest()}
    with training("sasrec", seed) as device:
        first = _Training(config, rest, content, seed, device, Checkpoint(callback.checkpoints, "sasrec", key))
        epochs = first.run(config.epochs, held, callback)
        learned = first
        if config.refit and len(held.targets) and epochs:
            again = _Training(config, every, content, seed, device, Checkpoint(callback.checkpoints, "sasrec refit", key))
            # Where the time is over before it is whole, what was learned without the held-out items is the best.
            learned = again if again.run(epochs, None, callback) == epochs else first
            again.checkpoint.remove()
        kept = learned.learned()
    first.checkpoint.remove()
    return kept


class _Training:
    """One network and the lines that it learns. Every epoch has its own seed, so that a training that was broken off learns
    what it would have learned in one go."""

    def __init__(
        self,
        config: SASRecConfig,
        of: Lines,
        content: NDArray[np.float32],
        seed: int,
        device: torch.device,
        checkpoint: Checkpoint,
    ) -> None:
        torch.manual_seed(seed)
        n = len(content)
        popularity = of.popularity(n)
        vectors = start_vectors(of, n, config.dims, config.ordered, np.random.default_rng([seed, 2]))
        projection = said_by_content(vectors, content, popularity > 0)
        start, towards, known, told = (torch.from_numpy(one) for one in (vectors, projection, popularity > 0, content))
        items = Items(start, towards, known, told, config.hide)
        self.network, self.checkpoint = Network(config, items).to(device), checkpoint
        self._config, self._lines, self._seed, self._device = config, of, seed, device
        self._chance = popularity / max(int(popularity.sum()), 1)

    def run(self, epochs: int, held: Held | None, callback: TrainingCallback) -> int:
        """Trains on, and leaves the best in the network. Returns after how many epochs that was."""
        config, state = self._config, self.checkpoint.load()
        weights = [value for value in self.network.parameters() if value.dim() > 1]
        others = [value for value in self.network.parameters() if value.dim() <= 1]
        groups = [{"params": weights, "weight_decay": config.decay}, {"params": others, "weight_decay": 0.0}]
        optimiser = torch.optim.AdamW(groups, lr=config.rate, betas=(0.9, 0.98))
        restore(self.network, optimiser, state)
        while state.epoch < epochs and state.stale < config.patience and time.monotonic() < callback.deadline:
            torch.manual_seed(self._seed + state.epoch)
            figures = {"loss": self._epoch(optimiser, state.epoch)}
            if held is not None and len(held.targets):
                figures["ndcg"] = self._quality(held)
            state.reached(figures.get("ndcg"), self.network)
            self.checkpoint.save(state, self.network, optimiser)
            if callback.tell is not None:
                callback.tell(state.epoch, epochs, figures)
        state.give_best(self.network)
        return state.epoch - state.stale

    @torch.no_grad()
    def learned(self) -> Learned:
        """What answers need."""
        self.network.eval()
        blocks = torch.split(torch.arange(len(self._chance), device=self._device), 16_384)
        vectors = host(torch.cat([self.network.items(block) for block in blocks]))
        return Learned(vectors, {name: host(value).copy() for name, value in self.network.numbers().items()})

    def _epoch(self, optimiser: torch.optim.Optimizer, epoch: int) -> float:
        self.network.train()
        rng = np.random.default_rng([self._seed, 3, epoch])
        total = count = 0.0
        for step, (items, strengths) in enumerate(batches(self._lines, self._config.length, self._config.tokens, rng)):
            warm = min(1.0, (step + 1) / _WARM) if epoch == 0 else 1.0
            for group in optimiser.param_groups:
                group["lr"] = self._config.rate * warm
            loss, targets = self._loss(items, strengths, rng)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), _LONGEST_STEP)
            optimiser.step()
            total, count = total + loss.item() * targets, count + targets
        return total / max(count, 1.0)

    def _loss(self, items: NDArray[np.int64], strengths: NDArray[np.float32], rng: np.random.Generator) -> tuple[Tensor, float]:
        """For a state h and the item j that follows it, with candidates C, without those of the same window,

            loss = -log( e^s(j) / (e^s(j) + sum over i in C of e^s(i)) )       s(i) = sharpness h . v_i - log p_i

        where p_i is the chance of i to be a candidate: C has what follows anywhere in the batch and some items drawn evenly
        (Yi et al. 2019, "Sampling-bias-corrected neural modeling"). The mean of it weighed by the events' strengths, and
        the sum of these.
        """
        pool, chances = self._candidates(items[:, 1:], rng)
        places, inverse = np.unique(np.concatenate([items[:, :-1].ravel(), pool]), return_inverse=True)
        # What fills a window up has place -1, the first; causal attention never looks at it.
        table = self.network.items(self._on(np.maximum(places, 0)))
        at = self._on(inverse)
        size = items[:, :-1].size
        inputs = functional.embedding(at[:size], table).view(len(items), -1, table.shape[1])
        candidates = functional.embedding(at[size:], table)
        rows, columns = np.nonzero(items[:, 1:] >= 0)
        h = self.network(inputs)[self._on(rows), self._on(columns)]
        logits = h @ candidates.T * self.network.sharpness.exp() - self._on(np.log(chances).astype(np.float32))
        wanted = self._on(np.searchsorted(pool, items[rows, columns + 1]))
        scores = logits.gather(1, wanted[:, None])[:, 0]
        others = logits.masked_fill(self._on(_own(items, pool)[rows]), _NEVER)
        losses = functional.softplus(torch.logsumexp(others, dim=1) - scores)
        weights = self._on(strengths[rows, columns + 1])
        return (losses * weights).sum() / weights.sum(), float(weights.sum())

    def _on(self, array: NDArray[Any]) -> Tensor:
        return place_on(self._device, array)

    def _candidates(self, targets: NDArray[np.int64], rng: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Places, ascending, and the chance of each to be there."""
        size = len(self._chance)
        found = targets[targets >= 0]
        drawn = rng.integers(size, size=min(self._config.negatives, size))
        # An item of which nothing is known has no vector to push away.
        pool = np.unique(np.concatenate([found, drawn]))
        return pool, -np.expm1(-(len(found) * self._chance[pool] + len(drawn) / size))

    @torch.no_grad()
    def _quality(self, held: Held) -> float:
        """NDCG@10 of the held-out items, all items ranked, what a user knows left out."""
        learned, config = self.learned(), self._config
        values = []
        starts = held.before.starts
        order = np.argsort(np.diff(starts), kind="stable")
        for begin in range(0, len(order), _BLOCK):
            users = order[begin : begin + _BLOCK]
            known = [held.before.items[starts[user] : starts[user + 1]] for user in users.tolist()]
            h = _states(learned, config.heads, [items[-config.length :] for items in known])
            scores = h @ learned.vectors.T
            for row, items in zip(scores, known, strict=True):
                row[items] = -np.inf
            values.append(ndcg([best(row, _TOP) for row in scores], tuple(held.targets[users, None]), _TOP))
        return float(np.concatenate(values).mean())


def _states(learned: Learned, heads: int, sequences: list[NDArray[np.int64]]) -> NDArray[np.float32]:
    items, lengths = padded(sequences)
    return states(learned.numbers, heads, learned.vectors[items], lengths)


def _own(items: NDArray[np.int64], pool: NDArray[np.int64]) -> NDArray[np.bool_]:
    """(b, |pool|): which candidates are in a window of the batch."""
    at = np.minimum(np.searchsorted(pool, items), len(pool) - 1)
    there = pool[at] == items
    mask = np.zeros((len(items), len(pool)), bool)
    mask[np.nonzero(there)[0], at[there]] = True
    return mask
