"""SASRec's network in PyTorch. Only training imports this."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

if TYPE_CHECKING:
    from es_recsys.models.sasrec import SASRecConfig

__all__ = ["Items", "Network"]

_QUERIES = 0.1


class Items(nn.Module):
    """An item to a unit vector (d,): its id's embedding, which only items with events have, plus a linear projection of its
    content.

    vectors: (n, d) where the items are to begin; projection: (d, c) that of the content; known: (n,) bool, items with events;
    content: (n, c) float32, rows of zeros for none. hide: share of the items of a step whose id is hidden where they have
    content, so that the content alone learns to stand for an item (DropoutNet, Volkovs et al. 2017).
    """

    known: Tensor
    content: Tensor
    described: Tensor

    def __init__(self, vectors: Tensor, projection: Tensor, known: Tensor, content: Tensor, hide: float) -> None:
        super().__init__()
        self.ids = nn.Embedding(vectors.shape[0], vectors.shape[1], _weight=(vectors - content @ projection.T).clone())
        self.projection = nn.Parameter(projection.clone())
        self._hide = hide
        for name, told in (("known", known), ("content", content), ("described", content.any(dim=1))):
            self.register_buffer(name, told, persistent=False)

    def forward(self, places: Tensor) -> Tensor:
        """places (k,) int64 -> (k, d); zeros for an item of which nothing is known."""
        shown = self.known[places]
        if self.training and self._hide > 0.0:
            shown = shown & ~((torch.rand(len(places), device=places.device) < self._hide) & self.described[places])
        return functional.normalize(self.ids(places) * shown[:, None] + self.content[places] @ self.projection.T, dim=1)


class Network(nn.Module):
    """Kang and McAuley 2018, "Self-attentive sequential recommendation": causal self-attention over a sequence, here with
    the layer norms first and a learned term for each distance between two events instead of places counted from the start,
    so that the last event sees the same in a long sequence as in a short one.

        x_0 = sqrt(d) v(items)
        y = norm(x_l)
        x' = x_l + O softmax(Q(y) K(y)^T / sqrt(d / heads) + distance[t - s]) V(y)      over events s up to t, in heads
        x_l+1 = x' + W2 gelu(W1 norm(x'))
        h = norm(x_L) / |norm(x_L)|

    The first block begins as a mean of the sequence in which every event counts half of the one after it (all alike, where
    order tells nothing), as neighbour models weigh a history: x' = x_0 + sum_s 2^-(t - s) y_s / sum_s 2^-(t - s), the queries
    being small. The other blocks begin by passing on what they get.
    """

    def __init__(self, config: SASRecConfig, items: Items) -> None:
        super().__init__()
        self.items = items
        self.blocks = nn.ModuleList(_Block(config, place == 0) for place in range(config.blocks))
        self.norm = nn.LayerNorm(config.dims)
        self.sharpness = nn.Parameter(torch.tensor(2.3))
        self._dropout = config.dropout

    def forward(self, vectors: Tensor) -> Tensor:
        """vectors (b, l, d) of the items -> states (b, l, d) of length 1."""
        x = functional.dropout(vectors * vectors.shape[2] ** 0.5, self._dropout, self.training)
        order = torch.arange(x.shape[1], device=x.device)
        apart = order[:, None] - order
        for block in self.blocks:
            x = block(x, apart)
        return functional.normalize(self.norm(x), dim=2)

    def numbers(self) -> Mapping[str, Tensor]:
        """What the forward pass reads, by the names that sasrec_forward.py knows."""
        return {name: value.detach() for name, value in self.named_parameters() if not name.startswith(("items.", "sharpness"))}


class _Block(nn.Module):
    def __init__(self, config: SASRecConfig, first: bool) -> None:
        super().__init__()
        dims = config.dims
        self.norm1, self.norm2 = nn.LayerNorm(dims), nn.LayerNorm(dims)
        self.qkv, self.out = nn.Linear(dims, 3 * dims), nn.Linear(dims, dims)
        self.wide, self.narrow = nn.Linear(dims, dims), nn.Linear(dims, dims)
        self.distance = nn.Parameter(torch.zeros(config.heads, config.length))
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.narrow.weight)
        if first:
            self._begin_as_mean(dims, config.ordered)
        self._heads, self._dropout = config.heads, config.dropout

    def forward(self, x: Tensor, apart: Tensor) -> Tensor:
        """x (b, l, d), apart (l, l) events between two -> (b, l, d)."""
        b, length, dims = x.shape
        q, k, v = self.qkv(self.norm1(x)).view(b, length, 3, self._heads, -1).permute(2, 0, 3, 1, 4)  # (b, heads, l, d / heads)
        logits = q @ k.transpose(2, 3) * (dims // self._heads) ** -0.5 + self.distance[:, apart.clamp(min=0)]
        attention = self._drop(torch.softmax(logits.masked_fill(apart < 0, float("-inf")), dim=3))
        x = x + self._drop(self.out((attention @ v).transpose(1, 2).reshape(b, length, dims)))
        inner = self._drop(functional.gelu(self.wide(self.norm2(x)), approximate="tanh"))
        return x + self._drop(self.narrow(inner))

    @torch.no_grad()
    def _begin_as_mean(self, dims: int, ordered: bool) -> None:
        if ordered:
            self.distance.copy_(-math.log(2.0) * torch.arange(self.distance.shape[1]))
        self.qkv.weight[:dims] *= _QUERIES
        self.qkv.weight[2 * dims :] = torch.eye(dims)
        self.qkv.bias.zero_()
        nn.init.eye_(self.out.weight)

    def _drop(self, x: Tensor) -> Tensor:
        return functional.dropout(x, self._dropout, self.training)
