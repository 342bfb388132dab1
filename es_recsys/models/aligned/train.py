"""Trains the heads of `aligned` in PyTorch. Only training imports this."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from es_recsys.data_digest import array_digest
from es_recsys.models.aligned.config import AlignedConfig
from es_recsys.models.base import TrainingCallback
from es_recsys.torch_training import Checkpoint, host, place_on, run_epochs, training

__all__ = ["Heads", "align", "recall"]

# Vectors this near come from one text, or one picture.
_SAME = 0.9999
_MIN_VALIDATION_PAIRS = 20
_N = 10


class Heads(nn.Module):
    """A linear head a side, and the temperature."""

    def __init__(self, text: int, image: int, config: AlignedConfig) -> None:
        super().__init__()
        self.text, self.image = nn.Linear(text, config.dims, bias=False), nn.Linear(image, config.dims, bias=False)
        self.sharpness = nn.Parameter(torch.tensor(-np.log(config.temperature), dtype=torch.float32))
        self._dropout = config.dropout

    def forward(self, text: Tensor, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return the (n, d) unit vectors of each side, from its (n, D) centred vectors."""
        dropout = nn.functional.dropout
        left = self.text(dropout(text, self._dropout, self.training))
        right = self.image(dropout(image, self._dropout, self.training))
        return nn.functional.normalize(left, dim=1), nn.functional.normalize(right, dim=1)

    def loss(self, text: Tensor, image: Tensor, own: Tensor) -> Tensor:
        """Return the symmetric InfoNCE loss.

        own (n, n) bool: which pictures are a text's own; they share its probability.
        """
        left, right = self(text, image)
        logits = left @ right.T * self.sharpness.exp().clamp(max=100.0)
        wanted = own / own.sum(dim=1, keepdim=True)
        forth = -(wanted * torch.log_softmax(logits, dim=1)).sum(dim=1).mean()
        back = -(wanted.T / wanted.T.sum(dim=1, keepdim=True) * torch.log_softmax(logits.T, dim=1)).sum(dim=1).mean()
        return (forth + back) / 2.0


def align(
    config: AlignedConfig, text: NDArray[np.float32], image: NDArray[np.float32], seed: int, callback: TrainingCallback
) -> dict[str, dict[str, NDArray[np.float32]]]:
    """ "text" and "image" -> "mean" (D,), "head" (D, d) and "centre" (d,) of that side, from pairs (n, D) of unit vectors."""
    rng = np.random.default_rng(seed)
    count = min(config.validation_pairs, len(text) // 10)
    validation = np.zeros(len(text), bool)
    validation[rng.permutation(len(text))[: count if count >= _MIN_VALIDATION_PAIRS else 0]] = True
    means = text[~validation].mean(axis=0), image[~validation].mean(axis=0)
    with training("aligned", seed) as device:
        sides = place_on(device, text - means[0]), place_on(device, image - means[1])
        heads = Heads(text.shape[1], image.shape[1], config).to(device)
        key = {"config": asdict(config), "seed": seed, "data": array_digest(text, image)}
        checkpoint = Checkpoint(callback.checkpoints, "aligned", key)
        _run(heads, sides, (text, image), validation, checkpoint, config, seed, callback)
        with torch.no_grad():
            placed = heads(*sides)
    if not callback.keep_checkpoints:
        checkpoint.remove()
    return {
        side: {
            "mean": mean.astype(np.float32),
            "head": np.ascontiguousarray(host(head.weight.detach()).T),
            "centre": host(rows).mean(axis=0),
        }
        for side, mean, head, rows in zip(("text", "image"), means, (heads.text, heads.image), placed, strict=True)
    }


def _run(
    heads: Heads,
    sides: tuple[Tensor, Tensor],
    unit_vectors: tuple[NDArray[np.float32], NDArray[np.float32]],
    validation: NDArray[np.bool_],
    checkpoint: Checkpoint,
    config: AlignedConfig,
    seed: int,
    callback: TrainingCallback,
) -> None:
    optimiser = torch.optim.AdamW(heads.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
    learned = np.flatnonzero(~validation)

    def epoch(number: int) -> tuple[dict[str, float], float | None]:
        order = np.random.default_rng([seed, number]).permutation(learned)
        heads.train()
        losses = []
        for begin in range(0, len(order), config.batch_size):
            rows = order[begin : begin + config.batch_size]
            loss = heads.loss(sides[0][rows], sides[1][rows], place_on(sides[0].device, _own(unit_vectors, rows)))
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            losses.append(loss.item())
        heads.eval()
        metrics = {"loss": float(np.mean(losses))}
        if validation.any():
            with torch.no_grad():
                left, right = heads(sides[0][validation], sides[1][validation])
            metrics["recall"] = recall(host(left), host(right), _own(unit_vectors, np.flatnonzero(validation)))
        return metrics, metrics.get("recall")

    run_epochs(
        epoch,
        heads,
        optimiser,
        checkpoint,
        epochs=config.epochs,
        patience=config.patience,
        seed=seed,
        deadline=callback.deadline,
        report=callback.report,
        proceed=callback.proceed,
    )
    heads.eval()


def recall(text: NDArray[np.float32], image: NDArray[np.float32], own: NDArray[np.bool_], n: int = _N) -> float:
    """Return the share of the texts (m, d) that have an own picture (m, d) among the n nearest.

    own: (m, m) bool.
    """
    nearest = np.argsort(-(text @ image.T), axis=1, kind="stable")[:, :n]
    return float(np.take_along_axis(own, nearest, axis=1).any(axis=1).mean())


def _own(unit_vectors: tuple[NDArray[np.float32], NDArray[np.float32]], rows: NDArray[np.int64]) -> NDArray[np.bool_]:
    text, image = (side[rows] for side in unit_vectors)
    result: NDArray[np.bool_] = (text @ text.T > _SAME) | (image @ image.T > _SAME) | np.eye(len(rows), dtype=bool)
    return result
