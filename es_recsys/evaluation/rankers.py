"""Rankers, callables `Query -> Ranking`: models and ensembles in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol, runtime_checkable

import numpy as np

from es_recsys.dataset import History
from es_recsys.evaluation.queries import EvalQuery, actor_of
from es_recsys.models.base import Model
from es_recsys.models.ensemble import recommend
from es_recsys.models.types import HistoryBatch
from es_recsys.query import Hit, Query, Ranking

__all__ = ["BatchRanker", "EnsembleRanker", "EvalUsers", "ModelRanker", "Ranker", "ranking"]

Ranker = Callable[[Query], Ranking]

_TOGETHER = 256


@runtime_checkable
class BatchRanker(Protocol):
    """A ranker that has a quicker way for many queries at once."""

    def __call__(self, query: Query) -> Ranking: ...

    def batch(self, queries: Sequence[Query]) -> Iterator[Ranking]:
        """Yield the ranking of each query, in their order."""
        ...


class EvalUsers:
    """Histories of the evaluated users, as profiles hold them for the served path."""

    def __init__(self, queries: Sequence[EvalQuery]) -> None:
        self._of_user = {query.actor: (query.history, query.seen) for query in queries if query.actor}

    def of(self, query: Query) -> tuple[History, frozenset[str]]:
        """Return the user's history, and the items to leave out.

        A history in the query stands for all that is known.
        """
        if query.history is not None:
            return History.of(query.history), frozenset(query.history) | query.exclude
        history, seen = self._of_user.get(actor_of(query), (History(), frozenset()))
        disliked = {item for item, weight in zip(history.item_ids, history.weights.tolist(), strict=True) if weight < 0}
        return history, seen | disliked | query.exclude


class ModelRanker:
    """Ranker by one trained model alone."""

    def __init__(self, model: Model, users: EvalUsers) -> None:
        self._model = model
        self._users = users

    def __call__(self, query: Query) -> Ranking:
        history, seen = self._users.of(query)
        return ranking(self._model.recommend(history, query.n, seen))

    def batch(self, queries: Sequence[Query]) -> Iterator[Ranking]:
        ids = self._model.item_ids
        for begin in range(0, len(queries), _TOGETHER):
            some = [self._users.of(query) for query in queries[begin : begin + _TOGETHER]]
            found = [ids.find(sorted(seen)) for _, seen in some]
            excluded = [own[own >= 0].astype(np.int64) for own in found]
            n = max((query.n for query in queries[begin : begin + _TOGETHER]), default=0)
            batch = HistoryBatch.of([history for history, _ in some], ids)
            tops = self._model.recommend_idx(batch, n, excluded)
            for query, (top, scores) in zip(queries[begin : begin + _TOGETHER], tops, strict=True):
                yield ranking(list(zip(ids.take(top[: query.n]), scores[: query.n].tolist(), strict=True)))


class EnsembleRanker:
    """Ranker by an ensemble: several models with their weights, as the served answer weighs them."""

    def __init__(self, models: Mapping[str, Model], weights: Mapping[str, float], users: EvalUsers) -> None:
        self._models = models
        self._weights = {name: weight for name, weight in weights.items() if name in models}
        self._users = users

    def __call__(self, query: Query) -> Ranking:
        history, seen = self._users.of(query)
        return ranking(recommend(self._models, self._weights, history, query.n, seen))


def ranking(scored: Sequence[tuple[str, float]]) -> Ranking:
    """Return a ranking of (item id, score), best first."""
    return Ranking(tuple(Hit(item, score, rank) for rank, (item, score) in enumerate(scored, 1)))
