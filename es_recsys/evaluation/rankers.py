"""Whatever answers a question: models and blends in memory, as callables `Query -> Ranking`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol, runtime_checkable

import numpy as np

from es_recsys.evaluation.questions import Question, who_asks
from es_recsys.models.base import Model
from es_recsys.models.ensemble import recommend
from es_recsys.models.histories import HistoryBatch
from es_recsys.types import History, Hit, Query, Ranking

__all__ = ["BlendRanker", "ManyRanker", "ModelRanker", "People", "Ranker", "ranking"]

Ranker = Callable[[Query], Ranking]

_TOGETHER = 256


@runtime_checkable
class ManyRanker(Protocol):
    """A ranker that has a quicker way for many questions at once."""

    def __call__(self, query: Query) -> Ranking: ...

    def many(self, queries: Sequence[Query]) -> Iterator[Ranking]:
        """The ranking of each query, in their order."""
        ...


class People:
    """What is known of those who ask: what a profile is for the served path."""

    def __init__(self, questions: Sequence[Question]) -> None:
        self._known = {question.who: (question.history, question.known) for question in questions if question.who}

    def of(self, query: Query) -> tuple[History, frozenset[str]]:
        """The asker's history, and the items to leave out. A history in the query stands for all that is known."""
        if query.history is not None:
            return History.of(query.history), frozenset(query.history) | query.exclude
        history, known = self._known.get(who_asks(query), (History(), frozenset()))
        disliked = {item for item, weight in zip(history.item_ids, history.weights.tolist(), strict=True) if weight < 0}
        return history, known | disliked | query.exclude


class ModelRanker:
    """A trained model alone."""

    def __init__(self, model: Model, people: People) -> None:
        self._model = model
        self._people = people

    def __call__(self, query: Query) -> Ranking:
        history, known = self._people.of(query)
        return ranking(self._model.recommend(history, query.n, known))

    def many(self, queries: Sequence[Query]) -> Iterator[Ranking]:
        ids = self._model.item_ids
        for begin in range(0, len(queries), _TOGETHER):
            some = [self._people.of(query) for query in queries[begin : begin + _TOGETHER]]
            places = [ids.find(sorted(known)) for _, known in some]
            excluded = [own[own >= 0].astype(np.int64) for own in places]
            n = max((query.n for query in queries[begin : begin + _TOGETHER]), default=0)
            batch = HistoryBatch.of([history for history, _ in some], ids)
            found = self._model.recommend_idx(batch, n, excluded)
            for query, (top, scores) in zip(queries[begin : begin + _TOGETHER], found, strict=True):
                yield ranking(list(zip(ids.names(top[: query.n]), scores[: query.n].tolist(), strict=True)))


class BlendRanker:
    """Several models with their shares, as the served answer weighs them."""

    def __init__(self, models: Mapping[str, Model], weights: Mapping[str, float], people: People) -> None:
        self._models = models
        self._weights = {name: weight for name, weight in weights.items() if name in models}
        self._people = people

    def __call__(self, query: Query) -> Ranking:
        history, known = self._people.of(query)
        return ranking(recommend(self._models, self._weights, history, query.n, known))


def ranking(scored: Sequence[tuple[str, float]]) -> Ranking:
    """A ranking of (item id, score), best first."""
    return Ranking(tuple(Hit(item, score, rank) for rank, (item, score) in enumerate(scored, 1)))


def asked(question: Question, n: int) -> Query:
    """The question as it is put."""
    return question.query.model_copy(update={"n": n})
