"""EASE: the best linear weights from item to item, in closed form."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from es_recsys.cooccurrence import joined
from es_recsys.dataset import Interactions, ItemTable
from es_recsys.errors import ModelError
from es_recsys.item_ids import ItemIds
from es_recsys.linear_algebra import CSR, extra_bytes, invert
from es_recsys.memory import available_memory
from es_recsys.models.base import TrainingCallback, recency_space
from es_recsys.models.neighbours import Neighbours
from es_recsys.sequences import UserSequences, cells, user_sequences

__all__ = ["EASE", "EASEConfig", "memory_needed", "precision", "weights_of"]

# CSR of the dense matrix that are written or read at once.
_ROWS = 512
_MIB = 1 << 20
_STEPS = 3


@dataclass(frozen=True, slots=True)
class EASEConfig:
    """Settings of `EASE`.

    regularization: the lambda that is added to the diagonal, in events of an item. neighbours: entries kept a row,
    those with the strongest weights of either sign. half_life, half_life_days: see `Neighbours`.

    B is dense, so short rows lose some of its quality. An entry takes 8 bytes in the artefact: 41,000 items with 1,600
    entries each take 525 MB, of which a question reads the rows of its history.
    """

    regularization: float = 80.0
    neighbours: int = 1_600
    half_life: float = math.inf
    half_life_days: float = math.inf


class EASE(Neighbours):
    """Linear item-to-item weights in closed form.

    Steck 2019, "Embarrassingly Shallow Autoencoders for Sparse Data": of all weights B (n_items, n_items) with nothing on
    the diagonal those that minimise |X - X B|^2 + lambda |B|^2, where X (n_users, n_items) holds the root of the weight
    of each user's strongest event on an item:

        P = (X^T X + lambda I)^-1,      B[i, j] = -P[i, j] / P[j, j]

    Exact, in about one n_items x n_items float32 matrix (see `memory_needed`) and n_items ** 3 multiplications and
    additions; B is then cut to its strongest entries a row, and the matrix is given back.
    """

    name: ClassVar[str] = "ease"
    config_class: ClassVar[type] = EASEConfig

    def fit(
        self, data: Interactions, rng: Generator, items: ItemTable | None = None, callback: TrainingCallback | None = None
    ) -> Self:
        """Count pairs, factorise and invert, and report each of the three; `rng` isn't used.

        Raises ModelError before anything is
        allocated where memory is too small; OutOfTime."""
        _check(len(data.item_ids), self.config.neighbours, available_memory())
        progress = callback or TrainingCallback()

        def step(done: int) -> None:
            progress.report(done, _STEPS)
            if done < _STEPS:
                progress.check_deadline(self.name)

        inverse = precision(user_sequences(data), self.config.regularization, step)
        rows = joined(_strongest(block, self.config.neighbours) for _, block in weights_of(inverse))
        self._learned(ItemIds.of(data.item_ids.tolist()), rows)
        return self

    @classmethod
    def search_space(cls, ordered: bool, timed: bool) -> Mapping[str, tuple[Any, ...]]:
        """Return setting -> values worth trying."""
        return {**recency_space(ordered, timed), "regularization": (5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 320.0, 640.0)}

    @classmethod
    def default_config(cls, ordered: bool, timed: bool) -> EASEConfig:
        """Return the usual settings, with a short memory where order tells."""
        return EASEConfig(half_life=4.0 if ordered else math.inf)


def memory_needed(n_items: int, neighbours: int) -> int:
    """Return how many bytes the training takes beside the interactions.

    They are the matrix, and beside it first what the inversion takes, then
    the rows that are kept, twice while they are joined."""
    kept = 8 * n_items * min(neighbours, n_items)
    return 4 * n_items * n_items + max(extra_bytes(n_items), 2 * kept + 32 * _ROWS * n_items)


def precision(seq: UserSequences, regularization: float, step: Callable[[int], None] = lambda done: None) -> NDArray[np.float32]:
    """Return P (n_items, n_items) float32.

    step(done): called after each of the three steps. Raises ModelError for a
    regularization that is too small."""
    refused = ModelError(f"ease can't be trained with a regularization of {regularization:g}.", "Set a higher one, such as 80.")
    if regularization <= 0:
        raise refused
    matrix = _gram(seq)
    matrix[np.diag_indices_from(matrix)] += np.float32(regularization)
    step(1)
    try:
        invert(matrix, lambda: step(2))
    except np.linalg.LinAlgError as error:
        raise refused from error
    step(_STEPS)
    return matrix


def weights_of(inverse: NDArray[np.float32]) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Yield B by blocks of rows (k, n_items) float32, each with the index of its first row."""
    scale = -1.0 / inverse.diagonal()
    for begin in range(0, len(inverse), _ROWS):
        block = inverse[begin : begin + _ROWS] * scale
        own = np.arange(len(block))
        block[own, begin + own] = 0.0
        yield begin, block


def _check(n_items: int, neighbours: int, available: int | None) -> None:
    needed = memory_needed(n_items, neighbours)
    if available is not None and available < needed:
        raise ModelError(
            f"Training ease on {n_items:,} items needs {needed // _MIB:,} MiB of memory; "
            f"{available // _MIB:,} MiB are available.",
            "Train bspm or covisitation instead, whose memory grows with the events, or train where there is more memory.",
        )


def _gram(seq: UserSequences) -> NDArray[np.float32]:
    from scipy import sparse

    n_users, n_items = len(seq.lengths), len(seq.popularity)
    users, items, strengths = cells(seq, seq.strengths)
    x = sparse.csr_matrix((strengths, (users, items)), shape=(n_users, n_items))
    back = x.T.tocsr()
    matrix = np.empty((n_items, n_items), np.float32)
    for begin in range(0, n_items, _ROWS):
        matrix[begin : begin + _ROWS] = (back[begin : begin + _ROWS] @ x).toarray()
    return matrix


def _strongest(block: NDArray[np.float32], keep: int) -> CSR:
    """Return the `keep` entries of each row that are furthest from 0, and none that is 0."""
    keep = min(keep, block.shape[1])
    at = np.argpartition(-np.abs(block), keep - 1, axis=1)[:, :keep]
    at.sort(axis=1)
    values = np.take_along_axis(block, at, axis=1)
    kept = values != 0
    return CSR(np.concatenate([[0], np.cumsum(kept.sum(axis=1))]), at[kept].astype(np.int32), values[kept])
