"""Reading one store: events by actor, in pages that hold no transaction open between them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import attrgetter
from typing import Any

import orjson
import sqlalchemy as sa

from es_recsys.batching import batched
from es_recsys.events.actors import user_of
from es_recsys.events.database import Database
from es_recsys.events.records import UNKNOWN_ITEM, StoredEvent, UnfoldedRows
from es_recsys.events.schema import ACTORS, EVENTS, STORES
from es_recsys.ratings import FIVE_STARS, RatingScale

__all__ = ["EventReader", "type_column", "value_column"]

_PAGE = 20_000
_ACTORS = 500


def value_column(store: str, scale: RatingScale = FIVE_STARS) -> sa.ColumnElement[float | None]:
    """Return the SQL of `value`, with dwell times in seconds and ratings from 1 to 5, whatever the source's.

    The table keeps what was sent.
    """
    in_ms = sa.select(STORES.c.dwell_ms).where(STORES.c.store == store).scalar_subquery()
    value, kind = EVENTS.c.value, EVENTS.c.event_type
    cases: list[tuple[Any, Any]] = [(sa.and_(kind == "dwell", in_ms), value / 1000.0)]
    if scale.unrated:
        cases.append((_unrated(scale), sa.null()))
    if (scale.low, scale.high) != (FIVE_STARS.low, FIVE_STARS.high):
        cases.append((kind == "rating", 1.0 + (value - scale.low) * (4.0 / (scale.high - scale.low))))
    return sa.case(*cases, else_=value).label("value")


def type_column(scale: RatingScale) -> sa.ColumnElement[str]:
    """Return the SQL of `event_type`, in which a rating that says that there is none is a view."""
    kind = EVENTS.c.event_type
    return sa.case((_unrated(scale), sa.literal("view")), else_=kind).label("event_type") if scale.unrated else kind


def _unrated(scale: RatingScale) -> sa.ColumnElement[bool]:
    return sa.and_(EVENTS.c.event_type == "rating", EVENTS.c.value.in_(scale.unrated))


class EventReader:
    """Reads the events of one store. Statements that each event takes are built once: building takes longer than running them."""

    def __init__(self, database: Database, store: str) -> None:
        self._database = database
        self._store = store
        self._queries: dict[RatingScale, sa.Select[Any]] = {}
        self._actor_queries: dict[RatingScale, sa.Select[Any]] = {}
        its_actor = sa.and_(ACTORS.c.store == STORES.c.store, ACTORS.c.user_key == sa.bindparam("key"))
        self._state_of_actor = (
            sa.select(STORES.c.revision, ACTORS.c.revision, STORES.c.timed, STORES.c.settings)
            .select_from(STORES.outerjoin(ACTORS, its_actor))
            .where(STORES.c.store == store)
        )

    def done_since(
        self, since: float, actors: Sequence[str] | None, limit: int
    ) -> list[tuple[str, str, str, float | None, float]]:
        """Return (actor, item_id, event_type, value, time) of events since a time that count, the newest first."""
        event = EVENTS.c
        when = sa.func.coalesce(event.time, event.received_at)
        conditions = [event.store == self._store, when >= since, event.quarantine.is_(None), event.item_id.is_not(None)]
        columns = (event.actor, event.item_id, event.event_type, event.value, when)
        found: list[tuple[str, str, str, float | None, float]] = []
        parts = [None] if actors is None else list(batched(actors, _ACTORS))
        with self._database.reading() as connection:
            for part in parts:
                own = [] if part is None else [event.actor.in_(part)]
                query = sa.select(*columns).where(*conditions, *own).order_by(event.row_no.desc()).limit(limit)
                found += [tuple(row) for row in connection.execute(query)]
        return found

    def actors_of(self, item_ids: Sequence[str], limit: int) -> list[tuple[str, str, str, float | None]]:
        """Return (actor, item_id, event_type, value) of the newest events on items that count."""
        event = EVENTS.c
        conditions = [event.store == self._store, event.quarantine.is_(None), event.item_id.in_(item_ids)]
        columns = (event.actor, event.item_id, event.event_type, event.value)
        with self._database.reading() as connection:
            query = sa.select(*columns).where(*conditions).order_by(event.row_no.desc()).limit(limit)
            return [tuple(row) for row in connection.execute(query)]

    def _select(self) -> sa.Select[Any]:
        """Return the columns of a StoredEvent, by the scale that ratings are on now."""
        return self._select_by(self._scale_now())

    def _scale_now(self) -> RatingScale:
        with self._database.reading() as connection:
            return _scale(connection.execute(sa.select(STORES.c.settings).where(STORES.c.store == self._store)).scalar())

    def _select_by(self, scale: RatingScale) -> sa.Select[Any]:
        if scale not in self._queries:
            self._queries[scale] = self._columns(scale)
        return self._queries[scale]

    def _select_of_actor(self, scale: RatingScale) -> sa.Select[Any]:
        """Return the query of one `actor` with rows above `after`."""
        if scale not in self._actor_queries:
            event = EVENTS.c
            its = (event.actor == sa.bindparam("actor"), event.row_no > sa.bindparam("after"))
            self._actor_queries[scale] = self._select_by(scale).where(*its).order_by(event.row_no)
        return self._actor_queries[scale]

    def _columns(self, scale: RatingScale) -> sa.Select[Any]:
        event = EVENTS.c
        return sa.select(
            event.row_no,
            type_column(scale),
            event.time,
            event.actor,
            event.session_id,
            event.item_id,
            event.query,
            value_column(self._store, scale),
            event.event_id,
            event.position,
            event.query_id,
            event.recommendation_id,
            event.order,
            event.received_at,
            event.quarantine,
            event.digest,
        ).where(event.store == self._store)

    def revision(self, key: str) -> int:
        """Return the revision of the actor with this key."""
        with self._database.reading() as connection:
            of_store, own, *_ = connection.execute(self._state_of_actor, {"key": key}).one()
        return int(of_store + (own or 0))

    def unfolded(self, actor: str, key: str, after: int) -> UnfoldedRows:
        """Return the actor's events with a row above `after`; the revision is not newer than they are. key: of the actor."""
        with self._database.reading() as connection:
            of_store, own, timed, settings = connection.execute(self._state_of_actor, {"key": key}).one()
            found = connection.execute(self._select_of_actor(_scale(settings)), {"actor": actor, "after": after})
            return UnfoldedRows(of_store + (own or 0), timed is not False, list(map(_event, found)))

    def rows(self, actor: str, after: int, limit: int | None) -> list[StoredEvent]:
        """Return the actor's events with a row above `after`, in row order."""
        query = self._select_of_actor(self._scale_now()).limit(limit)
        with self._database.reading() as connection:
            return [_event(row) for row in connection.execute(query, {"actor": actor, "after": after})]

    def scan(self, after: int, event_type: str | None = None) -> Iterator[StoredEvent]:
        """Yield all events with a row above `after`, in row order. event_type: only those of this type."""
        query = self._select().order_by(EVENTS.c.row_no)
        if event_type is not None:
            query = query.where(EVENTS.c.event_type == event_type)
        while page := self._page(query.where(EVENTS.c.row_no > after)):
            yield from page
            after = page[-1].row

    def by_actor(self) -> Iterator[tuple[str, list[StoredEvent]]]:
        """Yield each actor with all its events in row order; flat memory but for the largest actor."""
        for actor, events in groupby(self._in_actor_order(), attrgetter("actor")):
            yield actor, list(events)

    def actors(self) -> Iterator[str]:
        """Yield every actor once, in the database's order of text."""
        event = EVENTS.c
        query = sa.select(event.actor).where(event.store == self._store).distinct().order_by(event.actor).limit(_PAGE)
        last = ""
        while True:
            with self._database.reading() as connection:
                page = list(connection.execute(query.where(event.actor > last)).scalars())
            if not page:
                return
            yield from page
            last = page[-1]

    def actors_after(self, after: int) -> list[str]:
        """Return actors with a row above `after`, in order."""
        event, found = EVENTS.c, set[str]()
        query = sa.select(event.row_no, event.actor).where(event.store == self._store).order_by(event.row_no).limit(_PAGE)
        while True:
            with self._database.reading() as connection:
                page = list(connection.execute(query.where(event.row_no > after)))
            if not page:
                return sorted(found)
            found.update(actor for _, actor in page)
            after = page[-1][0]

    def last_rows(self, actors: Sequence[str]) -> dict[str, int]:
        """Return actor -> its highest row; those without events are left out."""
        event = EVENTS.c
        query = sa.select(event.actor, sa.func.max(event.row_no)).where(event.store == self._store).group_by(event.actor)
        with self._database.reading() as connection:
            return {row[0]: row[1] for row in connection.execute(query.where(event.actor.in_(actors)))}

    def rows_of(self, actors: Sequence[str], after: int) -> dict[str, list[StoredEvent]]:
        """Return actor -> its events with a row above `after`, in row order."""
        if not actors:
            return {}  # SQLite would go through all events
        event = EVENTS.c
        query = self._select().where(event.actor.in_(actors), event.row_no > after).order_by(event.actor, event.row_no)
        with self._database.reading() as connection:
            rows = [_event(row) for row in connection.execute(query)]
        return {actor: list(some) for actor, some in groupby(rows, attrgetter("actor"))}

    def reordered(self, after: int) -> int:
        """Return how many events with a row above `after` have an order that is not after their actor's up to that row."""
        event = EVENTS.c
        before = sa.select(event.actor, sa.func.max(event.order).label("newest")).where(event.store == self._store)
        newest = before.where(event.row_no <= after).group_by(event.actor).subquery()
        query = sa.select(sa.func.count()).select_from(EVENTS.join(newest, event.actor == newest.c.actor))
        with self._database.reading() as connection:
            late = connection.execute(
                query.where(event.store == self._store, event.row_no > after, event.order <= newest.c.newest)
            )
            return int(late.scalar_one())

    def item_ids(self, event_types: Sequence[str]) -> list[str]:
        """Return items that events of these types name, in order; of events that are set aside, only those on unknown items."""
        event = EVENTS.c
        counts = sa.or_(event.quarantine.is_(None), event.quarantine == UNKNOWN_ITEM)
        query = sa.select(event.item_id).distinct().where(event.store == self._store, event.item_id.is_not(None), counts)
        with self._database.reading() as connection:
            return sorted(connection.execute(query.where(event.event_type.in_(event_types))).scalars())

    def actors_with(self, event_type: str) -> list[str]:
        """Return the actors with an event of this type that counts, in order."""
        event = EVENTS.c
        query = sa.select(event.actor).distinct().where(event.store == self._store, event.quarantine.is_(None))
        with self._database.reading() as connection:
            return sorted(connection.execute(query.where(event.event_type == event_type)).scalars())

    def _in_actor_order(self) -> Iterator[StoredEvent]:
        event = EVENTS.c
        key = sa.tuple_(event.actor, event.row_no)
        query, last = self._select().order_by(event.actor, event.row_no), ("", 0)
        while page := self._page(query.where(key > sa.tuple_(sa.literal(last[0]), sa.literal(last[1])))):
            yield from page
            last = (page[-1].actor, page[-1].row)

    def _page(self, query: sa.Select[Any]) -> list[StoredEvent]:
        with self._database.reading() as connection:
            return [_event(row) for row in connection.execute(query.limit(_PAGE))]


def _scale(settings: str | None) -> RatingScale:
    return RatingScale.of(orjson.loads(settings) if settings else {})


def _event(row: Sequence[Any]) -> StoredEvent:
    number, kind, time, actor, *rest, digest = row
    return StoredEvent._make((number, kind, time, user_of(actor), *rest, digest.hex()[:16]))
