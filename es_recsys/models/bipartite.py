"""The graph of users and items as sparse rows from both sides, and the two steps from items over users to items."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from es_recsys.models.sequences import UserSequences, cells

__all__ = ["column", "graph", "matrix_of", "ranges", "walk"]

Arrays = Mapping[str, NDArray[Any]]


def graph(seq: UserSequences) -> tuple[dict[str, NDArray[Any]], NDArray[np.float64]]:
    """R[u, i] / sqrt(d_u d_i), where R has the root of the weight of a user's strongest event on an item, and d_u, d_i are
    the sums of its row and its column; then the d_i (n_items,), 1 for an item without events.

    By user as user_starts (n_users + 1,) int64, user_items (m,) int32, user_values (m,) float32; by item alike.
    """
    from scipy import sparse

    n_users, n_items = len(seq.lengths), len(seq.popularity)
    users, items, strengths = cells(seq, seq.strengths.astype(np.float64))
    of_user = np.bincount(users, weights=strengths, minlength=n_users)
    of_item = np.bincount(items, weights=strengths, minlength=n_items)
    values = (strengths / np.sqrt(of_user[users] * of_item[items])).astype(np.float32)
    starts = np.concatenate([[0], np.cumsum(np.bincount(users, minlength=n_users))])
    by_item = sparse.csr_matrix((values, items, starts), shape=(n_users, n_items)).tocsc()
    arrays: dict[str, NDArray[Any]] = {
        "user_starts": starts,
        "user_items": items.astype(np.int32),
        "user_values": values,
        "item_starts": by_item.indptr.astype(np.int64),
        "item_users": by_item.indices.astype(np.int32),
        "item_values": by_item.data,
    }
    return arrays, np.where(of_item > 0, of_item, 1.0)


def matrix_of(arrays: Arrays) -> Any:
    """The graph as a scipy matrix (n_users, n_items)."""
    from scipy import sparse

    shape = (len(arrays["user_starts"]) - 1, len(arrays["item_starts"]) - 1)
    return sparse.csr_matrix((arrays["user_values"], arrays["user_items"], arrays["user_starts"]), shape=shape)


def walk(arrays: Arrays, items: NDArray[np.int64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n_items,) float64 R^T R w, where w has `recommend` at `items`; only the rows that are met are read."""
    n_users, n_items = len(arrays["user_starts"]) - 1, len(arrays["item_starts"]) - 1
    at, sizes = ranges(arrays["item_starts"], items)
    met = _sums(arrays["item_users"][at], arrays["item_values"][at] * np.repeat(weights, sizes), n_users)
    users = np.flatnonzero(met)
    at, sizes = ranges(arrays["user_starts"], users)
    values = arrays["user_values"][at] * np.repeat(met[users], sizes)
    return _sums(arrays["user_items"][at], values, n_items)


def column(arrays: Arrays, items: NDArray[np.int64], place: int) -> NDArray[np.float64]:
    """(k,) float64 (R^T R)[i, place] for each of k items."""
    own = slice(int(arrays["item_starts"][place]), int(arrays["item_starts"][place + 1]))
    users = np.zeros(len(arrays["user_starts"]) - 1)
    users[arrays["item_users"][own]] = arrays["item_values"][own]
    at, sizes = ranges(arrays["item_starts"], items)
    values = arrays["item_values"][at] * users[arrays["item_users"][at]]
    return _sums(np.repeat(np.arange(len(items)), sizes), values, len(items))


def ranges(starts: NDArray[np.int64], rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where the entries of these rows are, one row after the other, and how many each has."""
    begins = starts[rows]
    sizes = starts[rows + 1] - begins
    before = np.cumsum(sizes) - sizes
    return np.arange(int(sizes.sum())) + np.repeat(begins - before, sizes), sizes


def _sums(at: NDArray[Any], values: NDArray[Any], n: int) -> NDArray[np.float64]:
    return np.bincount(at, weights=values, minlength=n).astype(np.float64, copy=False)
