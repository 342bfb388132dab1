"""Examples that a learned ranking is trained and judged on: the windows of answers, with each candidate's features and grade."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from es_recsys.evaluation.metrics import dcg, ideal_dcg
from es_recsys.search.rerank.learned_ranking import feature_matrix

__all__ = ["DEPTH", "RankingExample", "RankingExamples", "gather", "ideal", "ndcg"]

DEPTH = 10


@dataclass(frozen=True, slots=True, eq=False)
class RankingExample:
    """Candidates of one answer, best first by what served it.

    features: name -> (n,), NaN for unknown; grades (n,) >= 0. ideal: the best DCG@10 that the grades allow, with those of items
    that are not among the candidates. positions (n,): rank that each was shown at, from 1; None where nobody was shown them.
    user_key: whose answer it is, "" for nobody's. gains (n,): what a candidate counts in NDCG; its grade where None.
    """

    features: Mapping[str, NDArray[np.float64]]
    grades: NDArray[np.float64]
    ideal: float
    positions: NDArray[np.int64] | None = None
    user_key: str = ""
    gains: NDArray[np.float64] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class RankingExamples:
    """Candidates (n) of q answers, one answer after the other, best first by what served it.

    names: of the features. rows (n, names) float32, NaN for unknown. grades (n,) float64. starts (q + 1,) int64 where each answer
    begins. ideals (q,) best DCG@10. positions (n,) int64, 0 where nothing was shown. user_keys (q,). gains (n,) float64: what a
    candidate counts in NDCG; grades are what trees learn from.
    """

    names: tuple[str, ...]
    rows: NDArray[np.float32]
    grades: NDArray[np.float64]
    starts: NDArray[np.int64]
    ideals: NDArray[np.float64]
    positions: NDArray[np.int64]
    user_keys: tuple[str, ...]
    gains: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.starts) - 1

    @property
    def shown(self) -> bool:
        """Whether people saw the candidates at ranks, so that the grades are biased by these."""
        return bool((self.positions > 0).any())

    def some(self, answers: NDArray[np.int64]) -> RankingExamples:
        """Return the examples of the given answers."""
        places = np.concatenate([np.arange(self.starts[a], self.starts[a + 1]) for a in answers.tolist()] or [np.zeros(0, int)])
        sizes = np.diff(self.starts)[answers]
        return self._taken(places, np.concatenate([[0], np.cumsum(sizes)]), answers)

    def sampled(self, most: int, rng: np.random.Generator) -> RankingExamples:
        """Return the examples with at most about `most` candidates an answer.

        All with a grade are kept; half of the rest of the room is for those that were best so far, which are hardest to tell
        apart, and half for any others.
        """
        kept, sizes = [], []
        for begin, end in zip(self.starts[:-1].tolist(), self.starts[1:].tolist(), strict=True):
            own = np.arange(begin, end)
            good = self.grades[begin:end] > 0
            room = max(most - int(good.sum()), 2)
            bad = own[~good]
            hard, others = bad[: room // 2], bad[room // 2 :]
            drawn = rng.choice(others, min(room - room // 2, len(others)), replace=False)
            places = np.sort(np.concatenate([own[good], hard, drawn]))
            kept.append(places)
            sizes.append(len(places))
        starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        return self._taken(np.concatenate(kept or [np.zeros(0, int)]), starts, np.arange(len(self)))

    def _taken(self, places: NDArray[np.int64], starts: NDArray[np.int64], answers: NDArray[np.int64]) -> RankingExamples:
        user_keys = tuple(self.user_keys[a] for a in answers.tolist())
        rows, grades, positions = self.rows[places], self.grades[places], self.positions[places]
        return RankingExamples(self.names, rows, grades, starts, self.ideals[answers], positions, user_keys, self.gains[places])


def gather(shown: Sequence[RankingExample]) -> RankingExamples:
    """Return the answers as examples, one after the other; a feature that an answer lacks is unknown there."""
    names = tuple(sorted({name for each in shown for name in each.features}))
    sizes = [len(each.grades) for each in shown]
    rows = np.empty((sum(sizes), len(names)), np.float32)
    starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    for each, begin, size in zip(shown, starts[:-1].tolist(), sizes, strict=True):
        rows[begin : begin + size] = feature_matrix(names, each.features, size)
    nowhere = [
        np.zeros(size, np.int64) if each.positions is None else each.positions for each, size in zip(shown, sizes, strict=True)
    ]
    return RankingExamples(
        names,
        rows,
        np.concatenate([each.grades for each in shown] or [np.zeros(0)]),
        starts,
        np.array([each.ideal for each in shown], np.float64),
        np.concatenate(nowhere or [np.zeros(0, np.int64)]),
        tuple(each.user_key for each in shown),
        np.concatenate([each.grades if each.gains is None else each.gains for each in shown] or [np.zeros(0)]),
    )


def ideal(grades: Sequence[float]) -> float:
    """Return the best DCG@10 of these grades, with linear gain."""
    return ideal_dcg([grade for grade in grades if grade > 0.0], DEPTH)


def ndcg(examples: RankingExamples, scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return NDCG@10 (q,) float64 of the candidates by `scores` (n,); ties in the order that served."""
    found = np.zeros(len(examples))
    bounds = zip(examples.starts[:-1].tolist(), examples.starts[1:].tolist(), strict=True)
    for place, (begin, end) in enumerate(bounds):
        top = np.argsort(-scores[begin:end], kind="stable")[:DEPTH]
        found[place] = dcg(examples.gains[begin:end][top])
    return found / np.where(examples.ideals > 0.0, examples.ideals, 1.0)
