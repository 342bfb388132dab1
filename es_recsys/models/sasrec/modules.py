"""Parameters of SASRec as PyTorch modules. Only training imports this."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from es_recsys.models.sasrec.config import SASRecConfig
from es_recsys.models.sasrec.network import encode

__all__ = ["ItemEmbedding", "Network"]

_QUERIES = 0.1


class ItemEmbedding(nn.Module):
    """Unit vector (d,) of an item: the embedding of its id, which only items with events have, plus a linear projection of
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
        """item_idx (k,) int64 -> (k, d); zeros for an item without events and content."""
        with_id = self.known[item_idx]
        if self.training and self._id_dropout > 0.0:
            drawn = torch.rand(len(item_idx), device=item_idx.device) < self._id_dropout
            with_id = with_id & ~(drawn & self.described[item_idx])
        return functional.normalize(self.ids(item_idx) * with_id[:, None] + self.content[item_idx] @ self.projection.T, dim=1)


class Network(nn.Module):
    """Kang and McAuley 2018, "Self-attentive sequential recommendation": causal self-attention over a sequence (network.py),
    here with the layer norms first and a learned term for each distance between two events instead of positions counted from
    the start, so that the last event sees the same in a long sequence as in a short one.

    The first block begins as a mean of the sequence in which every event counts half of the one after it (all alike, where
    order tells nothing), as neighbour models weigh a history: x' = x_0 + sum_s 2^-(t - s) y_s / sum_s 2^-(t - s), the queries
    being small. The other blocks begin by passing on what they get.
    """

    def __init__(self, config: SASRecConfig, items: ItemEmbedding) -> None:
        super().__init__()
        self.items = items
        self.blocks = nn.ModuleList(_Block(config, number == 0) for number in range(config.blocks))
        self.norm = nn.LayerNorm(config.dims)
        self.sharpness = nn.Parameter(torch.tensor(2.3))
        self._heads, self._dropout = config.heads, config.dropout

    def forward(self, vectors: Tensor) -> Tensor:
        """vectors (b, l, d) of the items -> states (b, l, d) of length 1."""
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
            self.distance.copy_(-math.log(2.0) * torch.arange(self.distance.shape[1]))
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
        return functional.dropout(x, self._dropout)
