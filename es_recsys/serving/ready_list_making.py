"""Make ready lists, for the job that stores them: many by blocks, or the flow that computes one."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from es_recsys.blas import on_one_thread
from es_recsys.dataset import History
from es_recsys.errors import IndexStateError, InputError, RecsysError
from es_recsys.forward_index import ForwardIndex
from es_recsys.query import Answer, Hit, Query
from es_recsys.search.explain import explain_hit
from es_recsys.search.filters import parse_filters
from es_recsys.search.score import content_vector_field, history_ids
from es_recsys.serving.answer_log import logged_features
from es_recsys.serving.answering import compute_answer
from es_recsys.serving.block_answers import BlockAnswering, PreparedQuery, Ranked, can_block
from es_recsys.serving.drivers import Driver
from es_recsys.serving.joined_flows import run_all
from es_recsys.serving.operations import Document, Flow
from es_recsys.serving.ranking_policy import ranking_policy
from es_recsys.serving.ready_lists import READY_HITS, is_plain, to_document
from es_recsys.serving.snapshot import ServingSnapshot
from es_recsys.serving.user_profiles import fetch_profile, profile_keys

__all__ = ["MadeList", "can_make_by_block", "check_servable", "make_ready_list", "make_ready_lists"]


@dataclass(frozen=True, slots=True)
class MadeList:
    """A computed answer, and the ready list to store with the profile that it was made from.

    key, stored: of the profile, in `index`. document: the list; None where there is no profile, something failed, or the query is
    no plain recommendation, so that none is to be stored.
    """

    query: Query
    answer: Answer
    index: str
    key: str
    stored: Document | None
    document: Mapping[str, Any] | None


def check_servable(snapshot: ServingSnapshot) -> None:
    """Raise InputError or IndexStateError where no list would be served."""
    settings = snapshot.settings.search
    if settings.ready_hours == 0.0:
        raise InputError("Ready lists are turned off: search.ready_hours is 0.", "Set the hours for which a list serves.")
    if settings.exploration > 0.0:
        raise InputError(
            f"No ready list would be served: search.exploration is {settings.exploration:g}, which leaves each answer to chance.",
            "Set it to 0, or do without ready lists.",
        )
    if snapshot.forward is None:
        raise IndexStateError(
            f"{snapshot.metadata.index} has no forward index here, by which a list is seen to hold items that changed.",
            "Load the catalogue again (es-recsys items load) or train, which makes it.",
        )


def make_ready_list(snapshot: ServingSnapshot, query: Query, now: float) -> Flow[MadeList]:
    """Compute a recommendation, which isn't logged, as nobody has seen it, and its ready list.

    query: n is READY_HITS at most. Raises what `compute_answer` does.
    """
    started = time.perf_counter()
    plain = is_plain(query, snapshot.settings.search)
    longer = _longer(query) if plain else query
    keys = profile_keys(snapshot, query)
    stored = yield from fetch_profile(snapshot, query, keys)
    filters = parse_filters(query.filter, snapshot.metadata.fields)
    policy = ranking_policy(snapshot)
    answer, situation = yield from compute_answer(snapshot, longer, filters, keys, stored, now, policy, started)
    return _made(snapshot, query, answer, keys, stored, plain, situation, now)


def can_make_by_block(snapshot: ServingSnapshot, query: Query) -> bool:
    """Return whether `make_ready_lists` can make the list of a query."""
    return can_block(snapshot, query) and snapshot.settings.search.depth >= READY_HITS


def make_ready_lists(
    blocks: BlockAnswering, driver: Driver, queries: Sequence[Query], now: float
) -> list[MadeList | RecsysError]:
    """Do the same for many queries for which `can_make_by_block`, an error in the place of one that can't be answered."""
    started = time.perf_counter()
    snapshot = blocks.snapshot
    plain = [is_plain(query, snapshot.settings.search) for query in queries]
    longer = [_longer(query) if own else query for query, own in zip(queries, plain, strict=True)]
    found = run_all(driver, [blocks.ask(query, now) for query in longer])
    ranked = blocks.rank(driver, [asked for asked in found if isinstance(asked, PreparedQuery)])
    made: list[MadeList | RecsysError] = []
    for query, own, asked in zip(queries, plain, found, strict=True):
        if isinstance(asked, RecsysError):
            made.append(asked)
            continue
        one = next(ranked)
        hits = blocks.hits(one)
        if own and asked.stored is not None:
            hits = on_one_thread(_with_reasons, blocks, one, hits)
        answer = blocks.to_answer(one, hits, started)
        made.append(_made(snapshot, query, answer, asked.keys, asked.stored, own, one.page.situation, now))
    return made


def _longer(query: Query) -> Query:
    return query.model_copy(update={"n": READY_HITS, "explain": True})


def _made(
    snapshot: ServingSnapshot,
    query: Query,
    answer: Answer,
    keys: Sequence[str],
    stored: Document | None,
    plain: bool,
    situation: str,
    now: float,
) -> MadeList:
    """Return what was made of a query. answer: to the longer one, where it is plain."""
    document = None
    if plain and stored is not None and snapshot.forward is not None and not answer.ranking.degraded:
        hits, total = answer.hits, answer.ranking.total
        document = to_document(snapshot, hits, total, situation, logged_features(hits), now)
    cut = replace(answer, ranking=replace(answer.ranking, hits=answer.hits[: query.n]))
    return MadeList(query, cut, snapshot.metadata.profiles, keys[0] if keys else "", stored, document)


def _with_reasons(blocks: BlockAnswering, one: Ranked, hits: Sequence[Hit]) -> tuple[Hit, ...]:
    """Return the hits with reasons, and those of some lists with the features that the answer log keeps."""
    forward = blocks.forward
    user = replace(one.user, explainers=blocks.reasons(one, [hit.item_id for hit in hits]))
    field = content_vector_field(blocks.policy)
    vectors: list[NDArray[np.float32] | None] = [None] * len(hits)
    history: Mapping[str, NDArray[np.float32]] = {}
    if field is not None and user.tastes:
        vectors = [vector if vector.any() else None for vector in forward.vectors(field, one.page.rows)]
        history = _history_vectors(forward, field, user.history)
    explained = [explain_hit(user, hit, vector, history) for hit, vector in zip(hits, vectors, strict=True)]
    return blocks.with_features(one, tuple(explained))


def _history_vectors(forward: ForwardIndex, field: str, history: History) -> dict[str, NDArray[np.float32]]:
    """Return item id -> vector of the newest items of a history, by id, as explanations by content compare them."""
    ids = sorted(history_ids(history))
    vectors = forward.vectors(field, forward.rows(ids))
    return {item_id: vector for item_id, vector in zip(ids, vectors, strict=True) if vector.any()}
