"""Latent semantic analysis: items by what their texts say, users by what they read and searched for."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar, Self

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from es_recsys.dataset import Interactions, ItemTable
from es_recsys.errors import ModelError
from es_recsys.linear_algebra import truncated_svd
from es_recsys.models.base import ContentModel, TrainingCallback, content_recency_space, rows_of_all_items, unit
from es_recsys.models.types import HistoryBatch, decay
from es_recsys.models.vocabulary import Vocabulary, tokens

__all__ = ["LSA", "LSAConfig"]

_NOISE = 1e-6


@dataclass(frozen=True, slots=True)
class LSAConfig:
    """Settings of `LSA`.

    dims: dimensions of the space. power: exponent of the singular values in it: 1 weighs a direction by how much of the
    texts it carries, 0 weighs all alike. min_df, max_df: number and share of texts that a word of the vocabulary is in, at
    least and at most. max_words: size of the vocabulary at most. half_life: after how many later events one of the history counts
    half; half_life_days: the same in days. query_weight: weight of a search beside that of a view, its age counted in
    searches.
    """

    dims: int = 128
    power: float = 0.5
    min_df: int = 2
    max_df: float = 0.3
    max_words: int = 60_000
    half_life: float = 10.0
    half_life_days: float = math.inf
    query_weight: float = 0.5


class LSA(ContentModel):
    """Vectors of items, users and queries in one space (Deerwester et al. 1990, "Indexing by latent semantic analysis").

    X (n_items, n_words) has the tf-idf of the items' texts (vocabulary.py), and U S V^T is its truncated singular value
    decomposition. A row x of X, or any text, lies at

        e(x) = x V S^(power - 1) / |x V S^(power - 1)|

    and a user whose events h have signed weights w_h, items i_h, recency ranks p_h and ages a_h, and who searched for q_k (k = 0
    the last), at the decayed signed mean

        u = (sum_h w_h d_h e(i_h) + query_weight * sum_k 2 ** (-k / half_life) e(q_k)) / (the same sum of absolute weights)
        d_h = 2 ** (-p_h / half_life) * 2 ** (-a_h / half_life_days)

    An item scores u . e(i). Items without events have a vector like any other; an item without known words has none.
    """

    name: ClassVar[str] = "lsa"
    config_class: ClassVar[type] = LSAConfig
    field: ClassVar[str | None] = "lsa_vector"
    reads_items: ClassVar[bool] = True
    inference_params: ClassVar[frozenset[str]] = frozenset({"half_life", "half_life_days", "query_weight"})
    renamed_params: ClassVar[Mapping[str, str]] = MappingProxyType(
        {"least": "min_df", "most": "max_df", "words": "max_words", "query": "query_weight"}
    )

    def fit(
        self, data: Interactions, rng: Generator, items: ItemTable | None = None, callback: TrainingCallback | None = None
    ) -> Self:
        """Learn from the texts of `items`; the interactions only add ids. Raises ModelError where there are no words."""
        from scipy import sparse

        texts = [tokens(text) for text in items.texts] if items is not None else []
        vocabulary = Vocabulary.of(texts, self.config.min_df, self.config.max_df, self.config.max_words)
        if items is None or not any(texts):
            raise ModelError("There are no texts to train lsa on.", "Load items with titles and descriptions first.")
        if not len(vocabulary):
            raise ModelError(
                f"The items' texts have no words for lsa to learn from: each is in fewer than {self.config.min_df} texts, or in "
                f"more than {self.config.max_df:.0%} of them.",
                "Load items with descriptions.",
            )
        starts, word_idx, weights = vocabulary.rows(texts)
        matrix = sparse.csr_matrix((weights, word_idx, starts), shape=(len(texts), len(vocabulary)))
        _, values, right = truncated_svd(matrix, self.config.dims, rng)
        right, values = right[:, values > 1e-9 * values[0]], values[values > 1e-9 * values[0]]
        projection = (right * values ** (self.config.power - 1.0)).astype(np.float32)
        ids, vectors = rows_of_all_items(data, items, unit(matrix @ projection))
        return self._set_learned(ids, {"vectors": vectors, "projection": projection, **vocabulary.arrays()})

    @classmethod
    def search_space(cls, ordered: bool, timed: bool) -> Mapping[str, tuple[Any, ...]]:
        """Return setting -> values worth trying; what only changes the answers comes first."""
        return {
            **content_recency_space(ordered, timed),
            "power": (0.0, 0.25, 0.5, 0.75, 1.0),
            "dims": (64, 128, 256),
            "max_df": (0.1, 0.3, 0.6),
        }

    def query_vector(
        self, text: str, vectors: Mapping[str, NDArray[np.float32]] = MappingProxyType({})
    ) -> NDArray[np.float32] | None:
        """Return the (d,) float32 unit vector of a text; None where it has no known word."""
        word_idx, weights = self._vocabulary().row(text)
        vector = weights.astype(np.float32) @ self._arrays["projection"][word_idx]
        length = float(np.linalg.norm(vector))
        return (vector / length).astype(np.float32) if length > 1e-12 else None

    def _vocabulary(self) -> Vocabulary:
        _ = self.item_ids
        return Vocabulary.from_arrays(self._arrays)

    def user_vectors(self, batch: HistoryBatch) -> NDArray[np.float32]:
        return np.array([self._fold(batch.one(user)) for user in range(len(batch))], np.float32)

    def _fold(self, batch: HistoryBatch) -> NDArray[np.float32]:
        """Return the user vector (d,), of length 1 at most; zeros where nothing known was liked or searched for."""
        weights = batch.recent_weights(self.config.half_life, self.config.half_life_days)
        vectors = self.item_vectors[batch.items]
        queries_at, query_weights = self._searched(batch.searched(0))
        if not ((weights > 0) & vectors.any(axis=1)).any() and not len(query_weights):
            return np.zeros(self.item_vectors.shape[1], np.float32)
        total = weights @ vectors + query_weights @ queries_at
        mean: NDArray[np.float32] = (total / (np.abs(weights).sum() + query_weights.sum())).astype(np.float32)
        return mean

    def _products(self, left: NDArray[np.float32], right: NDArray[np.float32]) -> NDArray[np.float32]:
        # Texts without a word in common are at right angles but for rounding, which is no reason to rank by.
        scores = super()._products(left, right)
        return np.where(np.abs(scores) < _NOISE, np.float32(0.0), scores)

    def _searched(self, queries: Sequence[str]) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        """Return vectors (k, d) of the queries with a known word, and their weights (k,)."""
        ages = np.arange(len(queries) - 1, -1, -1, dtype=np.float64)
        query_weights = self.config.query_weight * decay(ages, self.config.half_life)
        found = [
            (self.query_vector(text), value) for text, value in zip(queries, query_weights.tolist(), strict=True) if value > 0
        ]
        known = [(vector, value) for vector, value in found if vector is not None]
        if not known:
            return np.zeros((0, self._arrays["projection"].shape[1]), np.float32), np.zeros(0)
        return np.stack([vector for vector, _ in known]), np.array([value for _, value in known])
