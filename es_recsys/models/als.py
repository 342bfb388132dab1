"""Implicit-feedback matrix factorisation by alternating least squares, with any history folded in on the fly."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from es_recsys.blas import on_one_thread, one_thread
from es_recsys.dataset import Interactions, ItemTable
from es_recsys.errors import MissingExtra, ModelError
from es_recsys.models.base import FactorModel, TrainingCallback
from es_recsys.models.confidence import Confidence, idf
from es_recsys.models.types import NEW_ITEM_DISCOUNT, HistoryBatch, NewItems, decay

__all__ = ["ALS", "ALSConfig"]


@dataclass(frozen=True, slots=True)
class ALSConfig:
    """Settings of `ALS`.

    factors: dimensions. regularization: added to the diagonal. half_life: after how many later events one of a history
    that is folded in weighs half (the training weighs all alike). threads: 0 for all; the result is the same."""

    factors: int = 64
    regularization: float = 0.01
    iterations: int = 10
    confidence: Confidence = field(default_factory=Confidence)
    half_life: float = math.inf
    threads: int = 0


class ALS(FactorModel):
    """Item factors Y (n_items, d) float32 by Hu, Koren and Volinsky 2008, from the library implicit.

    A history is folded in by the closed form that the training itself solves for a user, with signed confidences c_i
    of its items (confidence.py) and preferences p_i of 1 for liked and 0 for disliked ones:

        x = (Y^T Y + regularization I + sum_i (|c_i| - 1) y_i y_i^T)^-1  sum_i |c_i| p_i y_i

    and an item scores x . y. So a dislike is a surer zero than an item that was never seen.
    """

    name: ClassVar[str] = "als"
    config_class: ClassVar[type] = ALSConfig
    field: ClassVar[str | None] = "als_vector"
    takes_new_items: ClassVar[bool] = True
    inference_params: ClassVar[frozenset[str]] = frozenset({"half_life"})
    _inverse: tuple[Mapping[str, NDArray[Any]], NDArray[np.float64]] | None = None

    def fit(
        self, data: Interactions, rng: Generator, items: ItemTable | None = None, callback: TrainingCallback | None = None
    ) -> Self:
        """Factorise the users' weights of items.

        Needs the package implicit: raises MissingExtra without it, ModelError where there is nothing to learn.
        """
        n_users, n_items = len(data.user_ids), len(data.item_ids)
        cell, inverse = np.unique(data.users.astype(np.int64) * n_items + data.items, return_inverse=True)
        weights = np.bincount(inverse, weights=data.weights)
        cell, weights = cell[weights != 0], weights[weights != 0]
        users, liked = cell // n_items, cell % n_items
        if not (weights > 0).any():
            raise ModelError("There are no positive events to train als on.", "Load events first: `es-recsys events load FILE`.")
        lengths = np.bincount(users, weights=np.abs(weights), minlength=n_users)
        mean_length = float(lengths[lengths > 0].mean())
        rarity = idf(np.bincount(liked[weights > 0], minlength=n_items), int((lengths > 0).sum()))
        confidence = self.config.confidence.of(weights, lengths[users], mean_length, rarity[liked])
        vectors = self._factorise(
            users, liked, confidence, (n_users, n_items), int(rng.integers(2**31)), callback or TrainingCallback()
        )
        return self._set_learned(
            data.item_ids.tolist(),
            {
                "vectors": vectors,
                "gram": vectors.astype(np.float64).T @ vectors.astype(np.float64),
                "idf": rarity,
                "mean_length": np.array([mean_length]),
            },
        )

    @classmethod
    def search_space(cls, ordered: bool, timed: bool) -> Mapping[str, tuple[Any, ...]]:
        """Return setting -> values worth trying; what only changes the answers comes first, as it needs no new training."""
        recency: dict[str, tuple[Any, ...]] = {"half_life": (2.0, 4.0, 8.0, 20.0, math.inf)} if ordered else {}
        return {
            **recency,
            "scale": (4.0, 10.0, 25.0, 60.0),
            "b": (0.2, 0.5, 0.8),
            "regularization": (0.01, 10.0, 30.0, 100.0),
            "factors": (64, 128, 256),
        }

    @classmethod
    def with_param(cls, config: ALSConfig, setting: str, value: Any) -> ALSConfig:
        """Return the config with one setting at another value."""
        if setting in ("scale", "b"):
            return replace(config, confidence=replace(config.confidence, **{setting: value}))
        return replace(config, **{setting: value})

    def add_new_items(self, new: NewItems) -> Self:
        """Add the factors of each new item; what is shared by all users stays that of the items with events."""
        arrays, n = self._arrays, len(new.item_ids)
        at = np.searchsorted(np.array(new.item_ids), np.array(self.item_ids[:]))
        vectors, rarity = np.zeros((n, self.item_vectors.shape[1]), np.float32), np.zeros(n, arrays["idf"].dtype)
        vectors[at], rarity[at] = self.item_vectors, arrays["idf"]
        mixed = new.mixtures @ vectors, new.mixtures @ rarity
        vectors[new.new], rarity[new.new] = NEW_ITEM_DISCOUNT * mixed[0], mixed[1]
        return self._set_learned(new.item_ids, {**arrays, "vectors": vectors, "idf": rarity})

    def user_vectors(self, batch: HistoryBatch) -> NDArray[np.float32]:
        return np.array([self._fold(batch.one(user)) for user in range(len(batch))], np.float32)

    def _fold(self, batch: HistoryBatch) -> NDArray[np.float32]:
        """Return the user vector (d,); zeros where no known item of the history is liked on balance."""
        items, confidence = self._confidences(batch)
        if not (confidence > 0).any():
            return np.zeros(self.item_vectors.shape[1], np.float32)
        found = on_one_thread(self._solved, items, confidence, np.maximum(confidence, 0.0), transposed=True)
        return found.astype(np.float32)

    def _confidences(self, batch: HistoryBatch) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        items, inverse = np.unique(batch.items, return_inverse=True)
        recent = batch.weights * decay(batch.recency_rank, self.config.half_life)
        weights = np.bincount(inverse, weights=recent, minlength=len(items))
        items, weights = items[weights != 0], weights[weights != 0]
        lengths = np.full(len(items), np.abs(weights).sum())
        mean_length = float(self._arrays["mean_length"][0])
        confidence = self.config.confidence.of(weights, lengths, mean_length, self._arrays["idf"][items])
        return items, confidence.astype(np.float64)

    def _solved(
        self, items: NDArray[np.int64], confidence: NDArray[np.float64], right: NDArray[np.float64], *, transposed: bool = False
    ) -> NDArray[np.float64]:
        """Return F A^-1 right (m, t), transposed right F A^-1 (d,), with the factors F (m, d) of the items of a history.

        A = B + F^T S F is what is solved for a user, B the same for all users, S the m confidences less 1. So F A^-1 is
        (I + F B^-1 F^T S)^-1 F B^-1 (Woodbury 1950), and few users have as many items as there are factors.
        """
        factors, surplus = self.item_vectors[items].astype(np.float64), np.abs(confidence) - 1.0
        if len(items) >= factors.shape[1]:
            system = self._shared_system() + (factors.T * surplus) @ factors
            solved = np.linalg.solve(system, right @ factors if transposed else right)
            return np.asarray(solved if transposed else factors @ solved, np.float64)
        spread = factors @ self._shared_inverse()
        small = (spread @ factors.T) * surplus
        small[np.diag_indices_from(small)] += 1.0
        if transposed:
            return np.asarray(np.linalg.solve(small.T, right) @ spread, np.float64)
        return np.asarray(np.linalg.solve(small, spread @ right), np.float64)

    def _shared_system(self) -> NDArray[np.float64]:
        system: NDArray[np.float64] = np.array(self._arrays["gram"], np.float64)
        system[np.diag_indices_from(system)] += self.config.regularization
        return system

    def _shared_inverse(self) -> NDArray[np.float64]:
        if self._inverse is None or self._inverse[0] is not self._arrays:
            self._inverse = self._arrays, np.asarray(np.linalg.inv(self._shared_system()), np.float64)
        return self._inverse[1]

    def _contributions(self, batch: HistoryBatch, item_idx: NDArray[np.int64]) -> NDArray[np.float64]:
        # x . y_j is a sum over the liked items: c_i y_i^T A^-1 y_j (Hu et al. 2008, section 5).
        items, confidence = self._confidences(batch)
        shares = np.zeros((len(batch.items), len(item_idx)))
        if not (confidence > 0).any():
            return shares
        towards = on_one_thread(self._solved, items, confidence, self.item_vectors[item_idx].T.astype(np.float64))
        first = {int(item): event for event, item in reversed(list(enumerate(batch.items.tolist())))}
        shares[[first[item] for item in items.tolist()]] = np.maximum(confidence, 0.0)[:, None] * towards
        return shares

    def _factorise(
        self,
        users: NDArray[np.int64],
        items: NDArray[np.int64],
        confidence: NDArray[np.float32],
        shape: tuple[int, int],
        seed: int,
        callback: TrainingCallback,
    ) -> NDArray[np.float32]:
        try:
            from implicit.cpu.als import AlternatingLeastSquares
        except ImportError as error:
            raise MissingExtra("implicit", "train") from error
        from scipy import sparse

        matrix = sparse.csr_matrix((confidence, (users, items)), shape=shape)
        # implicit runs its own threads over users; BLAS threads inside them only get in the way. Each row is solved by
        # itself, so the number of threads doesn't change the factors.
        with one_thread():
            model = AlternatingLeastSquares(
                factors=self.config.factors,
                regularization=self.config.regularization,
                iterations=self.config.iterations,
                num_threads=self.config.threads,
                random_state=seed,
            )
            model.fit(matrix, show_progress=False, callback=lambda done, *_: callback.report(done + 1, self.config.iterations))
        return np.ascontiguousarray(model.item_factors, dtype=np.float32)
