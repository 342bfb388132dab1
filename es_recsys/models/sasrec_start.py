"""Where the item embeddings of SASRec begin: in a factorisation of what stands near what."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from es_recsys.models.cooccurrence import Counting, count
from es_recsys.models.sasrec_windows import Lines
from es_recsys.models.sequences import Sequences
from es_recsys.models.svd import truncated_svd

__all__ = ["said_by_content", "start_vectors"]

_KEEP = 300
_NOISE = 0.1
_SELF = 0.3
_RIDGE = 0.1


def start_vectors(of: Lines, n_items: int, dims: int, ordered: bool, rng: np.random.Generator) -> NDArray[np.float32]:
    """(n_items, dims) float32 unit rows: U S of the truncated singular value decomposition U S V^T of

        D^(-1/2) C D^(-1/2) + .3 I

    where C counts the pairs within ten events (within a user's whole history, where order tells nothing) and D has its row
    sums, with a little noise; random rows for items without a pair. The diagonal keeps the directions in which neighbours are
    opposites out of the first ones. On sparse data this is most of what the training would otherwise take its first epochs,
    and its overfitting, to find.
    """
    from scipy import sparse

    seq = Sequences(
        np.repeat(np.arange(len(of)), np.diff(of.starts)),
        of.items,
        of.strengths,
        np.zeros(len(of.items)),
        np.diff(of.starts),
        of.popularity(n_items).astype(np.float64),
    )
    how = Counting(10, 0.8, 1.0, 0.0) if ordered else Counting(None, 1.0, 1.0, 0.5)
    rows = count(seq, how, _KEEP, 0.5)
    vectors = np.zeros((n_items, dims))
    if len(rows.items):
        counts = sparse.csr_matrix((rows.values, rows.items, rows.starts), shape=(n_items, n_items))
        scale = np.asarray(counts.sum(axis=1)).ravel()
        scale = sparse.diags(np.where(scale > 0, scale, 1.0) ** -0.5)
        near = scale @ (counts + counts.T) @ scale * 0.5 + _SELF * sparse.eye(n_items)
        left, values, _ = truncated_svd(near.tocsr(), dims, rng)
        # An item without a pair is only like itself.
        vectors[:, : len(values)] = left * values * (np.diff(rows.starts) > 0)[:, None]
    vectors = _unit(vectors) + rng.normal(0.0, _NOISE * dims**-0.5, vectors.shape)
    return _unit(vectors).astype(np.float32)


def said_by_content(vectors: NDArray[np.float32], content: NDArray[np.float32], known: NDArray[np.bool_]) -> NDArray[np.float32]:
    """(d, c) float32 P, with which content (n, c) P^T comes close to the vectors (n, d) of the items that are known: ridge
    regression, its penalty a tenth of the mean variance of a column. So an item without events has a place to begin with."""
    rows = content[known].astype(np.float64)
    gram = rows.T @ rows
    gram[np.diag_indices_from(gram)] += max(_RIDGE * np.trace(gram) / max(len(gram), 1), 1e-12)
    return np.ascontiguousarray(np.linalg.solve(gram, rows.T @ vectors[known]).T, np.float32)


def _unit(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    result: NDArray[np.float64] = rows / np.where(lengths > 1e-12, lengths, 1.0)
    return result
