"""Weights of the retrievers that rank the candidates of queries best, from what each retriever gave each candidate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from es_recsys.evaluation.metrics import ideal_dcg, ndcg_of_scores

__all__ = ["RetrieverScores", "padded_scores"]

_N = 10


@dataclass(frozen=True, slots=True, eq=False)
class RetrieverScores:
    """Scores of l retrievers for the candidates of q queries, padded to the most candidates (c).

    fixed (q, c) float64: what the retrievers give that are not weighed; scores (q, c, l): what each of `retrievers` gives at a
    weight of 1; grades (q, c); real (q, c) bool, False in the padding; ideal (q,): the best DCG@10 that all relevant items allow.
    """

    retrievers: tuple[str, ...]
    fixed: NDArray[np.float64]
    scores: NDArray[np.float64]
    grades: NDArray[np.float64]
    real: NDArray[np.bool_]
    ideal: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.ideal)

    def some(self, rows: NDArray[np.int64]) -> RetrieverScores:
        """Return the scores of these queries alone."""
        return replace(
            self,
            fixed=self.fixed[rows],
            scores=self.scores[rows],
            grades=self.grades[rows],
            real=self.real[rows],
            ideal=self.ideal[rows],
        )

    def choices(self) -> tuple[list[NDArray[np.float64]], list[float]]:
        """Return each relevant item among the candidates that are not relevant, as the conditional logit reads it, and its grade.

        An item is the first row of (k, l + 1): what each retriever gives, and in the last column what those give that are not
        weighed.
        """
        whole = np.concatenate([self.scores, self.fixed[:, :, None]], axis=2)
        found, worth = [], []
        for row, column in np.argwhere(self.grades > 0.0).tolist():
            others = self.real[row] & (self.grades[row] <= 0.0)
            found.append(np.concatenate([whole[row, column][None], whole[row, others]]))
            worth.append(float(self.grades[row, column]))
        return found, worth

    def ndcg(self, weights: Mapping[str, float] | NDArray[np.float64]) -> NDArray[np.float64]:
        """Return NDCG@10 (q,) of the order by fixed + scores @ weights; ties in the order given.

        weights: retriever -> weight, or those of each query (q, l).
        """
        if isinstance(weights, np.ndarray):
            weighed = (self.scores @ weights[:, :, None])[:, :, 0]
        else:
            weighed = self.scores @ np.array([max(weights.get(retriever, 0.0), 0.0) for retriever in self.retrievers])
        return ndcg_of_scores(self.fixed + weighed, self.grades, self.ideal, _N, self.real)

    def first(self, weights: Mapping[str, float] | NDArray[np.float64]) -> int:
        """Return of how many queries a relevant item is the first one, where all are equally relevant."""
        return int((self.ndcg(weights) * self.ideal >= 1.0 - 1e-9).sum())


def padded_scores(
    retrievers: Sequence[str],
    candidates: Sequence[Sequence[tuple[str, float, Mapping[str, float]]]],
    grades: Sequence[Mapping[str, float]],
) -> RetrieverScores:
    """Return the scores of the candidates as padded arrays.

    candidates: of each query (item id, what the other retrievers give, retriever -> what it gives at a weight of 1), in any
    order; they are put in that of their ids, as ties are.
    """
    width = max((len(own) for own in candidates), default=0) or 1
    shape = (len(candidates), width)
    fixed, gains, real = np.zeros(shape), np.zeros(shape), np.zeros(shape, bool)
    scores = np.zeros((*shape, len(retrievers)))
    for row, own in enumerate(candidates):
        for column, (item_id, rest, parts) in enumerate(sorted(own, key=lambda one: one[0])):
            real[row, column], fixed[row, column] = True, rest
            gains[row, column] = grades[row].get(item_id, 0.0)
            scores[row, column] = [parts.get(retriever, 0.0) for retriever in retrievers]
    ideal = np.array([ideal_dcg(list(own.values()), _N) for own in grades])
    return RetrieverScores(tuple(retrievers), fixed, scores, gains, real, ideal)
