"""Functions of trainings in PyTorch that take most of their time on a processor, in fewer passes than PyTorch's own."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.nn import functional

__all__ = ["dropout", "logsumexp_of_candidates"]

_NEVER = -1e4
_STEPS = 256


def dropout(x: Tensor, share: float) -> Tensor:
    """Return x with this share of its values set to 0, the others scaled so that the mean stays.

    On a processor one random byte decides on each value, so that the share is rounded to a 256th: PyTorch's own dropout
    draws a number for each, which takes most of its time.
    """
    drop = round(share * _STEPS)
    if x.is_cuda or drop >= _STEPS:
        return functional.dropout(x, share)
    return x if drop <= 0 else _dropout(x, drop)


def _dropout(x: Tensor, drop: int) -> Tensor:
    words = torch.randint(-(2**63), 2**63 - 1, ((x.numel() + 7) // 8,))
    kept = words.view(torch.uint8)[: x.numel()].view(x.shape) >= drop
    return x * kept.to(x.dtype).mul_(_STEPS / (_STEPS - drop))


def logsumexp_of_candidates(states: Tensor, candidates: Tensor, corrections: Tensor, excluded: Tensor) -> Tensor:
    """Return (n,) log sum e^(h . v_i + correction_i) over the candidates i that aren't excluded, of each state h.

    states (n, d); candidates (c, d); corrections (c,), without a gradient; excluded (n, c) bool. About -10^4 where all are
    excluded.
    """
    found: Tensor = _LogSumExp.apply(states, candidates, corrections, excluded)
    return found


class _LogSumExp(Function):
    """The softmax is kept, and goes into two products on the way back; PyTorch's own goes over (n, c) values five times more."""

    @staticmethod
    def forward(ctx: Any, states: Tensor, candidates: Tensor, corrections: Tensor, excluded: Tensor) -> Tensor:
        logits = torch.addmm(corrections, states, candidates.T).masked_fill_(excluded, _NEVER)
        highest = logits.amax(dim=1)
        odds = torch.softmax(logits, dim=1)
        ctx.save_for_backward(states, candidates, odds)
        # The highest logit's probability is 1 over the sum of e^(logit - highest).
        return highest - odds.amax(dim=1).log()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None, None]:
        states, candidates, odds = ctx.saved_tensors
        gradient = gradient[:, None]
        return (odds @ candidates) * gradient, odds.T @ (states * gradient), None, None
