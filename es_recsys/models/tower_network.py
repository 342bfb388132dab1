"""The two towers in PyTorch. Only training imports this."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from es_recsys.models.tower_inputs import CONTEXT, HABITS, RECENCY

__all__ = ["ItemTower", "UserTower"]


class ItemTower(nn.Module):
    """An item's id and content vectors to a unit vector (d,).

    contents: field -> (n, D) float32, rows of zeros for what an item lacks; known: (n,) bool, items with events, which alone
    have an id. Fields are projected to d dimensions and added to the id's vector, so that what is missing adds nothing;
    id_dropout: share of the items of a step whose id is hidden where they have content, so that the content alone learns to
    stand for an item (DropoutNet, Volkovs et al. 2017).
    """

    known: Tensor
    described: Tensor

    def __init__(self, contents: Mapping[str, Tensor], known: Tensor, dims: int, id_dropout: float) -> None:
        super().__init__()
        self.ids = nn.Embedding(len(known), dims)
        nn.init.normal_(self.ids.weight, std=dims**-0.5)
        self.fields = nn.ModuleDict({name: nn.Linear(vectors.shape[1], dims) for name, vectors in contents.items()})
        self.deep = nn.Sequential(nn.Linear(dims, 2 * dims), nn.GELU(), nn.Linear(2 * dims, dims)) if contents else None
        if self.deep is not None:
            for parameter in self.deep[-1].parameters():
                nn.init.zeros_(parameter)
        self._id_dropout = id_dropout
        described = torch.zeros(len(known), dtype=torch.bool)
        for name, vectors in contents.items():
            described |= vectors.any(dim=1)
            self.register_buffer(f"content_{name}", vectors, persistent=False)
        self.register_buffer("known", known, persistent=False)
        self.register_buffer("described", described, persistent=False)

    def forward(self, places: Tensor) -> Tensor:
        """places (k,) int64 -> (k, d), zeros for an item of which nothing is known."""
        shown = self.known[places]
        if self.training and self._id_dropout > 0.0:
            hidden = torch.rand(len(places), device=places.device) < self._id_dropout
            shown = shown & ~(hidden & self.described[places])
        joined = self.ids(places) * shown[:, None]
        for name, field in self.fields.items():
            rows = self.get_buffer(f"content_{name}")[places]
            joined = joined + field(rows) * rows.any(dim=1, keepdim=True)
        if self.deep is not None:
            joined = joined + self.deep(joined)
        there = (self.known | self.described)[places]
        return nn.functional.normalize(joined, dim=1) * there[:, None]


class UserTower(nn.Module):
    """A history to a vector (d,), in operations that ONNX has.

        a_h = softmax over h of log |w_h| + score(v_h, recency_h, c)      v_h: the item tower's vector of event h
        m   = sum_h a_h sign(w_h) A v_h / | sum_h a_h A v_h |             a dislike turns its item's vector round
        u   = m + F(m, c)                                                 c: the context and the segment

    score is an additive attention (Bahdanau et al. 2015) plus a linear function of recency; F has one hidden layer. A begins
    as the identity and F as zero, so that the training sets out from a weighted mean.
    """

    def __init__(self, dims: int, segments: int, ordered: bool) -> None:
        super().__init__()
        self.look = nn.Linear(dims, dims)
        self.when = nn.Linear(RECENCY, dims, bias=False)
        self.who = nn.Linear(CONTEXT, dims)
        self.segment = nn.Embedding(segments + 1, dims, padding_idx=0)
        self.score = nn.Linear(dims, 1, bias=False)
        self.fade = nn.Linear(RECENCY, 1, bias=False)
        self.value = nn.Linear(dims, dims, bias=False)
        self.hidden = nn.Linear(2 * dims, 2 * dims)
        self.out = nn.Linear(2 * dims, dims)
        nn.init.zeros_(self.score.weight)
        nn.init.eye_(self.value.weight)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)
        nn.init.zeros_(self.segment.weight)
        nn.init.zeros_(self.who.weight.data[:, -len(HABITS) :])
        with torch.no_grad():
            self.fade.weight.copy_(torch.tensor([[-1.0 if ordered else 0.0, 0.0, 0.0]]))

    def forward(
        self, vectors: Tensor, weights: Tensor, recency: Tensor, context: Tensor, segments: Tensor
    ) -> tuple[Tensor, Tensor]:
        """vectors (b, l, d); weights (b, l), 0 where padded; recency (b, l, 3); context (b, c); segments (b,) int64, 0 for
        none -> users (b, d), and what each event adds to m (b, l, d)."""
        about = self.who(context) + self.segment(segments)
        looked = torch.tanh(self.look(vectors) + self.when(recency) + about[:, None])
        scores = (self.score(looked) + self.fade(recency))[:, :, 0] + torch.log(weights.abs() + 1e-30)
        shares = torch.softmax(scores, dim=1)
        # A is linear, so it is applied once to the sums, and to each event only where `parts` are asked for.
        whole = self.value((shares[:, None] @ vectors)[:, 0])
        length = whole.pow(2).sum(dim=1, keepdim=True).add(1e-12).sqrt()
        signed = shares * torch.sign(weights) / length
        mean = self.value((signed[:, None] @ vectors)[:, 0])
        more = self.out(torch.tanh(self.hidden(torch.cat([mean, about], dim=1))))
        parts = vectors if self.training else self.value(signed[:, :, None] * vectors)
        return mean + more, parts
