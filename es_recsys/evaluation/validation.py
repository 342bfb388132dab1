"""A split as the models' own trials read it."""

from __future__ import annotations

import numpy as np

from es_recsys.evaluation.questions import Split
from es_recsys.models.histories import HistoryBatch
from es_recsys.models.ids import ItemIds
from es_recsys.models.slices import HoldoutSplit

__all__ = ["slice_of"]


def slice_of(split: Split) -> HoldoutSplit:
    """The same questions in places of the training's items; those whose right answers it doesn't know are left out."""
    ids = ItemIds.of(split.train.item_ids.tolist())
    known, targets, histories = [], [], []
    for question in split.questions:
        wanted = ids.find(sorted(question.grades))
        if (wanted >= 0).any():
            seen = ids.find(sorted(question.known))
            known.append(seen[seen >= 0].astype(np.int64))
            targets.append(wanted[wanted >= 0].astype(np.int64))
            histories.append(question.history)
    return HoldoutSplit(split.kind, split.train, HistoryBatch.of(histories, ids), tuple(known), tuple(targets))
