"""Writing events: one transaction a batch, in which each event turns out to be new or a duplicate."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import orjson
import sqlalchemy as sa

from es_recsys.errors import InputError
from es_recsys.event_columns import EventColumns
from es_recsys.events.actors import actor_key, session_of, user_of
from es_recsys.events.database import Database
from es_recsys.events.records import (
    EventRow,
    ReceiptClock,
    RowColumns,
    StoredEvent,
    legacy_digest,
    to_columns,
    to_records,
    to_rows,
)
from es_recsys.events.schema import ACTORS, EVENTS, STORES
from es_recsys.events.store_state import merge_json
from es_recsys.keys import confirm_key, key_check
from es_recsys.ratings import FIVE_STARS, RatingScale

__all__ = ["AppendResult", "EventWriter", "LoadResult", "OnWritten", "adopt_key"]

T = TypeVar("T")
OnWritten = Callable[[Sequence[int], RowColumns], None]

_IN = 500  # values in one IN list


@dataclass(frozen=True, slots=True)
class LoadResult:
    """What became of many events.

    `added` includes `quarantined` (reason -> count), `clamped` (time set to receipt) and `reordered` (in a store without
    timestamps: at an order that is not after what the actor had before); `refused` are those that an erasure forbids.
    """

    added: int = 0
    duplicates: int = 0
    refused: int = 0
    clamped: int = 0
    quarantined: Mapping[str, int] = field(default_factory=dict)
    reordered: int = 0

    def __add__(self, other: LoadResult) -> LoadResult:
        return LoadResult(
            self.added + other.added,
            self.duplicates + other.duplicates,
            self.refused + other.refused,
            self.clamped + other.clamped,
            dict(Counter(self.quarantined) + Counter(other.quarantined)),
            self.reordered + other.reordered,
        )


@dataclass(frozen=True, slots=True)
class AppendResult:
    """The rows that are new, in the order given, and what became of the other events.

    That is how many were duplicates, refused after an erasure, or clamped; of the new ones, how many don't count
    (quarantined: reason -> count).
    """

    rows: list[StoredEvent]
    duplicates: int = 0
    refused: int = 0
    clamped: int = 0
    quarantined: Mapping[str, int] = field(default_factory=dict)


class EventWriter:
    """Appends to one store. `secret` makes the keys under which erased actors are remembered."""

    def __init__(self, database: Database, store: str, secret: bytes) -> None:
        self._database = database
        self._store = store
        self._secret = secret
        self._timed: bool | None = None
        self._insert = database.insert_many(EVENTS, ("store", "digest"))
        # Built once: building a statement takes longer than running it.
        it, actor = STORES.c, ACTORS.c
        row = sa.select(it.last_row, it.timed, it.dwell_ms, it.key_check, it.unscoped_row, it.progress).where(it.store == store)
        self._locked_row = row.with_for_update()
        self._erased = sa.select(actor.user_key, actor.erased_at).where(actor.store == store, actor.erased_at.is_not(None))
        self._any_erased = self._erased.limit(1)
        self._advance = sa.update(STORES).where(it.store == store).values(last_row=sa.bindparam("last"))

    def append(self, events: EventColumns, received_at: float) -> AppendResult:
        new, counts, dwell_ms, scale = self._write(events, ReceiptClock.for_batch(events, received_at))
        rows = [_stored(row, it, dwell_ms, scale) for row, it in new.records()]
        return AppendResult(rows, counts.duplicates, counts.refused, counts.clamped, counts.quarantined)

    def load(self, events: EventColumns, received_at: float, on_written: OnWritten | None = None) -> LoadResult:
        """Append as `append` does, without returning the rows, which cost as much as the writing.

        The store's progress tells how far loads have come. on_written: gets the rows that are new, their numbers and columns.
        """
        new, counts, _, _ = self._write(events, ReceiptClock.for_files(received_at), loading=True)
        if on_written is not None:
            on_written(new.numbers, new.columns)
        return counts

    def _write(
        self, events: EventColumns, clock: ReceiptClock, *, loading: bool = False
    ) -> tuple[_NewRows, LoadResult, bool, RatingScale]:
        """Write the events that are new.

        -> what is new, the counts, whether dwell times are in milliseconds, and the scale of ratings.
        """
        if not len(events):
            return _NewRows((), ()), LoadResult(), False, FIVE_STARS
        # Worked out before the lock is taken, so that others wait for the writing alone.
        timed = self._timed_for(events)
        scale = self._scale(events)
        columns = self._columns(events, clock, timed, scale)
        with self._database.writing(bulk=loading) as connection:
            # Holding the lock on the store's row until the commit makes rows visible in the order of their numbers.
            state = connection.execute(self._locked_row).one()
            if state.key_check is None and state.last_row == 0:
                adopt_key(connection, self._store, self._secret)
            confirm_key(self._secret, state.key_check)
            if state.timed is None:
                connection.execute(sa.update(STORES).where(STORES.c.store == self._store).values(timed=timed))
            elif state.timed != timed:  # another process was first
                timed, columns = state.timed, self._columns(events, clock, state.timed, scale)
            allowed = len(events)
            if not timed or state.unscoped_row or connection.execute(self._any_erased).first() is not None:
                records = self._not_erased(connection, to_records(columns))
                allowed = len(records)
                records = records if timed else self._number(connection, records)
                columns = to_columns(self._without_legacy_duplicates(connection, records, state.unscoped_row))
            new = self._insert_new(connection, columns, state.last_row)
            if new.numbers:
                last = new.numbers[-1]
                advance = (
                    self._advance.values(progress=merge_json(state.progress, {"loaded": last})) if loading else self._advance
                )
                connection.execute(advance, {"last": last})
        added = len(new.numbers)
        quarantined = {reason: count for reason, count in Counter(new.column("quarantine")).items() if reason}
        clamped = sum(new.column("clamped"))
        return new, LoadResult(added, allowed - added, len(events) - allowed, clamped, quarantined), state.dwell_ms, scale

    def _timed_for(self, events: EventColumns) -> bool:
        """Return whether the store has time. Its first events decide, for good."""
        if self._timed is None:
            with self._database.reading() as connection:
                self._timed = connection.execute(sa.select(STORES.c.timed).where(STORES.c.store == self._store)).scalar_one()
        return not _has_orders(events) if self._timed is None else self._timed

    def _scale(self, events: EventColumns) -> RatingScale:
        """Return the scale of the store's ratings, where there are any among the events."""
        if "rating" not in events.event_type:
            return FIVE_STARS
        with self._database.reading() as connection:
            kept = connection.execute(sa.select(STORES.c.settings).where(STORES.c.store == self._store)).scalar()
        return RatingScale.of(orjson.loads(kept) if kept else {})

    def _columns(self, events: EventColumns, clock: ReceiptClock, timed: bool, scale: RatingScale) -> RowColumns:
        if timed and _has_orders(events):
            # Ages in days and ages in events can't be compared.
            raise InputError(
                f"The events of store {self._store} have times, and these have an order only.",
                "Load them with their timestamps, or into another store (--index).",
            )
        return to_rows(events, clock, timed, scale)

    def _not_erased(self, connection: sa.Connection, records: list[EventRow]) -> list[EventRow]:
        """Return the records that no erasure forbids: of an erased actor, only what it did later."""
        keys = {actor: actor_key(actor, self._secret) for actor in {row.actor for row in records}}
        erased_at: dict[str, float] = {}
        for some in _chunks(list(keys.values())):
            erased_at.update(
                (row.user_key, row.erased_at) for row in connection.execute(self._erased.where(ACTORS.c.user_key.in_(some)))
            )
        return [row for row in records if not _is_erased(row, erased_at.get(keys[row.actor]))]

    def _number(self, connection: sa.Connection, records: list[EventRow]) -> list[EventRow]:
        """Give live events of a store without timestamps the next numbers in their actors' sequences."""
        waiting = {row.actor for row in records if row.order is None}
        if not waiting:
            return records
        next_orders: dict[str, int] = {}
        newest = sa.select(EVENTS.c.actor, sa.func.max(EVENTS.c.order)).group_by(EVENTS.c.actor)
        for some in _chunks(list(waiting)):
            found = newest.where(EVENTS.c.store == self._store, EVENTS.c.actor.in_(some))
            next_orders.update({actor: order + 1 for actor, order in connection.execute(found) if order is not None})
        for row in records:
            if row.order is not None and row.actor in waiting:
                next_orders[row.actor] = max(next_orders.get(row.actor, 0), row.order + 1)
        numbered = []
        for row in records:
            if row.order is None:
                order = next_orders.get(row.actor, 0)
                next_orders[row.actor] = order + 1
                row = row._replace(order=order)
            numbered.append(row)
        return numbered

    def _without_legacy_duplicates(self, connection: sa.Connection, records: list[EventRow], unscoped: int) -> list[EventRow]:
        """Return the records without those that rows up to `unscoped` hold, whose digests are of event ids alone."""
        if not unscoped:
            return records
        digests = {legacy_digest(row.event_id): row.event_id for row in records if row.event_id is not None}
        rows = sa.select(EVENTS.c.digest, EVENTS.c.actor).where(EVENTS.c.store == self._store, EVENTS.c.row_no <= unscoped)
        known: set[tuple[str, str]] = set()
        for some in _chunks(list(digests)):
            found = connection.execute(rows.where(EVENTS.c.digest.in_(some)))
            known.update((digests[bytes(digest)], actor) for digest, actor in found)
        return [row for row in records if (row.event_id, row.actor) not in known]

    def _insert_new(self, connection: sa.Connection, columns: RowColumns, last: int) -> _NewRows:
        """Offer each row the next number; those that are there afterwards are new. Duplicates leave gaps."""
        count = len(columns[0]) if columns else 0
        if not count:
            return _NewRows((), ())
        numbers = range(last + 1, last + 1 + count)
        if self._insert(connection, [[self._store] * count, numbers, *columns]) == count:
            return _NewRows(numbers, columns)
        mine = (EVENTS.c.store == self._store, EVENTS.c.row_no > last, EVENTS.c.row_no <= last + count)
        present = sorted(connection.execute(sa.select(EVENTS.c.row_no).where(*mine)).scalars())
        return _NewRows(present, tuple([column[number - last - 1] for number in present] for column in columns))


@dataclass(frozen=True, slots=True)
class _NewRows:
    """Rows that were written: the number of each, and the columns."""

    numbers: Sequence[int]
    columns: RowColumns

    def column(self, name: str) -> Sequence[Any]:
        return self.columns[EventRow._fields.index(name)] if self.columns else ()

    def records(self) -> Iterator[tuple[int, EventRow]]:
        return zip(self.numbers, to_records(self.columns), strict=True)


def adopt_key(connection: sa.Connection, store: str, secret: bytes) -> None:
    """Have a store that is kept under no secret yet be kept under this one; the caller holds its lock.

    Raises KeyMismatch where it is kept under another.
    """
    found = connection.execute(sa.select(STORES.c.key_check).where(STORES.c.store == store)).scalar_one()
    confirm_key(secret, found)
    if found is None:
        connection.execute(sa.update(STORES).where(STORES.c.store == store).values(key_check=key_check(secret)))


def _stored(row: int, it: EventRow, dwell_ms: bool, scale: RatingScale) -> StoredEvent:
    """Return the written record as readers will see it."""
    event_type, value = scale.read(it.event_type, it.value)
    return StoredEvent(
        row=row,
        event_type=event_type,
        timestamp=it.time,
        user_id=user_of(it.actor),
        session_id=it.session_id if user_of(it.actor) is not None else session_of(it.actor),
        item_id=it.item_id,
        query=it.query,
        value=value / 1000.0 if dwell_ms and event_type == "dwell" and value is not None else value,
        event_id=it.event_id,
        position=it.position,
        query_id=it.query_id,
        recommendation_id=it.recommendation_id,
        order=it.order,
        received_at=it.received_at,
        quarantine=it.quarantine,
        key=it.digest.hex()[:16],
    )


def _has_orders(events: EventColumns) -> bool:
    """Return whether some events have an order and no time."""
    return any(order is not None and time is None for order, time in zip(events.order, events.timestamp, strict=True))


def _is_erased(row: EventRow, erased_at: float | None) -> bool:
    return erased_at is not None and (row.time is None or row.time <= erased_at)


def _chunks(values: list[T]) -> Iterable[list[T]]:
    return (values[start : start + _IN] for start in range(0, len(values), _IN))
