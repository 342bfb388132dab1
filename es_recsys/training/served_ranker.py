"""The served path as a ranker: queries go through the client's own flow, to Elasticsearch and back."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from es_recsys.errors import RecsysError
from es_recsys.evaluation.queries import EvalQuery, actor_of
from es_recsys.search.legs import LEGS
from es_recsys.serving.answering import answer
from es_recsys.serving.snapshot import ServingSnapshot
from es_recsys.serving.workspace import Workspace
from es_recsys.settings import Settings
from es_recsys.types import Query, Ranking

__all__ = ["Change", "ServedRanker", "one_leg", "without_interests", "without_person"]

Change = Callable[[ServingSnapshot], ServingSnapshot]
_TOGETHER = 32
# What a leg weighs beside those that answer, where the store's weights have nothing for it.
_BESIDE = 0.1


class ServedRanker:
    """Answers of a store as its clients get them, at the time of the query where that is known.

    change: what is different about the store for this ranker (see `one_leg`); None for nothing.
    """

    def __init__(self, work: Workspace, queries: Sequence[EvalQuery], change: Change | None = None) -> None:
        self._work = work
        self._when = {(one.actor, one.query.text): one.at for one in queries}
        self._change = change or (lambda snapshot: snapshot)

    def __call__(self, query: Query) -> Ranking:
        return self._work.run(lambda snapshot: answer(self._change(snapshot), query, self._at(query))).ranking

    def batch(self, queries: Sequence[Query]) -> Iterator[Ranking]:
        for begin in range(0, len(queries), _TOGETHER):
            some = queries[begin : begin + _TOGETHER]
            found = self._work.run_all(lambda snapshot, s=some: [answer(self._change(snapshot), q, self._at(q)) for q in s])  # type: ignore[misc]
            for one in found:
                yield Ranking() if isinstance(one, RecsysError) else one.ranking

    def _at(self, query: Query) -> float:
        when = self._when.get((actor_of(query), query.text), math.nan)
        return self._work.now() if math.isnan(when) else when


def without_person(snapshot: ServingSnapshot) -> ServingSnapshot:
    """The store for somebody of whom nothing is known, with the same items left out."""
    return replace(snapshot, settings=_with(snapshot, personalization=0.0))


def without_interests(snapshot: ServingSnapshot) -> ServingSnapshot:
    """The store where no interest of a user keeps places of its own."""
    return replace(snapshot, settings=_with(snapshot, interests=0))


def one_leg(name: str) -> Change:
    """The store with one leg alone; one that only orders what others find stays beside those that answer a search."""

    def change(snapshot: ServingSnapshot) -> ServingSnapshot:
        names = {*LEGS, *snapshot.models}
        own = snapshot.metadata.weights
        alone = {leg: float(leg == name) for leg in names}
        answering = name in LEGS and LEGS[name].answers
        beside = {leg: 0.0 for leg in names if leg != name and not (leg in LEGS and LEGS[leg].answers)}
        table = {**own.get("query", {}), **beside}
        if name not in table and name not in snapshot.models:
            table[name] = snapshot.settings.search.weights.query.get(name, _BESIDE)
        weights: Mapping[str, Mapping[str, float]] = {
            **own,
            "query": alone if answering else table,
            "no_query": alone,
            "new_user": alone,
        }
        return replace(snapshot, metadata=replace(snapshot.metadata, weights=weights, ranking={}), rankers={})

    return change


def _with(snapshot: ServingSnapshot, **changes: float) -> Settings:
    search = snapshot.settings.search.model_copy(update=changes)
    return snapshot.settings.model_copy(update={"search": search})
