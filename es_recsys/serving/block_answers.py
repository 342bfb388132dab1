"""Answer plain recommendations of many users by blocks: one read of their profiles, and matrices for all of them.

What a block can't do is left to `answering`, which gives the same answers one by one.
"""

from __future__ import annotations

import math
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from es_recsys.batching import batched
from es_recsys.blas import one_thread
from es_recsys.dataset import History, Profile
from es_recsys.errors import RecsysError
from es_recsys.models.base import FactorModel, Model
from es_recsys.models.types import HistoryBatch
from es_recsys.models.userknn import UserKNN
from es_recsys.query import Answer, Hit, Query, Ranking
from es_recsys.search.block_ranking import ModelRows, RankedRows, rank_block
from es_recsys.search.features import base_features
from es_recsys.search.interests import Interests, find_interests_of_users
from es_recsys.search.request import Explainer, Request, UserState
from es_recsys.search.retrievers import AUTHOR
from es_recsys.serving.answer_log import answer_record
from es_recsys.serving.drivers import Driver
from es_recsys.serving.joined_flows import run_all
from es_recsys.serving.operations import Document, Flow, LogAnswer
from es_recsys.serving.ranking_policy import ranking_policy
from es_recsys.serving.ready_lists import ready_answer
from es_recsys.serving.requests import build_request, query_kind
from es_recsys.serving.snapshot import ServingSnapshot
from es_recsys.serving.user_interests import liked_vectors
from es_recsys.serving.user_profiles import fetch_profile, profile_keys, read_profile

__all__ = ["BLOCK_SIZE", "BlockAnswering", "PreparedQuery", "Ranked", "can_block"]

BLOCK_SIZE = 128
"""Users whose answers are computed together, at most."""

# Scores, users times items, that a matrix holds: 32 MiB.
_CELLS = 1 << 23
# With more, a search of a graph takes less time than a product with all items.
_MAX_ITEMS = 200_000


def can_block(snapshot: ServingSnapshot, query: Query) -> bool:
    """Return whether a query is a recommendation that needs nothing but profiles, models and the forward index."""
    settings, forward = snapshot.settings.search, snapshot.forward
    return (
        forward is not None
        and len(forward) <= _MAX_ITEMS
        and snapshot.metadata.vectors.keys() <= forward.dims.keys()
        and snapshot.metadata.variants is None
        and UserKNN.name not in snapshot.models
        and not snapshot.rankers.keys() & {"no_query", "new_user"}
        and settings.fusion == "weighted"
        and not (settings.max_per_author or settings.new_authors)
        and AUTHOR not in {**settings.weights.no_query, **snapshot.metadata.retriever_weights.get("no_query", {})}
        and AUTHOR not in settings.fixed_weights
        and not settings.log_features
        and query_kind(query) == "recommend"
        and query.session_id is None
        and not (query.filter or query.facets or query.explain)
        and query.offset + query.n <= settings.depth
        and (settings.diversity if query.diversity is None else query.diversity) == 0.0
        and (settings.popularity if query.popularity is None else query.popularity) == 0.0
        and (settings.calibration if query.calibration is None else query.calibration) == 0.0
        and (settings.exploration if query.explore is None else query.explore) == 0.0
    )


@dataclass(frozen=True, slots=True, eq=False)
class PreparedQuery:
    """A query, and what it is answered from.

    keys, stored: profile keys of the user, and the profile as it is stored. profile: None where nothing is known or wanted of
    the user.
    """

    query: Query
    keys: Sequence[str]
    stored: Document | None
    request: Request
    profile: Profile | None


@dataclass(frozen=True, slots=True, eq=False)
class Ranked:
    """The page of a query. user: without what models of neighbours say. degraded: names of what failed."""

    asked: PreparedQuery
    user: UserState
    page: RankedRows
    degraded: tuple[str, ...]


class BlockAnswering:
    """Answers queries for which `can_block`, by one snapshot. Thread-safe."""

    def __init__(self, snapshot: ServingSnapshot) -> None:
        forward = snapshot.forward
        assert forward is not None
        self.snapshot, self.forward, self.policy = snapshot, forward, ranking_policy(snapshot)
        self._vectors = {name: model for name, model in snapshot.models.items() if isinstance(model, FactorModel)}
        self._lists = {name: model for name, model in snapshot.models.items() if name not in self._vectors}
        self._rows = {name: ModelRows.of(model.item_ids, forward) for name, model in self._lists.items()}

    def answer(
        self, driver: Driver, queries: Sequence[Query], now: float, *, logs_features: bool = False
    ) -> list[Answer | RecsysError]:
        """Answer queries of one time (epoch seconds), an error in the place of one that can't be answered, and log them.

        logs_features: whether a sample is logged with its features; not of answers that nobody has seen yet.
        """
        started = time.perf_counter()
        found = run_all(driver, [self._ready_or_asked(query, now, started) for query in queries])
        records = []

        def answered(ranked: Ranked) -> Answer:
            hits, asked = self.hits(ranked), ranked.asked
            answer = self.to_answer(ranked, self.with_features(ranked, hits) if logs_features else hits, started)
            records.append(answer_record(self.snapshot, asked.query, answer, ranked.page.situation, asked.keys, now))
            return answer

        answers = map(answered, self.rank(driver, [one for one in found if isinstance(one, PreparedQuery)]))
        all_answers = [next(answers) if isinstance(one, PreparedQuery) else one for one in found]
        driver.log.write(records)
        return all_answers

    def _ready_or_asked(self, query: Query, now: float, started: float) -> Flow[PreparedQuery | Answer]:
        """Return the answer of a ready list, logged, where there is one."""
        keys = profile_keys(self.snapshot, query)
        stored = yield from fetch_profile(self.snapshot, query, keys)
        if (ready := ready_answer(self.snapshot, query, stored, keys, now, started)) is not None:
            yield LogAnswer(ready[1])
            return ready[0]
        return (yield from self._asked(query, keys, stored, now))

    def ask(self, query: Query, now: float) -> Flow[PreparedQuery]:
        """Read what a query is answered from. now: epoch seconds."""
        keys = profile_keys(self.snapshot, query)
        stored = yield from fetch_profile(self.snapshot, query, keys)
        return (yield from self._asked(query, keys, stored, now))

    def _asked(self, query: Query, keys: Sequence[str], stored: Document | None, now: float) -> Flow[PreparedQuery]:
        profile = yield from read_profile(self.snapshot, query, stored, now)
        request = build_request(query, self.policy, profile, {}, (), now, math.inf)
        return PreparedQuery(query, keys, stored, request, profile if request.personalization > 0.0 else None)

    def rank(self, driver: Driver, asked: Sequence[PreparedQuery]) -> Iterator[Ranked]:
        """Yield the page of each query, all of one time."""
        for block in batched(asked, max(min(BLOCK_SIZE, _CELLS // max(self.forward.end, 1)), 1)):
            with one_thread():
                users, failed = self._user_states(driver, block)
                scores = self._scores_of_users([one.profile for one in block])
                pages = rank_block([one.request for one in block], users, self.policy, self._rows, scores)
            for one, user, page, names in zip(block, users, pages, failed, strict=True):
                yield Ranked(one, user, page, (*self.snapshot.removed_models, *names))

    def hits(self, ranked: Ranked) -> tuple[Hit, ...]:
        """Return the hits of a page, without reasons."""
        page = ranked.page
        documents = zip(self.forward.item_ids(page.rows), self.forward.documents(page.rows), strict=True)
        scored = zip(documents, page.scores.tolist(), page.parts(), strict=True)
        return tuple(
            Hit(item_id, score, rank, parts, title=str(document.get("title", "")), source=document)
            for rank, ((item_id, document), score, parts) in enumerate(scored, start=ranked.asked.request.offset + 1)
        )

    def with_features(self, ranked: Ranked, hits: tuple[Hit, ...]) -> tuple[Hit, ...]:
        """Return the hits with the features that the answer log keeps, where this answer is in the sample."""
        if not hits or not self.policy.logs_answers or not self.snapshot.feature_sampler.take():
            return hits
        page = ranked.page
        scored = page.scored(self.forward, [hit.source for hit in hits])
        columns = base_features(ranked.asked.request, ranked.user, self.policy, scored, range(len(hits)))
        columns |= {"sum/gap": page.best - page.scores, "sum/rank": page.ranks.astype(np.float64)}
        values = np.column_stack(list(columns.values())).tolist()
        return tuple(
            replace(hit, features={name: value for name, value in zip(columns, own, strict=True) if math.isfinite(value)})
            for hit, own in zip(hits, values, strict=True)
        )

    def to_answer(self, ranked: Ranked, hits: tuple[Hit, ...], started: float) -> Answer:
        """Return the answer with these hits. started: `time.perf_counter()`."""
        ranking = Ranking(hits, ranked.page.total, ranked.degraded)
        return Answer(str(uuid.uuid4()), "recommend", ranking, (time.perf_counter() - started) * 1_000.0)

    def reasons(self, ranked: Ranked, item_ids: Sequence[str]) -> Mapping[str, Explainer]:
        """Return model -> the user's items that it recommends some items for; each model is asked once for all of them."""
        profile = ranked.asked.profile
        if profile is None:
            return {}
        return {name: _Reasons(model, profile.history, item_ids) for name, model in self.snapshot.models.items()}

    def _user_states(self, driver: Driver, block: Sequence[PreparedQuery]) -> tuple[list[UserState], list[tuple[str, ...]]]:
        """Return the user state of each query, without what models of neighbours say, and names of what failed."""
        profiles = [one.profile or Profile("") for one in block]
        vectors = {name: self._user_vectors(model, profiles) for name, model in self._vectors.items()}
        interests, failed = self._interests(driver, profiles)
        users = [
            UserState(
                tastes=profile.tastes,
                factors={name: rows[k] for name, rows in vectors.items() if rows[k].any()},
                history=profile.history,
                affinities=profile.affinities,
                followed=profile.followed,
                price=profile.price,
                strength=profile.strength,
                interests=interests[k],
            )
            for k, profile in enumerate(profiles)
        ]
        return users, failed

    def _interests(self, driver: Driver, profiles: Sequence[Profile]) -> tuple[list[Interests | None], list[tuple[str, ...]]]:
        """Return the interests of each user, and names of what failed."""
        found: list[Interests | None] = [None] * len(profiles)
        read = [driver.run(liked_vectors(self.snapshot, self.policy, profile)) for profile in profiles]
        places = [place for place, (liked, _) in enumerate(read) if liked is not None]
        if places:
            some = [liked for liked, _ in read if liked is not None]
            each = [(liked.vectors, liked.weights) for liked in some]
            clusters = find_interests_of_users(some[0].field, each, self.policy.settings.interests)
            for place, interests in zip(places, clusters, strict=True):
                found[place] = interests
        return found, [failed for _, failed in read]

    def _user_vectors(self, model: FactorModel, profiles: Sequence[Profile]) -> NDArray[np.float32]:
        return model.user_vectors(HistoryBatch.of([profile.history for profile in profiles], model.item_ids))

    def _scores_of_users(self, profiles: Sequence[Profile | None]) -> Iterator[Mapping[str, NDArray[np.float32]]]:
        """Yield what the models of neighbours score all items for each user, nothing for nobody in particular."""
        histories = [profile.history for profile in profiles if profile is not None]
        each = {name: model.scores_of_users(HistoryBatch.of(histories, model.item_ids)) for name, model in self._lists.items()}
        for profile in profiles:
            yield {} if profile is None else {name: next(scores) for name, scores in each.items()}


class _Reasons:
    """Explainer of some items by a model, which is asked for all of them at the first."""

    def __init__(self, model: Model, history: History, item_ids: Sequence[str]) -> None:
        self._model, self._history, self._item_ids = model, history, item_ids
        self._found: dict[str, tuple[str, ...]] | None = None

    def __call__(self, item_id: str) -> tuple[str, ...]:
        if self._found is None:
            reasons = self._model.explain_items(self._history, self._item_ids)
            self._found = dict(zip(self._item_ids, reasons, strict=True))
        return self._found[item_id]
