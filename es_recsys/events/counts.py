"""How many events a store has, and how many of them don't count."""

from __future__ import annotations

import sqlalchemy as sa

from es_recsys.events.schema import EVENTS
from es_recsys.events.store import EventStore

__all__ = ["count_reasons"]


def count_reasons(store: EventStore) -> tuple[int, dict[str, int]]:
    """-> how many events count; reason -> how many are set aside for it, most first."""
    number = sa.func.count()
    query = sa.select(EVENTS.c.quarantine, number).where(EVENTS.c.store == store.store).group_by(EVENTS.c.quarantine)
    with store.database.reading() as connection:
        counts = list(connection.execute(query.order_by(number.desc())))
    kept = sum(count for reason, count in counts if reason is None)
    return kept, {reason: count for reason, count in counts if reason is not None}
