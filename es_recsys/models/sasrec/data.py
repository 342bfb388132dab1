"""What SASRec learns from: the sequences of what users liked, in batches, and vectors that its items begin with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from es_recsys.dataset import Interactions
from es_recsys.linear_algebra import truncated_svd
from es_recsys.models.cooccurrence import Counting, UserSequences, count, user_sequences

__all__ = ["batches", "content_projection", "initial_vectors", "training_sequences"]

_KEEP = 300
_NOISE = 0.1
_SELF = 0.3
_RIDGE = 0.1


def training_sequences(data: Interactions, ordered: bool, rng: np.random.Generator) -> UserSequences:
    """Return what each user liked, oldest first; in a random order where order tells nothing."""
    sequences = user_sequences(data)
    if ordered:
        return sequences
    order = np.lexsort((rng.random(len(sequences.items)), sequences.users))
    return replace(sequences, items=sequences.items[order], strengths=sequences.strengths[order])


def batches(
    sequences: UserSequences, max_length: int, batch_events: int, rng: np.random.Generator
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
    """Yield batches of windows of up to max_length + 1 events, in which each event is a target once.

    Each batch has items (b, l) int64, filled
    with -1 after the end, and strengths (b, l) float32.

    Windows are cut at random, batched with others of about their length, about `batch_events` events a batch, in random order.
    """
    begins, ends = _windows(sequences, max_length, rng)
    sizes = ends - begins
    # A little noise, so that windows meet others every time; those of one length would never.
    order = np.argsort(sizes + 2.0 * rng.random(len(sizes)), kind="stable")
    cuts = _cuts(sizes[order], batch_events)
    for batch in rng.permutation(len(cuts) - 1).tolist():
        chosen = order[cuts[batch] : cuts[batch + 1]]
        at = begins[chosen, None] + np.arange(int(sizes[chosen].max()))
        inside = at < ends[chosen, None]
        at = np.where(inside, at, 0)
        yield np.where(inside, sequences.items[at], -1), np.where(inside, sequences.strengths[at], np.float32(0.0))


def _windows(sequences: UserSequences, max_length: int, rng: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return where the windows begin and end.

    Neighbours share an event: the last target of one is the first input of the
    next."""
    lengths = np.diff(sequences.starts)
    short = np.flatnonzero((lengths >= 2) & (lengths <= max_length + 1))
    begins, ends = [sequences.starts[short]], [sequences.starts[short + 1]]
    for user in np.flatnonzero(lengths > max_length + 1).tolist():
        begin, end = int(sequences.starts[user]), int(sequences.starts[user + 1])
        cuts = np.arange(begin + int(rng.integers(1, max_length + 1)), end - 1, max_length)
        cuts = np.concatenate([[begin], cuts, [end - 1]])
        cuts = cuts[np.concatenate([[True], np.diff(cuts) > 0])]
        begins.append(cuts[:-1])
        ends.append(cuts[1:] + 1)
    return np.concatenate(begins), np.concatenate(ends)


def _cuts(sizes: NDArray[np.int64], batch_events: int) -> list[int]:
    cuts, begin = [0], 0
    longest = np.maximum.accumulate(sizes) if len(sizes) else sizes
    for row, size in enumerate(longest.tolist()):
        if (row + 1 - begin) * size >= batch_events:
            begin = row + 1
            cuts.append(begin)
    if cuts[-1] < len(sizes):
        cuts.append(len(sizes))
    return cuts


def initial_vectors(sequences: UserSequences, dims: int, ordered: bool, rng: np.random.Generator) -> NDArray[np.float32]:
    """Return vectors that items begin with (n_items, dims) float32, of length 1.

    They are U S of the truncated singular value decomposition U S V^T of

        D^(-1/2) C D^(-1/2) + .3 I

    where C counts the pairs within ten events (within a user's whole history, where order tells nothing) and D has its row
    sums, with a little noise; random rows for items without a pair. The diagonal keeps the directions in which neighbours are
    opposites out of the first ones. On sparse data this is most of what the training would otherwise take its first epochs,
    and its overfitting, to find.
    """
    from scipy import sparse

    n_items = len(sequences.popularity)
    how = Counting(10, 0.8, 1.0, 0.0) if ordered else Counting(None, 1.0, 1.0, 0.5)
    rows = count(sequences, how, _KEEP, 0.5)
    vectors = np.zeros((n_items, dims))
    if len(rows.indices):
        counts = sparse.csr_matrix((rows.data, rows.indices, rows.indptr), shape=(n_items, n_items))
        scale = np.asarray(counts.sum(axis=1)).ravel()
        scale = sparse.diags(np.where(scale > 0, scale, 1.0) ** -0.5)
        near = scale @ (counts + counts.T) @ scale * 0.5 + _SELF * sparse.eye(n_items)
        left, values, _ = truncated_svd(near.tocsr(), dims, rng)
        # An item without a pair is only like itself.
        vectors[:, : len(values)] = left * values * (np.diff(rows.indptr) > 0)[:, None]
    vectors = _unit(vectors) + rng.normal(0.0, _NOISE * dims**-0.5, vectors.shape)
    return _unit(vectors).astype(np.float32)


def content_projection(
    vectors: NDArray[np.float32], content: NDArray[np.float32], known: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """Return the projection P (d, c) float32 of content to vectors.

    Content (n, c) P^T comes close to the vectors (n, d) of the items that are known:
    ridge regression, its penalty a tenth of the mean variance of a column. So an item without events has a vector to begin
    with."""
    rows = content[known].astype(np.float64)
    gram = rows.T @ rows
    gram[np.diag_indices_from(gram)] += max(_RIDGE * np.trace(gram) / max(len(gram), 1), 1e-12)
    return np.ascontiguousarray(np.linalg.solve(gram, rows.T @ vectors[known]).T, np.float32)


def _unit(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    result: NDArray[np.float64] = rows / np.where(lengths > 1e-12, lengths, 1.0)
    return result
