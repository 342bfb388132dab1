"""A query as the request that `search` reads, its kind, and what makes two queries the same."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from es_recsys.dataset import Profile
from es_recsys.query import Query
from es_recsys.search.query_dsl import Clause
from es_recsys.search.request import RankingPolicy, Request
from es_recsys.serving.hidden_items import hidden_items
from es_recsys.values.unicode import nfc

__all__ = ["build_request", "query_identity", "query_kind"]


def build_request(
    query: Query,
    policy: RankingPolicy,
    profile: Profile | None,
    vectors: Mapping[str, NDArray[np.float32]],
    filters: Sequence[Clause],
    now: float,
    most_hidden_ids: float | None = None,
) -> Request:
    """Return the request.

    Left out by default are what the user of a recommendation has seen, and everywhere dislikes, items of muted authors and what
    has expired.

    vectors: vector field -> query vector. filters: clauses of `query.filter`. now: epoch seconds.
    most_hidden_ids: how many of the last two are left out by id and not by a filter, which a block of users can't have (None: as
    usual).

    Raises InputError.
    """
    settings = policy.settings
    exclude = frozenset(query.exclude)
    if profile is not None:
        exclude |= profile.disliked
        if query_kind(query) == "recommend":
            exclude |= profile.seen
    # A search body runs on the caller's own index, which a filter on ours says nothing of.
    most = math.inf if query.body is not None else most_hidden_ids
    muted = frozenset() if profile is None else profile.muted
    # Of nobody, the caller's own answer stays as it is.
    is_own = query.body is not None and profile is None
    hidden, clauses = (frozenset[str](), ()) if is_own else hidden_items(policy, muted, now, most)
    exclude |= hidden
    filters = [*filters, *clauses]
    if query.ids is not None:
        filters = [*filters, {"ids": {"values": list(query.ids)}}]
    return Request(
        now=now,
        text=nfc(query.text.strip()),
        vectors=vectors,
        filters=tuple(filters),
        exclude=exclude,
        muted=muted,
        max_per_author=settings.max_per_author if query.ids is None else 0,
        new_authors=settings.new_authors if query_kind(query) == "recommend" else 0.0,
        n=query.n,
        offset=query.offset,
        facets=query.facets,
        by_body=query.body is not None,
        explain=query.explain,
        personalization=settings.personalization if query.personalization is None else query.personalization,
        diversity=settings.diversity if query.diversity is None else query.diversity,
        popularity_dial=settings.popularity if query.popularity is None else query.popularity,
        calibration=settings.calibration if query.calibration is None else query.calibration,
    )


def query_kind(query: Query) -> str:
    """Return "rank", "similar", "bought_together", "buy_again", "search" or "recommend"."""
    if query.ids is not None:
        return "rank"
    if query.bought_with is not None:
        return "bought_together"
    if query.repeat:
        return "buy_again"
    if query.like is not None:
        return "similar"
    return "search" if query.has_content or query.body is not None else "recommend"


def query_identity(query: Query) -> tuple[Any, ...]:
    """Return what is asked, whichever page of it."""
    filters = sorted(query.filter.items()) if isinstance(query.filter, Mapping) else list(query.filter)
    media = [(kind, hashlib.sha256(content).hexdigest()) for kind, content in query.media.items()]
    words = query.text.strip().lower() if query.body is None else _body_identity(query)
    return query_kind(query), words, media, query.like or query.bought_with, query.history, filters


def _body_identity(query: Query) -> str:
    """Return a body as text, whichever page of it."""
    body = {name: value for name, value in (query.body or {}).items() if name not in ("from", "size")}
    return f"{query.source_index} {json.dumps(body, sort_keys=True, default=str)}"
