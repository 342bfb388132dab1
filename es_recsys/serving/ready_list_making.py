"""Make ready lists: the flow that computes one, for the job that stores them."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from es_recsys.errors import IndexStateError, InputError
from es_recsys.query import Answer, Query
from es_recsys.search.filters import parse_filters
from es_recsys.serving.answer_log import logged_features
from es_recsys.serving.answering import compute_answer
from es_recsys.serving.operations import Document, Flow
from es_recsys.serving.ranking_policy import ranking_policy
from es_recsys.serving.ready_lists import READY_HITS, is_plain, to_document
from es_recsys.serving.snapshot import ServingSnapshot
from es_recsys.serving.user_profiles import fetch_profile, profile_keys

__all__ = ["MadeList", "check_servable", "make_ready_list"]


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
    longer = query.model_copy(update={"n": READY_HITS, "explain": True}) if plain else query
    keys = profile_keys(snapshot, query)
    stored = yield from fetch_profile(snapshot, query, keys)
    filters = parse_filters(query.filter, snapshot.metadata.fields)
    policy = ranking_policy(snapshot)
    answer, situation = yield from compute_answer(snapshot, longer, filters, keys, stored, now, policy, started)
    document = None
    if plain and stored is not None and snapshot.forward is not None and not answer.ranking.degraded:
        hits, total = answer.hits, answer.ranking.total
        document = to_document(snapshot, hits, total, situation, logged_features(hits), now)
    cut = replace(answer, ranking=replace(answer.ranking, hits=answer.hits[: query.n]))
    return MadeList(query, cut, snapshot.metadata.profiles, keys[0] if keys else "", stored, document)
