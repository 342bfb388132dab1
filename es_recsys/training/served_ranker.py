"""Ranker of the served path: queries go through the client's own flow, to Elasticsearch and back."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from es_recsys.errors import RecsysError
from es_recsys.evaluation.queries import EvalQuery, actor_of
from es_recsys.query import Answer, Query, Ranking
from es_recsys.search.request import RankingPolicy
from es_recsys.search.retriever_weights import SEARCH_KINDS
from es_recsys.search.retrievers import RETRIEVERS
from es_recsys.serving.answering import execute
from es_recsys.serving.operations import Flow
from es_recsys.serving.ranking_policy import ranking_policy
from es_recsys.serving.snapshot import ServingSnapshot
from es_recsys.serving.workspace import Workspace

__all__ = ["Change", "ServedRanker", "only_retriever", "without_interests", "without_person"]

Change = Callable[[RankingPolicy], RankingPolicy]
_TOGETHER = 32
# Weight of a retriever beside those that match a query, where the store has none for it.
_DEFAULT_WEIGHT = 0.1


class ServedRanker:
    """Ranker that gives a store's answers as its clients get them, at the time of the query where that is known.

    change: of the store's ranking policy for this ranker (see `only_retriever`); None for nothing.
    """

    def __init__(self, work: Workspace, queries: Sequence[EvalQuery], change: Change | None = None) -> None:
        self._work = work
        self._when = {(one.actor, one.query.text, one.query.ids): one.timestamp for one in queries}
        self._change = change

    def __call__(self, query: Query) -> Ranking:
        return self._work.run(lambda snapshot: self._answer(snapshot, query)).ranking

    def batch(self, queries: Sequence[Query]) -> Iterator[Ranking]:
        for begin in range(0, len(queries), _TOGETHER):
            some = queries[begin : begin + _TOGETHER]
            found = self._work.run_all(lambda snapshot, s=some: [self._answer(snapshot, q) for q in s])  # type: ignore[misc]
            for one in found:
                yield Ranking() if isinstance(one, RecsysError) else one.ranking

    def _answer(self, snapshot: ServingSnapshot, query: Query) -> Flow[Answer]:
        policy = ranking_policy(snapshot)
        return execute(snapshot, query, self._at(query), policy if self._change is None else self._change(policy))

    def _at(self, query: Query) -> float:
        when = self._when.get((actor_of(query), query.text, query.ids), math.nan)
        return self._work.now() if math.isnan(when) else when


def without_person(policy: RankingPolicy) -> RankingPolicy:
    """Return the policy for somebody of whom nothing is known, with the same items left out."""
    return _with_settings(policy, personalization=0.0)


def without_interests(policy: RankingPolicy) -> RankingPolicy:
    """Return the policy where no interest of a user keeps slots."""
    return _with_settings(policy, interests=0)


def only_retriever(name: str) -> Change:
    """Return the change of a policy to one retriever alone.

    One that only orders what others find stays beside those that match a query.
    """

    def change(policy: RankingPolicy) -> RankingPolicy:
        names = {*RETRIEVERS, *policy.metadata.models}
        matching = {one for one, retriever in RETRIEVERS.items() if retriever.matches_query}
        given = policy.retriever_weights
        alone = {one: float(one == name) for one in names}
        table = {**given.get("query", {}), **dict.fromkeys(names - matching - {name}, 0.0)}
        if name not in table and name not in policy.metadata.models:
            table[name] = policy.settings.weights.query.get(name, _DEFAULT_WEIGHT)
        given = {situation: weights for situation, weights in given.items() if situation not in SEARCH_KINDS}
        weights = {**given, "query": alone if name in matching else table, "no_query": alone, "new_user": alone}
        return replace(policy, retriever_weights=weights, rankers={})

    return change


def _with_settings(policy: RankingPolicy, **changes: float) -> RankingPolicy:
    return replace(policy, settings=policy.settings.model_copy(update=changes))
