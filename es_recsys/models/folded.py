"""What models share that give a user one vector in the space of their items."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from es_recsys.models.base import ScoredItems
from es_recsys.models.fitted import TrainedModel, top_of
from es_recsys.models.histories import HistoryBatch
from es_recsys.types import History

__all__ = ["FactorModel", "unit"]

_USERS = 256


class FactorModel(TrainedModel):
    """A history becomes a vector, and an item scores its inner product with the item's row of `_arrays["vectors"]`.

    A child gives `_users`; a row of zeros there is a user of whom nothing is known.
    """

    kind: ClassVar[str] = "vector"

    def vector(self, history: History) -> NDArray[np.float32] | None:
        """(d,) float32 user vector; None where no known item of the history was liked."""
        found = self._users(self._encoded(history))[0]
        return found if found.any() else None

    def recommend_idx(self, batch: HistoryBatch, n: int, exclude: Sequence[NDArray[np.int64]]) -> list[ScoredItems]:
        """The n best of each user, by exact inner products, a block of users at a time."""
        lists: list[ScoredItems] = []
        for begin in range(0, len(batch), _USERS):
            end = min(begin + _USERS, len(batch))
            scores = self._users(batch.some(begin, end)) @ self.item_vectors.T
            lists += [top_of(row, n, exclude[begin + place]) for place, row in enumerate(scores)]
        return lists

    def score_idx(self, batch: HistoryBatch, places: Sequence[NDArray[np.int64]]) -> list[NDArray[np.float32]]:
        """The score of each user at its own places."""
        users = self._users(batch)
        return [self.item_vectors[at] @ users[user] for user, at in enumerate(places)]

    def _all_scores(self, batch: HistoryBatch) -> NDArray[np.float32]:
        result: NDArray[np.float32] = self.item_vectors @ self._users(batch)[0]
        return result

    @abc.abstractmethod
    def _users(self, batch: HistoryBatch) -> NDArray[np.float32]:
        """(n, d) float32 vector of each user of a batch."""


def unit(rows: NDArray[np.floating]) -> NDArray[np.float32]:
    """(n, d) float32: the rows at length 1; a row of zeros stays one."""
    lengths = np.linalg.norm(rows.astype(np.float64), axis=1, keepdims=True)
    return np.asarray(rows / np.where(lengths > 1e-12, lengths, np.inf), np.float32)
