"""Learned ranking: a forest (LambdaMART, trained by `training.train_ranking`) orders the best candidates.

The weighted sum finds the candidates and their first order. The forest orders the best `window` of them, the same for every
page; the rest follow in the order of the weighted sum. Parts stay parts of a sum: a candidate's score is the forest's
prediction, its parts what the features contribute, added up by retriever or field (see `forest`), with "base" for what every
candidate has. What the weighted sum contributes as a feature is shared out to the retrievers as they share in it. The scores of
the rest are their weighted sums, moved below the window by a part named "below_window". What comes after all others, as the user
has seen it, is moved there by a part named "seen", and the forest orders none of it. In personal searches what is asked
for by its whole title is moved above the others of the window, by a part named "title_match".

With 0 < personalization < 1, score and parts are mixed from what the forest predicts with the user's features and without them:
personalization * with + (1 - personalization) * without. Without a user, or with personalization 0, those are not known.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from es_recsys.features import PAIR, USER
from es_recsys.search.candidates import CandidateTable, ScoredCandidates
from es_recsys.search.features import Column, part_of
from es_recsys.search.ranker import Ranker

__all__ = ["BASE", "BELOW_WINDOW", "SEEN", "TITLE_MATCH", "LearnedOrder", "apply_ranker", "feature_matrix"]

BASE, BELOW_WINDOW, SEEN, TITLE_MATCH = "base", "below_window", "seen", "title_match"

_ABOVE = 1e-6  # of what forests predict, some units: enough that what is lifted is above
_PERSONAL_ASPECTS = ("/affinity", "/distance")
_PERSONAL_PARTS = (USER, PAIR)


@dataclass(frozen=True, slots=True, eq=False)
class LearnedOrder:
    """Rows of the candidate table, best first, with their scores.

    ranker: None where the weighted sum decides; else the window comes first, then the rest, `offset` being added to their
    scores. lifts: row -> what is added to its score for its title. features (w, names) of the window, `position` row -> where
    it stands in there; neutral: the same without the user, None where that is no other.
    """

    table: CandidateTable
    order: tuple[int, ...]
    scores: Mapping[int, float]
    ranker: Ranker | None = None
    personalization: float = 1.0
    offset: float = 0.0
    lifts: Mapping[int, float] = field(default_factory=dict)
    position: Mapping[int, int] = field(default_factory=dict)
    features: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 0)))
    neutral: NDArray[np.float64] | None = None

    def parts(self, rows: Sequence[int]) -> list[dict[str, float]]:
        """Return the contributions of each of `rows`, which sum to its score; those of 0 are left out."""
        weighted = {row: self._weighted(row) for row in rows}
        if self.ranker is None:
            return [_nonzero(weighted[row]) for row in rows]
        inside = [row for row in rows if row in self.position]
        found = {row: {**weighted[row], BELOW_WINDOW: self.offset} for row in rows if row not in self.position}
        if inside:
            changes = self._contributions(self.ranker, [self.position[row] for row in inside])
            for row, change in zip(inside, changes.tolist(), strict=True):
                found[row] = {**_by_part(self.ranker.names, change, weighted[row]), TITLE_MATCH: self.lifts.get(row, 0.0)}
        return [_nonzero(found[row]) for row in rows]

    def _contributions(self, ranker: Ranker, positions: Sequence[int]) -> NDArray[np.float64]:
        personal = ranker.forest.contributions(self.features[positions])
        if self.neutral is None:
            return personal
        neutral = ranker.forest.contributions(self.neutral[positions])
        return self.personalization * personal + (1.0 - self.personalization) * neutral

    def _weighted(self, row: int) -> dict[str, float]:
        parts = (self.table.scores[row] * self.table.weights).tolist()
        found = {each.retriever.name: part for each, part in zip(self.table.retrievers, parts, strict=True)}
        if self.table.demotion is not None:
            found[SEEN] = -float(self.table.demotion[row])
        return found


def apply_ranker(
    ranker: Ranker | None,
    personalization: float,
    scored: ScoredCandidates,
    columns: Mapping[str, Column],
    titled: NDArray[np.bool_] | None = None,
) -> LearnedOrder:
    """Return the order of all scored candidates.

    columns: features (n,) of the first n rows of `scored.order`: the window, which the forest orders; ties by id. Without a
    ranker, or without features, the order of the weighted sum stays. titled (n,): which come before the others of the window.
    """
    table, totals = scored.table, scored.totals
    n = len(next(iter(columns.values()), ()))
    if ranker is None or not n:
        return LearnedOrder(table, tuple(scored.order), {row: totals[row] for row in scored.order})
    window, rest = scored.order[:n], scored.order[n:]
    features = feature_matrix(ranker.names, columns, n)
    predicted = ranker.forest.predict(features)
    neutral = None
    personal = [column for column, name in enumerate(ranker.names) if _is_personal(name, table)]
    if personalization < 1.0 and personal and not np.isnan(features[:, personal]).all():
        neutral = features.copy()
        neutral[:, personal] = np.nan
        predicted = personalization * predicted + (1.0 - personalization) * ranker.forest.predict(neutral)
    lift = _lift(predicted, titled)
    scores = dict(zip(window, (predicted + lift).tolist(), strict=True))
    lifts = {row: own for row, own in zip(window, lift.tolist(), strict=True) if own}
    ordered = sorted(window, key=lambda row: (-scores[row], table.item_ids[row]))
    # What only a deeper search found must not move the others.
    highest = max((totals[row] for row in rest if not table.is_deep[row]), default=0.0)
    lowest = min(scores.values())
    offset = min(lowest - highest, 0.0)
    scores |= {row: totals[row] + offset if table.is_deep[row] else min(totals[row] + offset, lowest) for row in rest}
    position = {row: k for k, row in enumerate(window)}
    return LearnedOrder(table, (*ordered, *rest), scores, ranker, personalization, offset, lifts, position, features, neutral)


def _lift(predicted: NDArray[np.float64], titled: NDArray[np.bool_] | None) -> NDArray[np.float64]:
    """Return what is added (n,) to the predictions, so that those of `titled` are above all others, in their own order."""
    lift = np.zeros(len(predicted))
    if titled is not None and titled.any() and not titled.all():
        short = float(predicted[~titled].max() - predicted[titled].min())
        lift[titled] = max(short + _ABOVE, 0.0)
    return lift


def feature_matrix(names: Sequence[str], columns: Mapping[str, Column], n: int) -> NDArray[np.float64]:
    """Return (n, names) float64, of the precision of float32, in which forests are trained; NaN for an absent feature."""
    rows = np.full((len(names), n), np.nan, np.float32)
    for row, name in zip(rows, names, strict=True):
        if name in columns:
            row[:] = columns[name]
    return np.ascontiguousarray(rows.T, np.float64)


def _is_personal(name: str, table: CandidateTable) -> bool:
    """Return whether a feature depends on the user."""
    personalized = {each.retriever.name for each in table.retrievers if each.retriever.personalized}
    part = part_of(name)
    return part in personalized or part in _PERSONAL_PARTS or name.endswith(_PERSONAL_ASPECTS) or name == "query/evidence"


def _nonzero(parts: Mapping[str, float]) -> dict[str, float]:
    return {name: part for name, part in parts.items() if part != 0.0}


def _by_part(names: Sequence[str], changes: Sequence[float], weighted: Mapping[str, float]) -> dict[str, float]:
    found = {BASE: changes[-1]}
    for name, change in zip(names, changes[:-1], strict=True):
        part = part_of(name)
        found[part] = found.get(part, 0.0) + change
    shared = found.pop("sum", 0.0)
    whole = sum(abs(part) for part in weighted.values())
    if whole > 0.0:
        for retriever, weight in weighted.items():
            found[retriever] = found.get(retriever, 0.0) + shared * abs(weight) / whole
    else:
        found[BASE] += shared
    return found
