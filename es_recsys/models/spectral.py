"""What spectral filters share: a history is a signal on the graph of items, of which only some frequencies are let through."""

from __future__ import annotations

import abc
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from es_recsys.models.base import ScoredPlaces
from es_recsys.models.bipartite import column, graph, matrix_of, walk
from es_recsys.models.fitted import Fitted, top_of
from es_recsys.models.histories import Batch
from es_recsys.models.ids import ItemIds
from es_recsys.models.neighbours import by_liked, of_liked, recent_weights
from es_recsys.models.params import to_json
from es_recsys.models.sequences import sequences
from es_recsys.models.svd import truncated_svd
from es_recsys.models.watch import Watch
from es_recsys.types import Interactions, ItemTable

__all__ = ["Filter", "Spectral"]

# Scores that a block of a batch holds at once.
_CELLS = 1 << 24
# Rounds of the subspace iteration: the cut lies where singular values are close to each other, so more change nothing.
_ROUNDS = 3


@dataclass(frozen=True, slots=True, eq=False)
class Filter:
    """Coefficients of `Spectral`: walked and low for all frequencies, own and mixed (k,) for the first k."""

    walked: float
    low: float
    own: NDArray[np.float64]
    mixed: NDArray[np.float64]


class Spectral(Fitted):
    """With R (n_users, n_items) normalised (bipartite.py), P = R^T R, V (n_items, k) its first eigenvectors and D the items'
    degrees, a history with signed weights w (n_items,), older ones halved, scores

        walked * P w  +  V (own * V^T w + mixed * V^T D^1/2 V u)  +  low * D^1/2 V u,      u = V^T D^-1/2 w

    P w is summed over the sparse rows that the history meets and V is read once, so the score is exact. A child gives
    the `Filter`; its config has factors (k, at most a quarter of the items or users), half_life and half_life_days
    (see `Neighbours`). All but k concerns the asking alone.
    """

    kind: ClassVar[str] = "neighbours"

    def fit(
        self, data: Interactions, rng: np.random.Generator, items: ItemTable | None = None, watch: Watch | None = None
    ) -> Self:
        """Decomposes the graph; `rng` gives the directions that the decomposition sets out from."""
        arrays, degrees = graph(sequences(data))
        matrix = matrix_of(arrays)
        rank = max(1, min(self.config.factors, min(matrix.shape) // 4)) if min(matrix.shape) else 0
        _, values, vectors = truncated_svd(matrix, rank, rng, _ROUNDS)
        whole = values > 1e-6
        values, vectors = values[whole], vectors[:, whole]
        roots = np.sqrt(degrees)
        self._ids, self._fingerprint = ItemIds.of(data.item_ids.tolist()), None
        self._arrays = {
            **arrays,
            "eigenvalues": values**2,
            "vectors": np.ascontiguousarray(vectors, dtype=np.float32),
            "gram": (vectors.T @ (roots[:, None] * vectors)).astype(np.float32),
            "roots": roots.astype(np.float32),
        }
        return self

    @abc.abstractmethod
    def _filter(self, eigenvalues: NDArray[np.float64]) -> Filter:
        """eigenvalues (k,) of P, largest first, at most 1."""

    def top(self, batch: Batch, n: int, exclude: Sequence[NDArray[np.int64]]) -> list[ScoredPlaces]:
        """The n best of each user, through products of a block of users at a time."""
        if len(batch) == 1:
            return super().top(batch, n, exclude)
        return [top_of(scores, n, exclude[user]) for user, scores in enumerate(self._each(batch))]

    def scores_at(self, batch: Batch, places: Sequence[NDArray[np.int64]]) -> list[NDArray[np.float32]]:
        """The score of each user at its own places."""
        if len(batch) == 1:
            return [self._scores(batch, places[0])]
        return [scores[places[user]] for user, scores in enumerate(self._each(batch))]

    def _each(self, batch: Batch) -> Iterator[NDArray[np.float32]]:
        from scipy import sparse

        matrix, vectors, roots = matrix_of(self._arrays), self._arrays["vectors"], self._arrays["roots"]
        how = self._filter(self._arrays["eigenvalues"])
        back, n = matrix.T.tocsr(), matrix.shape[1]
        users = max(1, _CELLS // max(n, 1))
        for begin in range(0, len(batch), users):
            part = batch.some(begin, min(begin + users, len(batch)))
            weights = self._event_weights(part).astype(np.float32)
            signal = sparse.csr_matrix((weights, part.items, part.starts), shape=(len(part), n))
            flat = sparse.csr_matrix((weights / roots[part.items], part.items, part.starts), shape=signal.shape)
            scores = ((signal @ back) @ matrix).toarray()
            scores *= how.walked
            z, u = signal @ vectors, flat @ vectors
            scores += (how.own * z + how.mixed * (u @ self._arrays["gram"])).astype(np.float32) @ vectors.T
            scores += (np.float32(how.low) * u @ vectors.T) * roots
            for user, row in enumerate(scores):
                yield of_liked(part.one(user), row)

    def _event_weights(self, batch: Batch) -> NDArray[np.float64]:
        return recent_weights(batch, self.config.half_life, self.config.half_life_days)

    def _all_scores(self, batch: Batch) -> NDArray[np.float32]:
        return self._scores(batch, slice(None))

    def _scores(self, batch: Batch, at: NDArray[np.int64] | slice) -> NDArray[np.float32]:
        """Of one user, the scores at some places. The vectors are most of what is read, so only theirs are."""
        vectors, roots = self._arrays["vectors"], self._arrays["roots"]
        if not len(batch.items):
            return np.zeros(len(roots[at]), np.float32)
        weights = self._event_weights(batch)
        how = self._filter(self._arrays["eigenvalues"])
        met = vectors[batch.items]
        z, u = weights @ met, (weights / roots[batch.items]) @ met
        sides = np.stack([how.own * z + how.mixed * (u @ self._arrays["gram"]), how.low * u])
        spread = vectors[at] @ sides.T.astype(np.float32)
        scores = how.walked * walk(self._arrays, batch.items, weights)[at] + spread[:, 0] + roots[at] * spread[:, 1]
        return of_liked(batch, scores.astype(np.float32))

    def _shares(self, batch: Batch, place: int) -> NDArray[np.float64]:
        if not len(batch.items):
            return np.zeros(0)
        vectors, roots, how = self._arrays["vectors"], self._arrays["roots"], self._filter(self._arrays["eigenvalues"])
        there, met = vectors[place], vectors[batch.items]
        kernel = how.walked * column(self._arrays, batch.items, place) + met @ (how.own * there)
        low = self._arrays["gram"] @ (how.mixed * there) + how.low * roots[place] * there
        kernel += (met @ low) / roots[batch.items]
        return by_liked(batch, kernel * self._event_weights(batch))

    def _params(self) -> dict[str, Any]:
        return to_json(asdict(self.config))

    @classmethod
    @abc.abstractmethod
    def _from_params(cls, params: Mapping[str, Any]) -> Self: ...
