"""Settings of the alignment of texts and pictures."""

from __future__ import annotations

import math
from dataclasses import dataclass

__all__ = ["AlignedConfig"]


@dataclass(frozen=True, slots=True)
class AlignedConfig:
    """Settings of `Aligned`.

    dims: of the common space. temperature: initial temperature of the softmax over cosines (it is learned). dropout: share of
    the encoders' dimensions dropped in a step. learning_rate, weight_decay: of AdamW. batch_size: pairs a step. epochs,
    patience: at most so many, and so many without a gain on the validation pairs (a tenth, at most `validation_pairs`).
    half_life: after how many later events one of the history counts half; half_life_days: the same in days."""

    dims: int = 128
    temperature: float = 0.07
    dropout: float = 0.1
    learning_rate: float = 1e-3
    weight_decay: float = 0.01
    batch_size: int = 128
    epochs: int = 60
    patience: int = 10
    validation_pairs: int = 500
    half_life: float = 10.0
    half_life_days: float = math.inf
