"""Embeddings of items by what they are, and of users by their items, in a few dimensions: what segments are made in."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from es_recsys.dataset import Interactions, ItemTable
from es_recsys.linear_algebra import truncated_svd
from es_recsys.models.types import HistoryBatch

__all__ = ["embed_items", "embed_users"]


def embed_items(
    data: Interactions, items: ItemTable | None, ids: NDArray[np.str_], dims: int, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Return item embeddings (n_items, <= dims) float32, rows of about length 1 or 0.

    They are categories (outermost and innermost), brand and content
    vectors side by side, reduced; what was liked by the same users where the catalogue has none of these."""
    from scipy import sparse

    blocks = [] if items is None else _content(items, np.searchsorted(ids, items.item_ids), len(ids), dims)
    if not blocks:
        blocks = [_liked_together(data, np.searchsorted(ids, data.item_ids), len(ids))]
    rows = _unit(sparse.hstack(blocks).tocsr())
    _, _, right = truncated_svd(rows, dims, rng)
    reduced = np.asarray(rows @ right)
    lengths = np.linalg.norm(reduced, axis=1, keepdims=True)
    return (reduced / np.where(lengths > 1e-9, lengths, np.inf)).astype(np.float32)


def embed_users(batch: HistoryBatch, tastes: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the signed mean of the items' rows by weight, (n, d) float64.

    It is of length 1 for one who likes one thing, near 0 where
    likes go everywhere or dislikes outweigh them."""
    users = np.repeat(np.arange(len(batch)), np.diff(batch.starts))
    weights = batch.weights.astype(np.float64)
    mass = np.bincount(users, weights=np.abs(weights), minlength=len(batch))
    products = (tastes[batch.items, column] * weights for column in range(tastes.shape[1]))
    sums = np.stack([np.bincount(users, weights=column, minlength=len(batch)) for column in products], axis=1)
    result: NDArray[np.float64] = sums / np.maximum(mass, 1e-12)[:, None]
    return result


def _content(items: ItemTable, item_idx: NDArray[np.int64], n: int, dims: int) -> list[Any]:
    """Return sparse blocks (n, any) of what the catalogue says, each row of length 1 or 0."""
    from scipy import sparse

    ends = [[path[0], "\0".join(path)] if len(path) > 1 else list(path) for path in items.categories]
    named = [_one_hot(values, item_idx, n) for values in (ends, [[brand] if brand else [] for brand in items.brands])]
    blocks = [_unit(block) for block in named if block is not None]
    for vectors in items.vectors.values():
        spread = np.zeros((n, min(dims, vectors.shape[1])), np.float32)
        spread[item_idx] = _reduced(vectors, dims)
        blocks.append(sparse.csr_matrix(spread))
    return blocks


def _reduced(vectors: NDArray[np.float32], dims: int) -> NDArray[np.float32]:
    """Return the vectors in their `dims` main directions; what lies beyond is what few items share."""
    _, directions = np.linalg.eigh((vectors.T @ vectors).astype(np.float64))
    reduced: NDArray[np.float32] = vectors @ directions[:, ::-1][:, :dims].astype(np.float32)
    return reduced


def _one_hot(values: list[list[str]], item_idx: NDArray[np.int64], n: int) -> Any:
    """Return the values one-hot, (n, different values) sparse; None without any."""
    from scipy import sparse

    codes = {value: code for code, value in enumerate(sorted({value for own in values for value in own}))}
    if not codes:
        return None
    rows = np.repeat(item_idx, [len(own) for own in values])
    columns = [codes[value] for own in values for value in own]
    return sparse.csr_matrix((np.ones(len(columns)), (rows, columns)), shape=(n, len(codes)))


def _liked_together(data: Interactions, item_idx: NDArray[np.int64], n: int) -> Any:
    """Return who liked an item, (n, users) sparse.

    Each user is at length 1, so that those who like all say little.
    """
    from scipy import sparse

    liked = data.weights > 0
    items, users = item_idx[data.items[liked]], data.users[liked]
    matrix = sparse.csr_matrix((np.ones(len(items)), (items, users)), shape=(n, len(data.user_ids)))
    matrix.data[:] = 1.0
    lengths = np.sqrt(np.maximum(np.bincount(matrix.indices, minlength=len(data.user_ids)), 1))
    return (matrix @ sparse.diags(1.0 / lengths)).tocsr()


def _unit(matrix: Any) -> Any:
    from scipy import sparse

    lengths = np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=1)).ravel())
    return (sparse.diags(1.0 / np.where(lengths > 0, lengths, 1.0)) @ matrix).tocsr()
