"""Scores that several models give each user's candidates, laid out so that many weights of their ensemble can be tried."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from es_recsys.evaluation.holdout_split import HoldoutSplit
from es_recsys.evaluation.metrics import dcg, discounts, gains_of, ideal_dcg
from es_recsys.item_ids import ItemIds
from es_recsys.models.base import DEPTHS, Model
from es_recsys.top_k import ScoredItems
from es_recsys.training.aligned_models import AlignedModel
from es_recsys.training.model_trials import DEPTH

__all__ = ["Candidates"]

# Cells of users times candidates that are sorted at once.
_CELLS = 1 << 21


class Candidates:
    """Candidates of each user with the raw scores of all models, once for all weights.

    Lists of every model are in the union. The order is that of ensemble.py, in arrays: of u users and at most c candidates,
    places (u, c) int64, the item_idx of each candidate in the holdout split, ascending, -1 beyond the last; of each model raw (u,
    c) float32, listed (u, c) bool, whether its own list has the candidate, and best (u,), the first raw score of that list, 0
    where it is empty.
    """

    def __init__(self, part: HoldoutSplit, union: Sequence[NDArray[np.int64]], ids: ItemIds) -> None:
        """Lay out the candidates without scores of any model yet.

        union: each user's own candidates, ascending item_idx. ids: of the holdout split.
        """
        self._split = part
        self._ids = ids
        sizes = np.array([len(item_idx) for item_idx in union], np.int64)
        self._real = np.arange(max(int(sizes.max(initial=1)), 1)) < sizes[:, None]
        self._item_idx = _filled(self._real, union, -1)
        worth = part.gains or tuple(np.ones(len(one)) for one in part.targets)
        self._gains = _filled(self._real, [gains_of(*one) for one in zip(union, part.targets, worth, strict=True)])
        self._ideal = np.array([ideal_dcg(one, DEPTH) for one in worth])
        self._raw: dict[str, NDArray[np.float32]] = {}
        self._listed: dict[str, NDArray[np.bool_]] = {}
        self._best: dict[str, NDArray[np.float64]] = {}
        self._known: dict[frozenset[tuple[str, float]], NDArray[np.float64]] = {}

    def __len__(self) -> int:
        return len(self._split)

    @classmethod
    def of(cls, models: Mapping[str, Model], part: HoldoutSplit) -> Self:
        """Return the candidates that any of the models lists, with the scores of all of them."""
        ids = ItemIds.of(part.train.item_ids.tolist())
        aligned = {name: AlignedModel(model, ids) for name, model in models.items()}
        lists = {name: _lists(one, models[name], part) for name, one in aligned.items()}
        union = [np.unique(np.concatenate([own[user][0] for own in lists.values()])) for user in range(len(part))]
        made = cls(part, union, ids)
        for name, one in aligned.items():
            made._add(name, lists[name], one.score_idx(part.histories, union))
        return made

    def beside(self, name: str, model: Model) -> Self:
        """Return the same candidates with the list and scores of one model more.

        What it alone lists counts nothing for the models before: they don't score it, which makes the outcome a little too low
        for a model that others miss much of.
        """
        aligned = AlignedModel(model, self._ids)
        own = _lists(aligned, model, self._split)
        before = [item_idx[real] for item_idx, real in zip(self._item_idx, self._real, strict=True)]
        union = [np.union1d(old, item_idx) for old, (item_idx, _) in zip(before, own, strict=True)]
        more = type(self)(self._split, union, self._ids)
        at = more._having(before)
        more._raw = {other: _filled(at, raw[self._real]) for other, raw in self._raw.items()}
        more._listed = {other: _filled(at, listed[self._real]) for other, listed in self._listed.items()}
        more._best = dict(self._best)
        more._add(name, own, aligned.score_idx(self._split.histories, union))
        return more

    def each(self, weights: Mapping[str, float]) -> NDArray[np.float64]:
        """Return NDCG@20 (n_users,) of the ensemble with these weights, times `HoldoutSplit.user_weights`.

        Cached, as samples of users need the same weights.
        """
        key = frozenset((name, share) for name, share in weights.items() if share > 0.0)
        if key not in self._known:
            gains = np.concatenate([gains for _, gains in self._top(weights)])
            self._known[key] = dcg(gains) / self._ideal * self._split.user_weights
        return self._known[key]

    def next(self, weights: Mapping[str, float]) -> NDArray[np.float64]:
        """Return NDCG@20 (n_users,) of the ensemble where only the first target of each user is to be found, and all count alike.

        It doesn't depend on how long one waited for targets.
        """
        first = np.array([targets[0] for targets in self._split.targets], np.int64)
        item_idx = np.concatenate([item_idx for item_idx, _ in self._top(weights)])
        hits: NDArray[np.bool_] = item_idx == first[:, None]
        return hits @ discounts(item_idx.shape[1])

    def _add(self, name: str, lists: Sequence[ScoredItems], scores: Sequence[NDArray[np.float32]]) -> None:
        """Add a model: its own list of each user, and its scores of all candidates."""
        self._raw[name] = _filled(self._real, scores)
        self._listed[name] = self._having([item_idx for item_idx, _ in lists])
        self._best[name] = np.array([float(values[0]) if len(values) else 0.0 for _, values in lists])

    def _having(self, lists: Sequence[NDArray[np.int64]]) -> NDArray[np.bool_]:
        """Return which of a user's candidates are in the user's list, (u, c) bool.

        Every item of a list must be a candidate.
        """
        having = np.zeros(self._real.shape, bool)
        for user, item_idx in enumerate(lists):
            own = self._item_idx[user, : int(self._real[user].sum())]
            having[user, np.searchsorted(own, item_idx)] = True
        return having

    def _top(self, weights: Mapping[str, float]) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float64]]]:
        """Yield item_idx and gains of the top of each user's list, best first, for a block of users at a time.

        Ties are in the order of item_idx.
        """
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
            item_idx, gains = (np.take_along_axis(of[rows], at, axis=1) for of in (self._item_idx, self._gains))
            yield np.where(shown, item_idx, -1), np.where(shown, gains, 0.0)


def _lists(aligned: AlignedModel, model: Model, part: HoldoutSplit) -> list[ScoredItems]:
    return aligned.recommend_idx(part.histories, DEPTHS[model.kind], part.seen)


def _first(total: NDArray[np.float64], n: int) -> NDArray[np.int64]:
    """Return (u, n) columns of the largest of each row, largest first, ties by column."""
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
    """Return an array with the values of the rows, one after the other, where `where` is True.

    Elsewhere it has `otherwise`.
    """
    values = rows if isinstance(rows, np.ndarray) else np.concatenate(rows)
    filled = np.full(where.shape, otherwise, values.dtype)
    filled[where] = values
    return filled
