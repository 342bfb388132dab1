"""User-kNN: what the users like that are most like the asking one."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from es_recsys.dataset import History, Interactions, ItemTable
from es_recsys.linear_algebra import CSR
from es_recsys.models.base import Model, TrainingCallback
from es_recsys.models.confidence import idf
from es_recsys.models.types import HistoryBatch, decay
from es_recsys.models.user_vectors import coordinates, history_positives, positives, project, project_rows, ranks, select
from es_recsys.top_k import top_k

__all__ = ["UserKNN", "UserKNNConfig"]

# Similarities that a block of a batch holds.
_CELLS = 20_000_000


@dataclass(frozen=True, slots=True)
class UserKNNConfig:
    """Settings of `UserKNN`.

    neighbours: users that count. candidates: users that the nearest vectors bring, of whom the neighbours are the most
    similar. power: exponent of a similarity (Breese, Heckerman and Kadie 1998 amplify with 2.5). target_power: exponent of
    the popularity of the item that is scored. half_life: after how many later items one counts half in a similarity.
    items: newest liked items that are kept of a user. dims: of a user's vector, 4,096 at most."""

    neighbours: int = 200
    candidates: int = 500
    power: float = 1.0
    target_power: float = 0.1
    half_life: float = math.inf
    items: int = 100
    dims: int = 512


class UserKNN(Model):
    """Votes of the most similar users.

    Users as sparse vectors x (n_items,), over the distinct items of a history; of item i, whose events weigh w_i in
    sum, and after which r_i other items came,

        a_i = sign(w_i) sqrt(|w_i|)        x_i = a_i * idf_i * 2 ** (-r_i / half_life)

    Of the users v whom the training saw, the newest `items` with a_i > 0 count. The score is that of the similar users'
    votes (Herlocker, Konstan, Borchers and Riedl 1999, for what is liked instead of what is rated):

        cos(u, v) = x_u . x_v / (|x_u| |x_v|)
        score[j] = sum over the neighbours v of max(cos(u, v), 0) ** power * a_vj / popularity[j] ** target_power

    Neighbours are found in two steps: the `candidates` nearest by vectors of `dims` dimensions, which is a kNN search,
    then among them the `neighbours` with the highest cosine. A vector is x under a sparse random projection (user_vectors.py),
    which keeps cosines up to an error of about 1 / sqrt(dims), needs no training, and is exact where there are no more items
    than dims. A dislike makes those less similar who like the item.

    A store keeps vectors and liked items in an index of its own, one document a user, so what is served from (`to_serve`)
    has nothing of any user in it, and erasing a document erases all. `among` answers from users found there.
    """

    name: ClassVar[str] = "userknn"
    config_class: ClassVar[type] = UserKNNConfig
    kind: ClassVar[str] = "neighbours"
    inference_params: ClassVar[frozenset[str]] = frozenset({"neighbours", "candidates", "power", "target_power"})

    def fit(
        self, data: Interactions, rng: Generator, items: ItemTable | None = None, callback: TrainingCallback | None = None
    ) -> Self:
        """Collect what each user likes; return itself. `rng` chooses the projection."""
        n_items = len(data.item_ids)
        rows, popularity = positives(data, self.config.items)
        rarity = idf(popularity, len(data.user_ids))
        plan = coordinates(n_items, self.config.dims, rng)
        values = rows.data * rarity[rows.indices] * decay(ranks(rows.indptr), self.config.half_life)
        return self._set_learned(
            data.item_ids.tolist(),
            {
                "coordinates": plan,
                "idf": rarity,
                "popularity": np.maximum(popularity, 1.0),
                "starts": rows.indptr,
                "items": rows.indices,
                "strengths": rows.data,
                "vectors": project_rows(CSR(rows.indptr, rows.indices, values.astype(np.float32)), plan, self._dims(n_items)),
            },
        )

    @classmethod
    def search_space(cls, ordered: bool, timed: bool) -> Mapping[str, tuple[Any, ...]]:
        """Return setting -> values worth trying; what only changes the answers comes first."""
        recency: dict[str, tuple[Any, ...]] = {"half_life": (3.0, 6.0, 12.0, 25.0, math.inf)} if ordered else {}
        return {
            "neighbours": (50, 100, 200, 300),
            "target_power": (0.0, 0.1, 0.2, 0.3, 0.4),
            "power": (0.5, 1.0, 1.5, 2.0, 3.0),
            **recency,
        }

    @classmethod
    def default_config(cls, ordered: bool, timed: bool) -> UserKNNConfig:
        """Return the usual settings, with a short memory where order tells."""
        return UserKNNConfig(half_life=12.0 if ordered else math.inf)

    @property
    def dims(self) -> int:
        """Dimensions of a user's vector: no more than there are items."""
        return self._dims(len(self.item_ids))

    def _dims(self, n_items: int) -> int:
        return int(max(min(self.config.dims, n_items), 1))

    @property
    def candidates(self) -> int:
        """How many users a search for similar ones should bring."""
        return int(max(self.config.candidates, self.config.neighbours))

    def search_vector(self, history: History) -> NDArray[np.float32] | None:
        """Return the (dims,) float32 unit vector to search similar users by; None where no known item is liked."""
        items, x = self._sparse_vector(self._encoded(history))
        vector = project(items, x, self._arrays["coordinates"], self.dims)
        return vector if (x > 0).any() and vector.any() else None

    def users(self) -> Iterator[tuple[int, NDArray[np.float32], NDArray[np.int32], NDArray[np.float32]]]:
        """Yield each user with a vector.

        Yields user_idx, (dims,) unit vector, (m,) item_idx of liked items, oldest
        first, and (m,) strengths a_i."""
        rows = self._rows()
        for user in np.flatnonzero(np.diff(rows.indptr)).tolist():
            own = slice(int(rows.indptr[user]), int(rows.indptr[user + 1]))
            if self._arrays["vectors"][user].any():
                yield user, self._arrays["vectors"][user], rows.indices[own], rows.data[own]

    def among(self, found: Sequence[tuple[NDArray[np.int32], NDArray[np.float32]]]) -> UserKNN:
        """Return the same model with only these users, each given by item_idx and strengths as `users` gives them."""
        starts = np.zeros(len(found) + 1, np.int64)
        np.cumsum([len(items) for items, _ in found], out=starts[1:])
        items = np.concatenate([np.zeros(0, np.int32), *(items for items, _ in found)])
        strengths = np.concatenate([np.zeros(0, np.float32), *(strengths for _, strengths in found)])
        return self._with(CSR(starts, items, strengths))

    def to_serve(self) -> UserKNN:
        """Return what answers are served from: nothing of the users, who are in the index."""
        return self.among(())

    def scores_of_users(self, batch: HistoryBatch) -> Iterator[NDArray[np.float32]]:
        vectors, block = self._arrays["vectors"], max(_CELLS // max(len(self._arrays["starts"]), 1), 1)
        for begin in range(0, len(batch), block):
            vectors_of_users = [self._sparse_vector(batch.one(user)) for user in range(begin, min(begin + block, len(batch)))]
            if self._all_users_are_candidates():
                yield from (self._votes(items, x, self._rows()) for items, x in vectors_of_users)
                continue
            query_vectors = np.stack([project(items, x, self._arrays["coordinates"], self.dims) for items, x in vectors_of_users])
            for (items, x), cosines in zip(vectors_of_users, query_vectors @ vectors.T, strict=True):
                yield self._votes(items, x, self._rows(top_k(cosines, self.candidates)))

    def _all_scores(self, batch: HistoryBatch) -> NDArray[np.float32]:
        return next(self.scores_of_users(batch))

    def _contributions(self, batch: HistoryBatch, item_idx: NDArray[np.int64]) -> NDArray[np.float64]:
        items, x = self._sparse_vector(batch)
        rows = self._candidate_rows(items, x)
        similarities, shared, user = self._similarities(items, x, rows)
        similarities = self._of_neighbours(similarities)
        _, first = np.unique(batch.items, return_index=True)
        shares = np.zeros((len(batch.items), len(item_idx)))
        for column, item in enumerate(item_idx.tolist()):
            vote = np.zeros(len(similarities))
            at = np.flatnonzero(rows.indices == item)
            np.add.at(vote, user[at], rows.data[at])
            vote[similarities > 0] *= similarities[similarities > 0] ** (self.config.power - 1.0)
            by_item = np.bincount(rows.indices, weights=shared * (vote * (similarities > 0))[user], minlength=len(self.item_ids))
            shares[first, column] = by_item[batch.items[first]] / self._arrays["popularity"][item] ** self.config.target_power
        return shares

    def _sparse_vector(self, batch: HistoryBatch) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return the distinct items of one user and their x."""
        items, strengths = history_positives(batch)
        later = np.arange(len(items) - 1, -1, -1, dtype=np.float64)
        return items, strengths * self._arrays["idf"][items] * decay(later, self.config.half_life)

    def _votes(self, items: NDArray[np.int64], x: NDArray[np.float64], rows: CSR) -> NDArray[np.float32]:
        similarities, _, user = self._similarities(items, x, rows)
        similarities = self._of_neighbours(similarities) ** self.config.power
        votes = np.bincount(rows.indices, weights=similarities[user] * rows.data, minlength=len(self.item_ids))
        result: NDArray[np.float64] = votes * self._arrays["popularity"] ** -self.config.target_power
        return result.astype(np.float32)

    def _similarities(
        self, items: NDArray[np.int64], x: NDArray[np.float64], rows: CSR
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
        """Return the cosine of each user of `rows` (n,), what each entry adds to it (m,), and whose it is (m,)."""
        user = np.repeat(np.arange(len(rows.indptr) - 1), np.diff(rows.indptr)).astype(np.int64)
        own = rows.data * self._arrays["idf"][rows.indices] * decay(ranks(rows.indptr), self.config.half_life)
        user_weights = np.zeros(len(self.item_ids))
        user_weights[items] = x
        norms = np.sqrt(np.bincount(user, weights=own**2, minlength=len(rows.indptr) - 1)) * np.sqrt((x**2).sum())
        shared = user_weights[rows.indices] * own / np.maximum(norms, 1e-12)[user]
        similarities = np.bincount(user, weights=shared, minlength=len(rows.indptr) - 1).astype(np.float64)
        return similarities, shared, user

    def _of_neighbours(self, similarities: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the similarity of the neighbours, 0 for the others."""
        chosen = top_k(similarities, self.config.neighbours)
        kept = np.zeros(len(similarities))
        kept[chosen] = np.maximum(similarities[chosen], 0.0)
        return kept

    def _candidate_rows(self, items: NDArray[np.int64], x: NDArray[np.float64]) -> CSR:
        if self._all_users_are_candidates():
            return self._rows()
        query_vectors = project(items, x, self._arrays["coordinates"], self.dims)
        return self._rows(top_k(self._arrays["vectors"] @ query_vectors, self.candidates))

    def _all_users_are_candidates(self) -> bool:
        return len(self._arrays["starts"]) - 1 <= self.candidates

    def _rows(self, users: NDArray[np.int64] | None = None) -> CSR:
        rows = CSR(self._arrays["starts"], self._arrays["items"], self._arrays["strengths"])
        return rows if users is None else select(rows, users)

    def _with(self, rows: CSR) -> UserKNN:
        model = UserKNN(self.config)
        model._ids = self.item_ids
        own: dict[str, NDArray[Any]] = {"starts": rows.indptr, "items": rows.indices, "strengths": rows.data}
        model._arrays = {**self._arrays, **own, "vectors": np.zeros((0, self.dims), np.float32)}
        return model
