"""BSPM: a history is blurred over the graph of users and items, and then sharpened again."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar, Self

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from es_recsys.dataset import Interactions, ItemTable
from es_recsys.linear_algebra import truncated_svd
from es_recsys.models.base import Model, TrainingCallback, recency_space
from es_recsys.models.neighbours import by_liked, of_liked
from es_recsys.models.types import HistoryBatch, ranges
from es_recsys.sequences import UserSequences, cells, user_sequences

__all__ = ["BSPM", "BSPMConfig", "graph", "matrix_of", "paths", "walk", "walk_of_users"]

# Scores that a block of a batch holds at once.
_CELLS = 1 << 24
# Users, and items, whose scores are computed together: what they take stays in the processor's cache.
_WALKERS, _ITEMS = 32, 4_096
# Rounds of the subspace iteration: the cut lies where singular values are close to each other, so more change nothing.
_ROUNDS = 3


@dataclass(frozen=True, slots=True)
class BSPMConfig:
    """Settings of `BSPM`.

    factors: eigenvectors that are filtered one by one, and that the ideal low-pass filter lets through. low_pass: its
    weight beside the linear filter. sharpening: how long the result is sharpened, 0 for GF-CF (Shen et al. 2021). half_life,
    half_life_days: see `Neighbours`."""

    factors: int = 448
    low_pass: float = 0.5
    sharpening: float = 1.5
    half_life: float = math.inf
    half_life_days: float = math.inf


@dataclass(frozen=True, slots=True, eq=False)
class _Filter:
    """Coefficients of `BSPM`: walked and low for all frequencies, own and mixed (k,) for the first k."""

    walked: float
    low: float
    own: NDArray[np.float64]
    mixed: NDArray[np.float64]


class BSPM(Model):
    """Blurring-sharpening process over the graph of users and items.

    Choi, Hong, Park and Cho 2023, "Blurring-Sharpening Process Models for Collaborative Filtering", early merge: with
    R (n_users, n_items) normalised, P = R^T R, V (n_items, k) its first eigenvectors, D the items' degrees and a
    history of signed weights w (n_items,), older ones halved, one step of blurring, b = P w + low_pass * D^1/2 V V^T D^-1/2 w,
    then the heat equation run backwards, ds/dt = -P s from s = b, for the time `sharpening` = T, which is

        score = exp(-T P) b

    The paper takes steps of Euler or Runge and Kutta, each with as many passes over all interactions; here the k eigenvectors get
    exp(-T lambda) exactly, and the rest, whose eigenvalues are at most lambda_k, the one factor of the middle,
    exp(-T lambda_k / 2), so that the score is

        walked * P w  +  V (own * V^T w + mixed * V^T D^1/2 V u)  +  low * D^1/2 V u,      u = V^T D^-1/2 w

    with the coefficients of `_filter`. P w is summed over the sparse rows that the history meets and V is read once. k is at most
    a quarter of the items or users; all other settings concern the asking alone.
    """

    name: ClassVar[str] = "bspm"
    config_class: ClassVar[type] = BSPMConfig
    kind: ClassVar[str] = "neighbours"
    inference_params: ClassVar[frozenset[str]] = frozenset({"half_life", "half_life_days", "low_pass", "sharpening"})

    def fit(
        self, data: Interactions, rng: Generator, items: ItemTable | None = None, callback: TrainingCallback | None = None
    ) -> Self:
        """Decompose the graph; `rng` gives the directions that the decomposition sets out from."""
        arrays, degrees = graph(user_sequences(data))
        matrix = matrix_of(arrays)
        rank = max(1, min(self.config.factors, min(matrix.shape) // 4)) if min(matrix.shape) else 0
        _, values, vectors = truncated_svd(matrix, rank, rng, _ROUNDS)
        whole = values > 1e-6
        values, vectors = values[whole], vectors[:, whole]
        roots = np.sqrt(degrees)
        return self._set_learned(
            data.item_ids.tolist(),
            {
                **arrays,
                "eigenvalues": values**2,
                "vectors": np.ascontiguousarray(vectors, dtype=np.float32),
                "gram": (vectors.T @ (roots[:, None] * vectors)).astype(np.float32),
                "roots": roots.astype(np.float32),
            },
        )

    @classmethod
    def search_space(cls, ordered: bool, timed: bool) -> Mapping[str, tuple[Any, ...]]:
        """Return setting -> values worth trying."""
        return {
            **recency_space(ordered, timed),
            "sharpening": (0.0, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 5.0, 8.0),
            "low_pass": (0.0, 0.03, 0.1, 0.2, 0.3, 0.5, 0.8, 1.2),
            "factors": (32, 64, 128, 256, 448),
        }

    @classmethod
    def default_config(cls, ordered: bool, timed: bool) -> BSPMConfig:
        """Return the usual settings, with a short memory where order tells."""
        return BSPMConfig(half_life=4.0 if ordered else math.inf)

    def _filter(self, eigenvalues: NDArray[np.float64]) -> _Filter:
        """Return the coefficients of the filter.

        eigenvalues (k,) of P, largest first, at most 1."""
        low, time = self.config.low_pass, self.config.sharpening
        rest = math.exp(-time * float(eigenvalues[-1]) / 2.0) if len(eigenvalues) else 1.0
        # exp(-T P) = rest I + V diag(surplus) V^T, applied to both terms of b.
        surplus = np.exp(-time * eigenvalues) - rest
        return _Filter(rest, low * rest, eigenvalues * surplus, low * surplus)

    def score_idx(self, batch: HistoryBatch, item_idx: Sequence[NDArray[np.int64]]) -> list[NDArray[np.float32]]:
        """Return the score of each user at its own item_idx."""
        if len(batch) == 1:
            return [self._scores(batch, item_idx[0])]
        return super().score_idx(batch, item_idx)

    def scores_of_users(self, batch: HistoryBatch) -> Iterator[NDArray[np.float32]]:
        """Yield the scores of each user. The vectors are most of what is read: once for a block of users."""
        if len(batch) == 1:
            yield self._scores(batch, slice(None))
            return
        vectors = self._arrays["vectors"]
        users = max(1, _CELLS // max(len(self._arrays["user_starts"]), len(self._arrays["item_starts"])))
        for begin in range(0, len(batch), users):
            part = batch.some(begin, min(begin + users, len(batch)))
            weights = self._event_weights(part)
            mixed, low = self._sides(part, weights)
            scores = walk_of_users(self._arrays, part, weights)
            scores *= np.float32(self._filter(self._arrays["eigenvalues"]).walked)
            for start in range(0, scores.shape[1], _ITEMS):
                some = slice(start, start + _ITEMS)
                added = low @ vectors[some].T
                added *= self._arrays["roots"][some]
                added += mixed @ vectors[some].T
                scores[:, some] += added
            for user, row in enumerate(scores):
                yield of_liked(part.one(user), row)

    def _event_weights(self, batch: HistoryBatch) -> NDArray[np.float64]:
        return batch.recent_weights(self.config.half_life, self.config.half_life_days)

    def _all_scores(self, batch: HistoryBatch) -> NDArray[np.float32]:
        return self._scores(batch, slice(None))

    def _scores(self, batch: HistoryBatch, at: NDArray[np.int64] | slice) -> NDArray[np.float32]:
        """Return the scores of one user at some item_idx. The vectors are most of what is read, so only theirs are."""
        weights = self._event_weights(batch)
        spread, flat = (self._arrays["vectors"][at] @ np.concatenate(self._sides(batch, weights)).T).T
        walked = walk(self._arrays, batch.items, weights)[at].astype(np.float32)
        share = np.float32(self._filter(self._arrays["eigenvalues"]).walked)
        return of_liked(batch, np.asarray(share * walked + self._arrays["roots"][at] * flat + spread, np.float32))

    def _sides(self, batch: HistoryBatch, weights: NDArray[np.float64]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return what stands before V and before D^1/2 V for each user, (n, k) each. weights (m,): of all events."""
        vectors, how = self._arrays["vectors"], self._filter(self._arrays["eigenvalues"])
        both = np.stack([weights, weights / self._arrays["roots"][batch.items]])
        z, u = np.zeros((2, len(batch), vectors.shape[1]))
        for user, (begin, end) in enumerate(pairwise(batch.starts.tolist())):
            z[user], u[user] = both[:, begin:end] @ vectors[batch.items[begin:end]]
        # With numbers of 64 bits the whole of `gram` would be converted each time.
        mixed = how.own * z + how.mixed * (u.astype(np.float32) @ self._arrays["gram"])
        return mixed.astype(np.float32), (how.low * u).astype(np.float32)

    def _contributions(self, batch: HistoryBatch, item_idx: NDArray[np.int64]) -> NDArray[np.float64]:
        vectors, roots, how = self._arrays["vectors"], self._arrays["roots"], self._filter(self._arrays["eigenvalues"])
        there, met = vectors[item_idx].astype(np.float64), vectors[batch.items].astype(np.float64)
        kernel = how.walked * paths(self._arrays, batch.items, item_idx) + met @ (how.own * there).T
        low = (how.mixed * there) @ self._arrays["gram"] + how.low * roots[item_idx][:, None] * there
        kernel += (met @ low.T) / roots[batch.items][:, None]
        return by_liked(batch, kernel * self._event_weights(batch)[:, None])


Arrays = Mapping[str, NDArray[Any]]


def graph(seq: UserSequences) -> tuple[dict[str, NDArray[Any]], NDArray[np.float64]]:
    """Return the normalised graph as sparse rows from both sides, and the degrees of the items.

    R[u, i] / sqrt(d_u d_i), where R has the root of the weight of a user's strongest event on an item, and d_u, d_i are
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
    """Return the graph as a scipy matrix (n_users, n_items)."""
    from scipy import sparse

    shape = (len(arrays["user_starts"]) - 1, len(arrays["item_starts"]) - 1)
    return sparse.csr_matrix((arrays["user_values"], arrays["user_items"], arrays["user_starts"]), shape=shape)


def walk(arrays: Arrays, items: NDArray[np.int64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return R^T R w, (n_items,) float64, where w has `recommend` at `items`; only the rows that are met are read."""
    n_users, n_items = len(arrays["user_starts"]) - 1, len(arrays["item_starts"]) - 1
    at, sizes = ranges(arrays["item_starts"], items)
    met = _sums(arrays["item_users"][at], arrays["item_values"][at] * np.repeat(weights, sizes), n_users)
    users = np.flatnonzero(met)
    at, sizes = ranges(arrays["user_starts"], users)
    values = arrays["user_values"][at] * np.repeat(met[users], sizes)
    return _sums(arrays["user_items"][at], values, n_items)


def walk_of_users(arrays: Arrays, batch: HistoryBatch, weights: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return the same of each user of a batch, (n, n_items) float32; all rows are read, once for all of them."""
    from scipy import sparse

    n_users, n_items = len(arrays["user_starts"]) - 1, len(arrays["item_starts"]) - 1
    by_item = sparse.csr_matrix((arrays["item_values"], arrays["item_users"], arrays["item_starts"]), (n_items, n_users))
    histories = sparse.csr_matrix((weights.astype(np.float32), batch.items, batch.starts), (len(batch), n_items))
    found = np.empty((len(batch), n_items), np.float32)
    for begin in range(0, len(batch), _WALKERS):
        some = slice(begin, begin + _WALKERS)
        met = (histories[some] @ by_item).toarray()
        found[some] = (by_item @ np.ascontiguousarray(met.T)).T
    return found


def paths(arrays: Arrays, items: NDArray[np.int64], others: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return (R^T R)[i, j] for each of k items and each of t others, (k, t) float64."""
    users_of_item = np.zeros(len(arrays["user_starts"]) - 1)
    at, sizes = ranges(arrays["item_starts"], others)
    users, values, owners = arrays["item_users"][at], arrays["item_values"][at], np.repeat(np.arange(len(others)), sizes)
    found = np.zeros((len(items), len(others)))
    for row, item in enumerate(items.tolist()):
        own = slice(int(arrays["item_starts"][item]), int(arrays["item_starts"][item + 1]))
        users_of_item[arrays["item_users"][own]] = arrays["item_values"][own]
        found[row] = _sums(owners, values * users_of_item[users], len(others))
        users_of_item[arrays["item_users"][own]] = 0.0
    return found


def _sums(at: NDArray[Any], values: NDArray[Any], n: int) -> NDArray[np.float64]:
    return np.bincount(at, weights=values, minlength=n).astype(np.float64, copy=False)
