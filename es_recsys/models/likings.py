"""What users like: the distinct items of their events with one strength each."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from es_recsys.models.cooccurrence import Rows
from es_recsys.models.histories import HistoryBatch
from es_recsys.types import Interactions

__all__ = ["asked_likings", "likings", "pack", "ranks", "select", "unpack"]


def likings(data: Interactions, keep: int) -> tuple[Rows, NDArray[np.int64]]:
    """Of each user the newest `keep` items that are liked on balance, by their last event, oldest first, with the root of
    the sum of the events' weights; and (n_items,) int64 how many users like each item."""
    n_items = max(len(data.item_ids), 1)
    cell = data.users.astype(np.int64) * n_items + data.items
    cell, inverse = np.unique(cell, return_inverse=True)
    net = np.bincount(inverse, weights=data.weights, minlength=len(cell))
    last = np.zeros(len(cell), np.int64)
    np.maximum.at(last, inverse, np.arange(len(data.items)))
    liked = np.flatnonzero(net > 0)
    # Events are sorted by user, so their order is that of the users, too.
    liked = liked[np.argsort(last[liked], kind="stable")]
    users, items = cell[liked] // n_items, (cell[liked] % n_items).astype(np.int32)
    popularity = np.bincount(items, minlength=len(data.item_ids))
    starts = np.searchsorted(users, np.arange(len(data.user_ids) + 1))
    recent = ranks(starts) < keep
    kept = np.concatenate([[0], np.cumsum(recent)])[starts].astype(np.int64)
    return Rows(kept, items[recent], np.sqrt(net[liked][recent]).astype(np.float32)), popularity


def asked_likings(batch: HistoryBatch) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The distinct items of one user, by their last event, oldest first, with the signed root of the sum of the events'
    weights; items that cancel out are left out."""
    items, first, inverse = np.unique(batch.items[::-1], return_index=True, return_inverse=True)
    net = np.bincount(inverse, weights=batch.weights[::-1], minlength=len(items))
    order = np.argsort(-first, kind="stable")
    order = order[net[order] != 0.0]
    return items[order], np.sign(net[order]) * np.sqrt(np.abs(net[order]))


def ranks(starts: NDArray[np.int64]) -> NDArray[np.float64]:
    """(m,) float64 how many entries follow each in its row; 0 for the last."""
    following = np.repeat(starts[1:], np.diff(starts)) - 1 - np.arange(starts[-1])
    return following.astype(np.float64)


def select(rows: Rows, places: NDArray[np.int64]) -> Rows:
    """The rows at `places`, in their order."""
    sizes = (rows.starts[1:] - rows.starts[:-1])[places]
    starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    at = np.arange(starts[-1]) + np.repeat(rows.starts[places] - starts[:-1], sizes)
    return Rows(starts, rows.items[at], rows.values[at])


def pack(items: NDArray[np.int32], strengths: NDArray[np.float32]) -> dict[str, str]:
    """One row as JSON values: base64 of little-endian int32 and float32, a tenth of the time to read of lists of numbers."""
    columns = {"liked": items.astype("<i4"), "strengths": strengths.astype("<f4")}
    return {name: base64.b64encode(column.tobytes()).decode() for name, column in columns.items()}


def unpack(row: Mapping[str, Any]) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """What `pack` was given."""
    return (
        np.frombuffer(base64.b64decode(row["liked"]), "<i4").astype(np.int32, copy=False),
        np.frombuffer(base64.b64decode(row["strengths"]), "<f4").astype(np.float32, copy=False),
    )
