"""The event store: the truth about what users did, in SQL. SQLite by default, PostgreSQL, or any URL of SQLAlchemy."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Any, Self

import sqlalchemy as sa

from es_recsys.batching import batched
from es_recsys.event_columns import EventColumns, rebatched
from es_recsys.events.actors import actor_key, actor_of, session_of, user_of
from es_recsys.events.database import Database
from es_recsys.events.event_reader import EventReader
from es_recsys.events.event_writer import AppendResult, EventWriter, LoadResult, OnWritten, adopt_key
from es_recsys.events.log_position import LogPosition
from es_recsys.events.records import UNKNOWN_ITEM, StoredEvent, UnfoldedRows
from es_recsys.events.schema import ACTORS, EVENTS, STORES
from es_recsys.events.store_state import StoreState
from es_recsys.keys import confirm_key
from es_recsys.ratings import RatingScale
from es_recsys.types import Event

__all__ = ["AppendResult", "EventStore", "LoadResult"]

_IN = 500
_BATCH = 50_000


class EventStore:
    """The events of one store, in a database that other stores may share.

    url: SQLAlchemy's. secret: the installation's, behind `user_key`. The tables are made at first use. Safe to share
    between threads and between processes: appends to one store wait for each other, so that a reader who has seen row
    n has seen all rows before it that will ever be.
    Raises InputError, MissingExtra or SetupError where the database can't be used; so does each method. Raises KeyMismatch
    where the store is kept under another secret.
    """

    def __init__(self, url: str, store: str, secret: bytes) -> None:
        self.database = Database(url)
        self.store = store
        self._secret = secret
        self._state = StoreState(self.database, store)
        confirm_key(secret, self._state.value(STORES.c.key_check))
        self._writer = EventWriter(self.database, store, secret)
        self._reader = EventReader(self.database, store)

    def count_by_reason(self) -> tuple[int, dict[str, int]]:
        """Return how many events count, and reason -> how many are quarantined for it, most first."""
        number = sa.func.count()
        query = sa.select(EVENTS.c.quarantine, number).where(EVENTS.c.store == self.store).group_by(EVENTS.c.quarantine)
        with self.database.reading() as connection:
            counts = list(connection.execute(query.order_by(number.desc())))
        kept = sum(count for reason, count in counts if reason is None)
        return kept, {reason: count for reason, count in counts if reason is not None}

    def append(self, events: Sequence[Event], received_at: float | None = None) -> AppendResult:
        """Store `events` in one transaction; the rows that are new come back. A known event changes nothing.

        received_at: epoch seconds, the clock's time unless given; times are clamped against it once.
        Raises InputError for an event that can't be kept; then none of them is.
        """
        return self._writer.append(EventColumns.of(events), time.time() if received_at is None else received_at)

    def load(self, events: Iterable[Event], received_at: float | None = None) -> LoadResult:
        """Store a stream of any length, a transaction a batch; running it again adds nothing."""
        return self.load_columns(map(EventColumns.of, batched(events, _BATCH)), received_at)

    def load_columns(
        self, parts: Iterable[EventColumns], received_at: float | None = None, on_written: OnWritten | None = None
    ) -> LoadResult:
        """Store events that are read part by part, as `load` does. on_written: gets the rows of each batch that are new."""
        before, total = self.last_row, LoadResult()
        received_at = time.time() if received_at is None else received_at
        for batch in rebatched(parts, _BATCH):
            total += self._writer.load(batch, received_at, on_written)
        if self.timed or not before or not total.added:
            return total
        return replace(total, reordered=self._reader.reordered(before))

    def rows(
        self, user_id: str | None = None, *, session_id: str | None = None, after: int = 0, limit: int | None = None
    ) -> list[StoredEvent]:
        """Return the events of a user, or of an anonymous session, with a row above `after`, in row order.

        Read `revision` first: where it is not the one that a profile was folded at, fold anew from row 0.
        """
        return self._reader.rows(actor_of(user_id, session_id), after, limit)

    def revision(self, user_id: str | None = None, *, session_id: str | None = None) -> int:
        """Return a number that grows whenever rows of the actor that were read before have changed: by cleaning, or erasing."""
        return self._reader.revision(actor_key(actor_of(user_id, session_id), self._secret))

    def unfolded(self, user_id: str | None = None, *, session_id: str | None = None, after: int = 0) -> UnfoldedRows:
        """Return `rows` with what tells whether they can be folded into a profile that has those up to `after`."""
        actor = actor_of(user_id, session_id)
        return self._reader.unfolded(actor, actor_key(actor, self._secret), after)

    def scan(self, after: int = 0, *, event_type: str | None = None) -> Iterator[StoredEvent]:
        """Yield all events in row order, in flat memory. event_type: only those of this type."""
        return self._reader.scan(after, event_type)

    def by_actor(self) -> Iterator[tuple[str, list[StoredEvent]]]:
        """Yield (actor, its events in row order) for each user and anonymous session."""
        return self._reader.by_actor()

    def users(self) -> Iterator[str]:
        """Yield every user id once."""
        return (user for actor in self._reader.actors() if (user := user_of(actor)) is not None)

    def sessions(self) -> Iterator[str]:
        """Yield every anonymous session's id once."""
        return (session for actor in self._reader.actors() if (session := session_of(actor)) is not None)

    def log_position(self) -> LogPosition:
        """Return how far the store is; what is made of its events is stored with the position that it was made at."""
        return self._state.log_position()

    def actors(self) -> Iterator[str]:
        """Yield every actor once, in order."""
        return self._reader.actors()

    def actors_after(self, row: int) -> list[str]:
        """Return actors with a row above `row`, in order."""
        return self._reader.actors_after(row)

    def changed_keys(self, change: int) -> set[str]:
        """Return keys of the actors whose rows have changed since `LogPosition.change`, erased ones among them."""
        changed = sa.select(ACTORS.c.user_key).where(ACTORS.c.store == self.store, ACTORS.c.changed > change)
        with self.database.reading() as connection:
            return set(connection.execute(changed).scalars())

    def last_rows(self, actors: Sequence[str]) -> dict[str, int]:
        """Return actor -> its highest row; those without events are left out. actors: at most a thousand."""
        return self._reader.last_rows(actors)

    def rows_of(self, actors: Sequence[str], after: int = 0) -> dict[str, list[StoredEvent]]:
        """Return `rows` of at most a thousand actors at once."""
        return self._reader.rows_of(actors, after)

    def revisions(self, actors: Sequence[str]) -> dict[str, int]:
        """Return `revision` of at most a thousand actors at once."""
        keys = {actor: actor_key(actor, self._secret) for actor in actors}
        mine = sa.select(ACTORS.c.user_key, ACTORS.c.revision).where(ACTORS.c.store == self.store)
        with self.database.reading() as connection:
            of_store = connection.execute(sa.select(STORES.c.revision).where(STORES.c.store == self.store)).scalar_one()
            own = {row[0]: row[1] for row in connection.execute(mine.where(ACTORS.c.user_key.in_(keys.values())))}
        return {actor: of_store + own.get(key, 0) for actor, key in keys.items()}

    def item_ids(self, event_types: Sequence[str]) -> list[str]:
        """Return the items that events of these types name, in order.

        Of events that are set aside, only those on unknown items count.
        """
        return self._reader.item_ids(event_types)

    def done_since(
        self, since: float, actors: Sequence[str] | None = None, limit: int = 100_000
    ) -> list[tuple[str, str, str, float | None, float]]:
        """Return (actor, item_id, event_type, value, time) of the newest events since a time, epoch seconds, that count.

        actors: of these alone. limit: events at most, of 500 actors each where actors are given.
        """
        return self._reader.done_since(since, actors, limit)

    def actors_of(self, item_ids: Sequence[str], limit: int = 20_000) -> list[tuple[str, str, str, float | None]]:
        """Return (actor, item_id, event_type, value) of the newest events on items (or authors) that count, `limit` at most."""
        return self._reader.actors_of(item_ids, limit)

    def actors_with(self, event_type: str) -> list[str]:
        """Return the actors with an event of this type that counts, in order."""
        return self._reader.actors_with(event_type)

    @property
    def timed(self) -> bool:
        """Whether events have times; False where they have an order only. True while there are none."""
        return self._state.value(STORES.c.timed) is not False

    @property
    def dwell_in_ms(self) -> bool:
        """Whether dwell times are read as milliseconds; `value` is in seconds either way."""
        return bool(self._state.value(STORES.c.dwell_ms))

    @property
    def last_row(self) -> int:
        """The highest row that is visible; 0 for an empty store."""
        return int(self._state.value(STORES.c.last_row))

    @property
    def settings(self) -> Mapping[str, Any]:
        """What was set for this store, by name; JSON values."""
        return self._state.mapping(STORES.c.settings)

    @property
    def rating_scale(self) -> RatingScale:
        """The scale that ratings were sent on; `value` is from 1 to 5 either way."""
        return RatingScale.of(self.settings)

    def update_settings(self, *, affects_profiles: bool = False, **changes: Any) -> None:
        """Set, change or (None) remove settings of this store, whoever changes others at the same time.

        changes: JSON values. affects_profiles: every profile is folded anew when it is next brought up to date.
        """
        bumped = {"revision": STORES.c.revision + 1} if affects_profiles else {}
        self._state.merge(STORES.c.settings, changes, **bumped)

    @property
    def progress(self) -> Mapping[str, Any]:
        """How far what is made of the events has come, as `update_progress` stored it."""
        return self._state.mapping(STORES.c.progress)

    def update_progress(self, **changes: Any) -> None:
        """Store how far something has come; JSON values, None removes."""
        self._state.merge(STORES.c.progress, changes)

    @property
    def key_known(self) -> bool:
        """Whether the store tells another secret than its own. One of an earlier version doesn't until `adopt_key`."""
        return self._state.value(STORES.c.key_check) is not None

    @staticmethod
    def reset_user_key(url: str, store: str) -> None:
        """Remove the check of the secret, so that the next one is adopted. Tombstones of erased users match nobody then."""
        database = Database(url)
        try:
            with database.writing() as connection:
                connection.execute(sa.update(STORES).where(STORES.c.store == store).values(key_check=None))
        finally:
            database.close()

    def adopt_key(self) -> None:
        """Have the store refuse any other secret from now on. Raises KeyMismatch where it does already."""
        with self.database.writing() as connection:
            self._state.lock(connection)
            adopt_key(connection, self.store, self._secret)

    def has_events_after(self, now: float) -> bool:
        """Return whether an event lies after `now` (epoch seconds)."""
        later = sa.select(EVENTS.c.row_no).where(EVENTS.c.store == self.store, EVENTS.c.time > now).limit(1)
        with self.database.reading() as connection:
            return connection.execute(later).first() is not None

    def count(self) -> int:
        """Return how many events there are, those set aside included."""
        with self.database.reading() as connection:
            query = sa.select(sa.func.count()).select_from(EVENTS).where(EVENTS.c.store == self.store)
            return int(connection.execute(query).scalar_one())

    def set_quarantine(self, reasons: Mapping[int, str | None]) -> None:
        """Set aside rows for a reason, or lift that (None). The profiles concerned are rebuilt when next read."""
        rows_by_reason: dict[str | None, list[int]] = defaultdict(list)
        for row, reason in reasons.items():
            rows_by_reason[reason].append(row)
        touched: set[str] = set()
        with self.database.writing() as connection:
            self._state.lock(connection)
            for reason, rows in rows_by_reason.items():
                for start in range(0, len(rows), _IN):
                    these = (EVENTS.c.store == self.store, EVENTS.c.row_no.in_(rows[start : start + _IN]))
                    connection.execute(sa.update(EVENTS).where(*these).values(quarantine=reason))
                    touched.update(connection.execute(sa.select(EVENTS.c.actor).distinct().where(*these)).scalars())
            self._touch(connection, touched)

    def quarantine_unknown_items(self, rows: Sequence[int]) -> None:
        """Set aside the rows that are not yet set aside, for that they are on unknown items.

        So the profiles that are about to contain them have them in no taste, and cleaning lifts it once there is such an item.
        """
        with self.database.writing() as connection:
            self._state.lock(connection)
            for start in range(0, len(rows), _IN):
                these = (EVENTS.c.store == self.store, EVENTS.c.row_no.in_(rows[start : start + _IN]))
                update = sa.update(EVENTS).where(*these, EVENTS.c.quarantine.is_(None))
                connection.execute(update.values(quarantine=UNKNOWN_ITEM))

    def read_dwell_in_ms(self, in_ms: bool) -> None:
        """Read dwell times as milliseconds (or as seconds) from now on; every profile is rebuilt when next read."""
        with self.database.writing() as connection:
            self._state.change(connection, dwell_ms=in_ms, revision=STORES.c.revision + 1)

    def erase(self, user_id: str, now: float | None = None) -> int:
        """Delete all events of a user, and the anonymous events of the sessions in which the user was seen.

        What stays is a keyed hash with the time `now` (epoch seconds): events of before then are refused when they are
        replayed; in a store without time, any that bring an order. -> the number of events deleted.
        """
        now = time.time() if now is None else now
        user = actor_of(user_id)
        event = EVENTS.c
        with self.database.writing() as connection:
            self._state.lock(connection)
            seen = sa.select(event.session_id).distinct().where(event.store == self.store, event.actor == user)
            sessions = connection.execute(seen.where(event.session_id.is_not(None))).scalars()
            actors = [user, *(actor_of(session_id=session) for session in sessions)]
            deleted = 0
            for start in range(0, len(actors), _IN):
                these = event.actor.in_(actors[start : start + _IN])
                deleted += connection.execute(sa.delete(EVENTS).where(event.store == self.store, these)).rowcount
            self._touch(connection, actors, erased_at=now)
        self.database.truncate_journal()
        return deleted

    def close(self) -> None:
        self.database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _touch(self, connection: sa.Connection, actors: Iterable[str], erased_at: float | None = None) -> None:
        """Give each actor one more revision, and the time of its erasure where it is erased."""
        keys = sorted(actor_key(actor, self._secret) for actor in actors)
        if not keys:
            return
        confirm_key(
            self._secret, connection.execute(sa.select(STORES.c.key_check).where(STORES.c.store == self.store)).scalar_one()
        )
        number = self._state.count_change(connection)
        lines = [{"store": self.store, "user_key": key, "revision": 0, "erased_at": None} for key in keys]
        connection.execute(self.database.insert_new(ACTORS, ["store", "user_key"]), lines)
        change: dict[str, object] = {"revision": ACTORS.c.revision + 1, "changed": number}
        if erased_at is not None:
            change["erased_at"] = erased_at
        for start in range(0, len(keys), _IN):
            these = ACTORS.c.user_key.in_(keys[start : start + _IN])
            connection.execute(sa.update(ACTORS).where(ACTORS.c.store == self.store, these).values(change))
