"""Items without events in models that learn from events alone: each stands where the items with events that are like it stand.

Kernel regression from content to what a model has learned (Nadaraya 1964, Watson 1964). With e(i) the content embedding of an
item (item_embeddings.py), a new item j is a mixture of the 20 items i with events that are most like it,

    a[j, i] proportional to max(e(j) . e(i), 0) ** 8,    summing to 1

A column or a factor v of a model is then v[j] = 0.5 * sum_i a[j, i] v[i]: less than of those that it is made of, so that what is
known goes before what is guessed. What a history with j in it leads to is the mixture itself.
"""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from es_recsys.dataset import Interactions, ItemTable
from es_recsys.models.item_embeddings import embed_items
from es_recsys.models.types import NewItems

__all__ = ["find_new_items"]

_DIMS, _NEAREST, _POWER = 128, 20, 8
_ROWS = 512
# New items times items with events that are compared: a minute of processor time. Beyond it the least liked are left out.
_CELLS = 4_000_000_000


def find_new_items(data: Interactions, items: ItemTable, rng: Generator) -> NewItems | None:
    """Return the items of the catalogue on which there is no positive event and that are like others; None for none."""
    from scipy import sparse

    ids = np.union1d(data.item_ids, items.item_ids)
    liked = np.zeros(len(ids), bool)
    liked[np.searchsorted(ids, data.item_ids[np.unique(data.items[data.weights > 0])])] = True
    catalogued = np.isin(ids, items.item_ids)
    if not (catalogued & ~liked).any() or not liked.any():
        return None
    embeddings = embed_items(data, items, ids, _DIMS, rng)
    there = embeddings.any(axis=1)
    new, known = np.flatnonzero(catalogued & ~liked & there), np.flatnonzero(liked & there)
    if not len(new) or not len(known):
        return None
    known = _most_liked(data, ids, known, max(_CELLS // len(new), _NEAREST))
    rows, columns, shares = [], [], []
    for begin in range(0, len(new), _ROWS):
        alike = np.maximum(embeddings[new[begin : begin + _ROWS]] @ embeddings[known].T, 0.0).astype(np.float64) ** _POWER
        nearest = np.argpartition(-alike, min(_NEAREST, len(known)) - 1, axis=1)[:, :_NEAREST]
        own = np.take_along_axis(alike, nearest, axis=1)
        total = own.sum(axis=1, keepdims=True)
        rows.append(np.repeat(np.arange(begin, begin + len(own)), own.shape[1]))
        columns.append(known[nearest].ravel())
        shares.append((own / np.where(total > 0.0, total, 1.0)).ravel())
    at = np.concatenate(rows), np.concatenate(columns)
    mixtures = sparse.csr_matrix((np.concatenate(shares), at), shape=(len(new), len(ids)))
    mixtures.eliminate_zeros()
    return NewItems(ids.tolist(), new, mixtures)


def _most_liked(data: Interactions, ids: NDArray[np.str_], known: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """Return the `most` items of `known` with the most positive events, ascending."""
    if len(known) <= most:
        return known
    counts = np.zeros(len(ids))
    counts[np.searchsorted(ids, data.item_ids)] = np.bincount(data.items[data.weights > 0], minlength=len(data.item_ids))
    return np.sort(known[np.argsort(-counts[known], kind="stable")[:most]])
