"""Items that no answer shows at a moment: those that have expired, and those of authors whom the user mutes.

The forward index knows them by id, and few ids cost nothing. Where there are many, Elasticsearch leaves them out by a filter,
which stays the same for a minute so that what it found is found again; what expired within that minute is left out by id.
"""

from __future__ import annotations

from collections.abc import Collection

from es_recsys.search.query_dsl import Clause
from es_recsys.search.request import RankingPolicy

__all__ = ["MOST_IDS", "hidden_items"]

MOST_IDS = 500
"""Items that are left out by id, at most."""

_STEP_S = 60.0


def hidden_items(
    policy: RankingPolicy, muted: Collection[str], now: float, most_ids: float | None = None
) -> tuple[frozenset[str], tuple[Clause, ...]]:
    """Return ids to leave out, and filters that leave out the rest. now: epoch seconds. most_ids: MOST_IDS unless given."""
    most_ids = MOST_IDS if most_ids is None else most_ids
    forward, fields = policy.forward, policy.metadata.fields
    if forward is None:
        clauses = [_expired_until(now)] if "expires_at" in fields else []
        return frozenset(), (*clauses, *([_written_by(muted)] if muted and "author" in fields else []))
    filters: list[Clause] = []
    ids = forward.expired(now, most=most_ids)
    if ids is None:
        until = now // _STEP_S * _STEP_S
        filters.append(_expired_until(until))
        ids = forward.expired(now, until) or frozenset()
    if muted:
        theirs = forward.written_by(muted, most_ids)
        if theirs is None:
            filters.append(_written_by(muted))
        else:
            ids |= theirs
    return ids, tuple(filters)


def _expired_until(moment: float) -> Clause:
    expired = {"range": {"expires_at": {"lte": int(moment * 1_000.0), "format": "epoch_millis"}}}
    return {"bool": {"must_not": [expired]}}


def _written_by(authors: Collection[str]) -> Clause:
    return {"bool": {"must_not": [{"terms": {"author": sorted(authors)}}]}}
