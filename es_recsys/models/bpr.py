"""Bayesian personalised ranking by matrix factorisation, with any history folded in on the fly."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from es_recsys.blas import on_one_thread
from es_recsys.errors import MissingExtra, ModelError
from es_recsys.models.callback import TrainingCallback
from es_recsys.models.folded import FactorModel
from es_recsys.models.histories import HistoryBatch
from es_recsys.models.ids import ItemIds
from es_recsys.models.params import from_json, to_json
from es_recsys.models.ranking import decay
from es_recsys.types import Interactions, ItemTable

__all__ = ["BPR", "BPRConfig"]


@dataclass(frozen=True, slots=True)
class BPRConfig:
    """factors: dimensions besides the bias. learning_rate, regularization, iterations: of the gradient descent; an
    iteration draws as many pairs as there are liked items of users. half_life: after how many later events one of a history
    that is folded in weighs half (the training weighs all alike); half_life_days: the same in days."""

    factors: int = 64
    learning_rate: float = 0.1
    regularization: float = 0.02
    iterations: int = 100
    half_life: float = math.inf
    half_life_days: float = math.inf


class BPR(FactorModel):
    """Item vectors y_i (n_items, factors + 1) float32 by Rendle et al. 2009 ("BPR: Bayesian personalized ranking from
    implicit feedback"), from the library implicit: so that ln sigma(x . (y_i - y_j)) is high for liked items i and others
    j, which are drawn by their popularity. The last dimension is the item's bias b_i, and 1 in every user vector. Only
    differences count, so the mean drawn item is made the origin: an item above 0 is liked better than it.

    A history with signed weights w_h is folded in by maximising the same criterion for its user, the items fixed, with
    the sigmoid's logarithm to the second order about 0, -ln 2 + z / 2 - z^2 / 8, and its mean over all j instead of
    draws (S the covariance of the drawn y_j, c theirs with the bias, both without the last dimension):

        A = sum_h |w_h| ((y_h y_h^T + S) / 4 + regularization I)
        x = A^-1 sum_h (w_h / 2 y_h - |w_h| / 4 (b_h y_h + c))

    A dislike is a pair the other way round: every j is liked better. x doesn't depend on the scale of the weights.
    """

    name: ClassVar[str] = "bpr"
    field: ClassVar[str | None] = "bpr_vector"
    inference_params: ClassVar[frozenset[str]] = frozenset({"half_life", "half_life_days"})

    def __init__(self, config: BPRConfig | None = None) -> None:
        self.config = config or BPRConfig()

    def fit(
        self, data: Interactions, rng: Generator, items: ItemTable | None = None, callback: TrainingCallback | None = None
    ) -> Self:
        """Factorises what each user likes on balance, on one thread, as only then a seed repeats. Raises MissingExtra
        without the package implicit, ModelError where there is nothing to learn."""
        n_users, n_items = len(data.user_ids), len(data.item_ids)
        cell, inverse = np.unique(data.users.astype(np.int64) * n_items + data.items, return_inverse=True)
        cell = cell[np.bincount(inverse, weights=data.weights, minlength=len(cell)) > 0]
        if not len(cell):
            raise ModelError("There are no positive events to train bpr on.", "Load events first: `es-recsys events load FILE`.")
        users, liked = cell // n_items, cell % n_items
        vectors = self._factorise(users, liked, (n_users, n_items), int(rng.integers(2**31)), callback or TrainingCallback())
        drawn = np.bincount(liked, minlength=n_items) / len(liked)
        vectors = np.where(drawn[:, None] > 0, vectors - drawn @ vectors, 0.0)
        self._ids, self._fingerprint = ItemIds.of(data.item_ids.tolist()), None
        self._arrays = {"vectors": vectors.astype(np.float32), "covariance": (vectors.T * drawn) @ vectors}
        return self

    @classmethod
    def search_space(cls, ordered: bool, timed: bool) -> Mapping[str, tuple[Any, ...]]:
        """Setting -> values worth trying; what only concerns the asking comes first, as it needs no new training."""
        recency: dict[str, tuple[Any, ...]] = {"half_life": (1.0, 2.0, 4.0, 8.0, 20.0, math.inf)} if ordered else {}
        if timed:
            recency["half_life_days"] = (3.0, 10.0, 30.0, 90.0, math.inf)
        return {
            **recency,
            "regularization": (0.005, 0.01, 0.02, 0.04),
            "learning_rate": (0.05, 0.1, 0.2),
            "iterations": (50, 100, 200),
            "factors": (32, 64, 128),
        }

    def _users(self, batch: HistoryBatch) -> NDArray[np.float32]:
        weights = self._event_weights(batch)
        users = np.zeros((len(batch), self.item_vectors.shape[1]), np.float32)
        for user in range(len(batch)):
            part = slice(int(batch.starts[user]), int(batch.starts[user + 1]))
            factors, bias, signed = self._of(batch.items[part], weights[part])
            if not (signed > 0).any():
                continue
            pull = _pull(factors, bias, signed, self._arrays["covariance"])
            users[user, :-1] = on_one_thread(self._solved, factors, signed, pull)
            users[user, -1] = 1.0
        return users

    def _of(
        self, items: NDArray[np.int64], weights: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Factors (k, d), biases (k,) and total weights (k,) of the events on items that have a vector."""
        distinct, inverse = np.unique(items, return_inverse=True)
        total = np.bincount(inverse, weights=weights, minlength=len(distinct))
        rows = self._arrays["vectors"][distinct].astype(np.float64)
        known = rows.any(axis=1) & (total != 0)
        return rows[known, :-1], rows[known, -1], total[known]

    def _solved(
        self, factors: NDArray[np.float64], weights: NDArray[np.float64], right: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        size = np.abs(weights)
        spread = 0.25 * self._arrays["covariance"][:-1, :-1] + self.config.regularization * np.eye(factors.shape[1])
        return np.linalg.solve(0.25 * (factors.T * size) @ factors + size.sum() * spread, right)

    def _event_weights(self, batch: HistoryBatch) -> NDArray[np.float64]:
        result: NDArray[np.float64] = (
            batch.weights * decay(batch.places, self.config.half_life) * decay(batch.ages, self.config.half_life_days)
        )
        return result

    def _shares(self, batch: HistoryBatch, place: int) -> NDArray[np.float64]:
        # x . y_j is a sum over the events: w_h / 2 y_h^T A^-1 y_j, besides what the biases take off.
        weights = self._event_weights(batch)
        factors, _, signed = self._of(batch.items, weights)
        if not (signed > 0).any():
            return np.zeros(len(batch.items))
        target = self._arrays["vectors"][place, :-1].astype(np.float64)
        towards = on_one_thread(self._solved, factors, signed, target)
        rows = self._arrays["vectors"][batch.items, :-1].astype(np.float64)
        shares: NDArray[np.float64] = np.maximum(weights, 0.0) / 2.0 * (rows @ towards)
        return shares

    def _factorise(
        self, users: NDArray[np.int64], items: NDArray[np.int64], shape: tuple[int, int], seed: int, callback: TrainingCallback
    ) -> NDArray[np.float64]:
        try:
            from implicit.cpu.bpr import BayesianPersonalizedRanking
        except ImportError as error:
            raise MissingExtra("implicit", "train") from error
        from scipy import sparse

        # More threads write to the same factors without waiting for each other, and no two runs would be alike.
        model = BayesianPersonalizedRanking(
            factors=self.config.factors,
            learning_rate=self.config.learning_rate,
            regularization=self.config.regularization,
            iterations=self.config.iterations,
            num_threads=1,
            random_state=seed,
        )
        matrix = sparse.csr_matrix((np.ones(len(users), np.float32), (users, items)), shape=shape)
        model.fit(matrix, show_progress=False, callback=lambda done, *_: callback.part(done + 1, self.config.iterations))
        return np.asarray(model.item_factors, np.float64)

    def _params(self) -> dict[str, Any]:
        return to_json(asdict(self.config))

    @classmethod
    def _from_params(cls, params: Mapping[str, Any]) -> Self:
        return cls(BPRConfig(**from_json(params)))


def _pull(
    factors: NDArray[np.float64], bias: NDArray[np.float64], weights: NDArray[np.float64], covariance: NDArray[np.float64]
) -> NDArray[np.float64]:
    size = np.abs(weights)
    result: NDArray[np.float64] = (weights / 2.0 - size * bias / 4.0) @ factors - size.sum() / 4.0 * covariance[:-1, -1]
    return result
