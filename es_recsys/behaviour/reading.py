"""Reading one store: events by subject, in pages that hold no transaction open between them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import attrgetter
from typing import Any

import sqlalchemy as sa

from es_recsys.behaviour.database import Database
from es_recsys.behaviour.records import StoredEvent
from es_recsys.behaviour.schema import EVENTS, STORES
from es_recsys.behaviour.subjects import user_of

__all__ = ["Reader", "value_column"]

_PAGE = 20_000


def value_column(store: str) -> sa.ColumnElement[float | None]:
    """`value` with dwell times in seconds, whatever the source's unit; the table keeps what was sent."""
    in_ms = sa.select(STORES.c.dwell_ms).where(STORES.c.store == store).scalar_subquery()
    dwell = sa.and_(EVENTS.c.event_type == "dwell", in_ms)
    return sa.case((dwell, EVENTS.c.value / 1000.0), else_=EVENTS.c.value).label("value")


class Reader:
    """Reads the events of one store."""

    def __init__(self, database: Database, store: str) -> None:
        self._database = database
        self._store = store
        event = EVENTS.c
        self._select = sa.select(
            event.row_no,
            event.event_type,
            event.time,
            event.subject,
            event.session_id,
            event.item_id,
            event.query,
            value_column(store),
            event.event_id,
            event.position,
            event.query_id,
            event.recommendation_id,
            event.place,
            event.received_at,
            event.quarantine,
            event.digest,
        ).where(event.store == store)

    def rows(self, subject: str, after: int, limit: int | None) -> list[StoredEvent]:
        """The subject's events with a row above `after`, in row order."""
        event = EVENTS.c
        query = self._select.where(event.subject == subject, event.row_no > after).order_by(event.row_no).limit(limit)
        with self._database.reading() as connection:
            return [_event(row) for row in connection.execute(query)]

    def scan(self, after: int) -> Iterator[StoredEvent]:
        """All events with a row above `after`, in row order."""
        while page := self._page(self._select.where(EVENTS.c.row_no > after).order_by(EVENTS.c.row_no)):
            yield from page
            after = page[-1].row

    def by_subject(self) -> Iterator[tuple[str, list[StoredEvent]]]:
        """Each subject with all its events in row order; flat memory but for the largest subject."""
        for subject, events in groupby(self._in_subject_order(), attrgetter("subject")):
            yield subject, list(events)

    def subjects(self) -> Iterator[str]:
        """Every subject once, in the database's order of text."""
        event = EVENTS.c
        query = sa.select(event.subject).where(event.store == self._store).distinct().order_by(event.subject).limit(_PAGE)
        last = ""
        while True:
            with self._database.reading() as connection:
                page = list(connection.execute(query.where(event.subject > last)).scalars())
            if not page:
                return
            yield from page
            last = page[-1]

    def _in_subject_order(self) -> Iterator[StoredEvent]:
        event = EVENTS.c
        place = sa.tuple_(event.subject, event.row_no)
        query, last = self._select.order_by(event.subject, event.row_no), ("", 0)
        while page := self._page(query.where(place > sa.tuple_(sa.literal(last[0]), sa.literal(last[1])))):
            yield from page
            last = (page[-1].subject, page[-1].row)

    def _page(self, query: sa.Select[Any]) -> list[StoredEvent]:
        with self._database.reading() as connection:
            return [_event(row) for row in connection.execute(query.limit(_PAGE))]


def _event(row: Sequence[Any]) -> StoredEvent:
    number, kind, time, subject, *rest, digest = row
    return StoredEvent._make((number, kind, time, user_of(subject), *rest, digest.hex()[:16]))
