"""What several models say of each user's candidates, laid out so that many weights of their blend can be tried."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from es_recsys.models.asked import Asked
from es_recsys.models.base import DEPTHS, Model
from es_recsys.models.ids import ItemIds
from es_recsys.models.slices import Slice, found_in, ideal
from es_recsys.models.trials import DEPTH

__all__ = ["Candidates"]

# Cells of users times candidates that are sorted at once.
_CELLS = 1 << 21


class Candidates:
    """Each user's candidates with all raw scores, once for all weights: lists of every model are in the union.

    The order is that of blend.py, in arrays: of u users and at most c candidates, places (u, c) int64 in the slice's ids,
    ascending, -1 beyond the last; of each model raw (u, c) float32, listed (u, c) bool, whether its own list has the
    candidate, and best (u,), the first raw score of that list, 0 where it is empty.
    """

    def __init__(self, models: Mapping[str, Model], part: Slice) -> None:
        self._slice = part
        self._ids = ItemIds.of(part.train.item_ids.tolist())
        asked = {name: Asked(model, self._ids) for name, model in models.items()}
        lists = {name: one.top(part.histories, DEPTHS[models[name].kind], part.known) for name, one in asked.items()}
        union = [np.unique(np.concatenate([own[user][0] for own in lists.values()])) for user in range(len(part))]
        self._lay_out(union)
        self._raw = {name: _filled(self._real, one.scores_at(part.histories, union)) for name, one in asked.items()}
        self._listed = {name: self._having([places for places, _ in own]) for name, own in lists.items()}
        self._best = {name: _firsts(own) for name, own in lists.items()}

    def beside(self, name: str, model: Model) -> Self:
        """The same with one model more. What it alone lists counts nothing for the models before: they are not asked
        again, which makes the outcome a little too low for a model that others miss much of."""
        asked = Asked(model, self._ids)
        own = asked.top(self._slice.histories, DEPTHS[model.kind], self._slice.known)
        before = [places[real] for places, real in zip(self._places, self._real, strict=True)]
        union = [np.union1d(old, places) for old, (places, _) in zip(before, own, strict=True)]
        more = object.__new__(type(self))
        more._slice, more._ids = self._slice, self._ids
        more._lay_out(union)
        at = more._having(before)
        more._raw = {other: _filled(at, raw[self._real]) for other, raw in self._raw.items()}
        more._listed = {other: _filled(at, listed[self._real]) for other, listed in self._listed.items()}
        more._raw[name] = _filled(more._real, asked.scores_at(self._slice.histories, union))
        more._listed[name] = more._having([places for places, _ in own])
        more._best = {**self._best, name: _firsts(own)}
        return more

    def each(self, weights: Mapping[str, float]) -> NDArray[np.float64]:
        """(n_users,) NDCG of each user with these weights, times what the user is worth (`Slice.worth`); remembered, as
        samples of users ask for the same weights."""
        key = frozenset((name, share) for name, share in weights.items() if share > 0.0)
        if key not in self._known:
            gains = np.concatenate([gains for _, gains in self._top(weights)])
            discount = 1.0 / np.log2(np.arange(2, gains.shape[1] + 2))
            self._known[key] = gains @ discount / self._ideal * self._slice.worth
        return self._known[key]

    def next(self, weights: Mapping[str, float]) -> NDArray[np.float64]:
        """(n_users,) the same where only the first target of each user is to be found, and all count alike."""
        first = np.array([targets[0] for targets in self._slice.targets], np.int64)
        places = np.concatenate([places for places, _ in self._top(weights)])
        hits: NDArray[np.bool_] = places == first[:, None]
        return hits @ (1.0 / np.log2(np.arange(2, places.shape[1] + 2)))

    def _lay_out(self, union: Sequence[NDArray[np.int64]]) -> None:
        sizes = np.array([len(places) for places in union], np.int64)
        self._real = np.arange(max(int(sizes.max(initial=1)), 1)) < sizes[:, None]
        self._places = _filled(self._real, union, -1)
        targets, worth = self._slice.targets, self._slice.gains or tuple(np.ones(len(one)) for one in self._slice.targets)
        self._gains = _filled(self._real, [found_in(*one) for one in zip(union, targets, worth, strict=True)])
        self._ideal = np.array([ideal(one, DEPTH) for one in worth])
        self._known: dict[frozenset[tuple[str, float]], NDArray[np.float64]] = {}

    def _having(self, lists: Sequence[NDArray[np.int64]]) -> NDArray[np.bool_]:
        """(u, c) bool: which of a user's candidates are in the list, all of which are candidates."""
        having = np.zeros(self._real.shape, bool)
        for user, places in enumerate(lists):
            own = self._places[user, : int(self._real[user].sum())]
            having[user, np.searchsorted(own, places)] = True
        return having

    def _top(self, weights: Mapping[str, float]) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float64]]]:
        """Of a block of users, the places and the gains of what they get, best first; ties in the order of places."""
        # A model without weight brings no candidates either.
        used = [name for name, weight in weights.items() if weight > 0.0]
        users, width = self._real.shape
        step = max(1, _CELLS // width)
        for begin in range(0, users, step):
            rows = slice(begin, begin + step)
            there = np.logical_or.reduce([self._listed[name][rows] for name in used])
            total = np.zeros(there.shape)
            for name in used:
                best = self._best[name][rows, None]
                total += np.where(best > 0.0, weights[name] / np.where(best > 0.0, best, 1.0), 0.0) * self._raw[name][rows]
            total[~there] = -np.inf
            at = _first(total, min(DEPTH, width))
            shown = np.take_along_axis(there, at, axis=1)
            places, gains = (np.take_along_axis(of[rows], at, axis=1) for of in (self._places, self._gains))
            yield np.where(shown, places, -1), np.where(shown, gains, 0.0)


def _first(total: NDArray[np.float64], n: int) -> NDArray[np.int64]:
    """(u, n) columns of the largest of each row, largest first, ties by column."""
    if n < total.shape[1]:
        least = -np.partition(-total, n - 1, axis=1)[:, n - 1 : n]
        above, level = total > least, total == least
        chosen = above | (level & (np.cumsum(level, axis=1) <= n - above.sum(axis=1, keepdims=True)))
        columns = np.nonzero(chosen)[1].reshape(-1, n)
    else:
        columns = np.broadcast_to(np.arange(n), total.shape)
    order = np.argsort(-np.take_along_axis(total, columns, axis=1), axis=1, kind="stable")
    return np.take_along_axis(columns, order, axis=1)


def _filled(where: NDArray[np.bool_], rows: Sequence[NDArray[Any]] | NDArray[Any], otherwise: int = 0) -> NDArray[Any]:
    """The values of the rows, one after the other, at the places that are True."""
    values = rows if isinstance(rows, np.ndarray) else np.concatenate(rows)
    filled = np.full(where.shape, otherwise, values.dtype)
    filled[where] = values
    return filled


def _firsts(lists: Sequence[tuple[NDArray[np.int64], NDArray[np.float32]]]) -> NDArray[np.float64]:
    return np.array([float(scores[0]) if len(scores) else 0.0 for _, scores in lists])
