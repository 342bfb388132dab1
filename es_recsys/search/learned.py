"""Learned ranking: a forest (LambdaMART, trained by `training.train_ranking`) puts the best candidates of an answer in order.

The weighted sum finds the candidates and their first order. The best `window` of them, the same for every page, are ordered
by the forest; the rest follow in the order of the weighted sum. Parts stay parts of a sum: a candidate's score is the
forest's prediction, its parts what the signals contribute, added up by leg or field (see `forest`), with "base" for what
every candidate has. What the weighted sum itself contributes as a signal is shared out to the legs as they share in it. The
rest's scores are their weighted sums, moved below the window by a part named "beyond".

Where the user counts only in part (0 < personalization < 1), score and parts are mixed from what the forest says with the user's
signals and without them: personalization * with + (1 - personalization) * without. Without a user, or with personalization 0,
those signals are not known.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from es_recsys.errors import ModelError
from es_recsys.features import PAIR, USER
from es_recsys.index_metadata import IndexMetadata
from es_recsys.renamed import RETRIEVERS, current
from es_recsys.search.context import Context
from es_recsys.search.forest import Forest
from es_recsys.search.fusion import Table
from es_recsys.search.signals import Reading, part_of

__all__ = ["BASE", "BEYOND", "WINDOW", "Ranker", "Reranked", "matrix", "personal", "rerank"]

BASE, BEYOND = "base", "beyond"
WINDOW = 100
"""How many of the best candidates a learned ranking orders."""

_PERSONAL = ("/affinity", "/distance")
_OF_THE_USER = (USER, PAIR)


@dataclass(frozen=True, slots=True, eq=False)
class Ranker:
    """forest: reads the signals named `names`, in this order. window: how many candidates it orders. spaces: vector field ->
    fingerprint of the encoder whose cosines it learned from."""

    forest: Forest
    names: tuple[str, ...]
    window: int = WINDOW
    spaces: Mapping[str, str] = field(default_factory=dict)

    @property
    def reading(self) -> Reading:
        used = self.forest.used.tolist()
        return Reading(self.window, frozenset(self.names[place] for place in used))

    def suits(self, metadata: IndexMetadata) -> bool:
        """Whether the store's vectors are still those that the forest learned from."""
        return all(name in metadata.vectors and metadata.vectors[name].fingerprint == mark for name, mark in self.spaces.items())

    def params(self) -> dict[str, Any]:
        """JSON values; with the forest's arrays all that `from_params` needs."""
        forest = {"features": self.forest.features, "depth": self.forest.depth}
        return {"names": list(self.names), "window": self.window, "spaces": dict(self.spaces), **forest}

    @classmethod
    def from_params(cls, params: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Ranker:
        """Raises ModelError where they are not those of a ranker."""
        try:
            names, window = tuple(current(str(name), RETRIEVERS) for name in params["names"]), int(params["window"])
            features, depth, spaces = int(params["features"]), int(params["depth"]), dict(params["spaces"])
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(
                "The learned ranking has no readable settings.", "Train it again: es-recsys train ranking."
            ) from error
        if len(names) != features or window < 1:
            raise ModelError("The learned ranking and its signals don't match.", "Train it again: es-recsys train ranking.")
        return cls(Forest.from_arrays(arrays, features, depth), names, window, spaces)


@dataclass(frozen=True, slots=True, eq=False)
class Reranked:
    """rows: of the table, best first. scores: row -> score. ranker: None where it is the order of the weighted sum; else
    the window's rows come first, then the rest, `below` being added to their scores. place: row -> its place among `whole`,
    what the forest read of the window; neutral: the same without the user, None where that is no other."""

    table: Table
    rows: tuple[int, ...]
    scores: Mapping[int, float]
    ranker: Ranker | None = None
    personalization: float = 1.0
    below: float = 0.0
    place: Mapping[int, int] = field(default_factory=dict)
    whole: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 0)))
    neutral: NDArray[np.float64] | None = None

    def parts(self, rows: Sequence[int]) -> list[dict[str, float]]:
        """Contributions of each of `rows`, which sum to its score; those of 0 are left out."""
        weighted = {row: self._weighted(row) for row in rows}
        if self.ranker is None:
            return [_nonzero(weighted[row]) for row in rows]
        inside = [row for row in rows if row in self.place]
        found = {row: {**weighted[row], BEYOND: self.below} for row in rows if row not in self.place}
        if inside:
            places = [self.place[row] for row in inside]
            changes = self.ranker.forest.contributions(self.whole[places])
            if self.neutral is not None:
                changes = self.personalization * changes + (1.0 - self.personalization) * self.ranker.forest.contributions(
                    self.neutral[places]
                )
            for row, change in zip(inside, changes.tolist(), strict=True):
                found[row] = _by_part(self.ranker.names, change, weighted[row])
        return [_nonzero(found[row]) for row in rows]

    def _weighted(self, row: int) -> dict[str, float]:
        parts = (self.table.scores[row] * self.table.weights).tolist()
        return {heard.leg.name: part for heard, part in zip(self.table.legs, parts, strict=True)}


def rerank(
    context: Context,
    ranker: Ranker | None,
    table: Table,
    best: Sequence[int],
    totals: Sequence[float],
    found: Mapping[str, NDArray[np.float64]],
) -> Reranked:
    """The order of all `best` (rows of the table, best first by `totals`).

    found: signals (n,) of the first n rows of `best`: the window, which the forest orders; ties by id. Without a ranker, or
    without signals, the order stays.
    """
    n = len(next(iter(found.values()), ()))
    if ranker is None or not n:
        return Reranked(table, tuple(best), {row: totals[row] for row in best})
    window = list(best[:n])
    whole = matrix(ranker.names, found, n)
    scores = ranker.forest.predict(whole)
    neutral = None
    mine = [place for place, name in enumerate(ranker.names) if personal(name, table)]
    if context.personalization < 1.0 and mine and not np.isnan(whole[:, mine]).all():
        neutral = whole.copy()
        neutral[:, mine] = np.nan
        scores = context.personalization * scores + (1.0 - context.personalization) * ranker.forest.predict(neutral)
    given = dict(zip(window, scores.tolist(), strict=True))
    ordered = sorted(window, key=lambda row: (-given[row], table.item_ids[row]))
    rest = list(best[n:])
    # What only a deeper search found must not move the others.
    reach = max((totals[row] for row in rest if not table.deep[row]), default=0.0)
    lowest = min(given.values())
    below = min(lowest - reach, 0.0)
    given |= {row: totals[row] + below if table.deep[row] else min(totals[row] + below, lowest) for row in rest}
    places = {row: place for place, row in enumerate(window)}
    return Reranked(table, (*ordered, *rest), given, ranker, context.personalization, below, places, whole, neutral)


def personal(name: str, table: Table) -> bool:
    """Whether a signal speaks of the user."""
    legs = {heard.leg.name for heard in table.legs if heard.leg.personal}
    part = part_of(name)
    return part in legs or part in _OF_THE_USER or name.endswith(_PERSONAL) or name == "query/evidence"


def matrix(names: Sequence[str], found: Mapping[str, NDArray[np.float64]], n: int) -> NDArray[np.float64]:
    """(n, names) float64, of the precision of float32, in which forests are trained; NaN for a signal that is not there."""
    rows = np.full((len(names), n), np.nan, np.float32)
    for row, name in zip(rows, names, strict=True):
        if name in found:
            row[:] = found[name]
    return np.ascontiguousarray(rows.T, np.float64)


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
        for leg, own in weighted.items():
            found[leg] = found.get(leg, 0.0) + shared * abs(own) / whole
    else:
        found[BASE] += shared
    return found
