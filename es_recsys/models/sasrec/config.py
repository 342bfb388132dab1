"""Settings of SASRec."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["SASRecConfig"]


@dataclass(frozen=True, slots=True)
class SASRecConfig:
    """Settings of SASRec.

    dims: of the vectors. blocks, heads: of attention. max_length: events of a sequence that are read, the newest. ordered:
    whether the order of events tells anything; if not, it is shuffled. dropout: also of the inputs; much of it on sparse
    data. negatives: candidates drawn evenly from all items, beside those of the batch. batch_events: events a step.
    id_dropout: share of items with content whose id embedding is dropped in a step. learning_rate, weight_decay: of AdamW.
    epochs: how many at most. patience: epochs without a gain on the validation users after which training stops, where the
    callback validates. validation_users: how many users' last items are held out for that, at most. refit: whether all data
    are then trained on for the best number of epochs. dislike_weight: what the mean disliked item takes off a user's vector.
    """

    dims: int = 256
    blocks: int = 1
    heads: int = 2
    max_length: int = 50
    ordered: bool = True
    dropout: float = 0.5
    negatives: int = 512
    batch_events: int = 2_048
    id_dropout: float = 0.2
    learning_rate: float = 2e-3
    weight_decay: float = 0.1
    epochs: int = 40
    patience: int = 3
    validation_users: int = 4_000
    refit: bool = True
    dislike_weight: float = 0.5
