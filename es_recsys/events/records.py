"""A stored event, and how an `Event` becomes one: its time clamped, its digest taken, its intrinsic faults named."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, NoReturn

from es_recsys.errors import InputError
from es_recsys.event_columns import EventColumns
from es_recsys.events.actors import actor_of
from es_recsys.ratings import FIVE_STARS, RatingScale

__all__ = [
    "EARLIEST",
    "FUTURE_TOLERANCE_S",
    "INTRINSIC_REASONS",
    "RATING_OUT_OF_RANGE",
    "UNKNOWN_ITEM",
    "EventRow",
    "ReceiptClock",
    "RowColumns",
    "StoredEvent",
    "UnfoldedRows",
    "intrinsic_reason",
    "legacy_digest",
    "to_columns",
    "to_records",
    "to_rows",
]

FUTURE_TOLERANCE_S = 300.0
EARLIEST = 631_152_000.0  # 1990-01-01, before there were shops on the web

_LARGEST = 2**63 - 1
# Of a time ahead a microsecond a second is kept: eleven days fit into one second, and half a second is told from the next.
_COMPRESSION = 1e-6

IMPOSSIBLE_TIME = "impossible_time"
UNKNOWN_ITEM = "unknown_item"
RATING_OUT_OF_RANGE = "rating_out_of_range"
INTRINSIC_REASONS = (IMPOSSIBLE_TIME, "negative_quantity", "negative_dwell")
"""Reasons found in an event alone, at receipt. A rating's scale may be set later, so cleaning checks that again."""


class StoredEvent(NamedTuple):
    """An event as the store keeps it.

    row: grows in the order in which the store's events became visible. timestamp: epoch seconds, settled at receipt;
    None in a source without time. order: number in the user's sequence, in a store without time only.
    quarantine: why the event is set aside, or None. key: 16 hex digits of its digest, which break ties of time.
    """

    row: int
    event_type: str
    timestamp: float | None = None
    user_id: str | None = None
    session_id: str | None = None
    item_id: str | None = None
    query: str | None = None
    value: float | None = None
    event_id: str | None = None
    position: int | None = None
    query_id: str | None = None
    recommendation_id: str | None = None
    order: int | None = None
    received_at: float = 0.0
    quarantine: str | None = None
    key: str = ""

    @property
    def actor(self) -> str:
        return actor_of(self.user_id, self.session_id)

    @property
    def time(self) -> float:
        """When it happened in the actor's own time: epoch seconds, or the order where the store has no timestamps."""
        if self.order is not None:
            return float(self.order)
        return self.received_at if self.timestamp is None else self.timestamp


class UnfoldedRows(NamedTuple):
    """What a profile lacks, as it was at one moment: events in row order.

    revision: of the actor (see `EventStore.revision`). timed: whether the store's events have times.
    """

    revision: int
    timed: bool
    rows: list[StoredEvent]


class EventRow(NamedTuple):
    """An event ready to be written; the fields are the columns of the table after `store` and `row_no`."""

    digest: bytes
    actor: str
    event_type: str
    time: float | None
    received_at: float
    order: int | None
    item_id: str | None
    query: str | None
    value: float | None
    session_id: str | None
    event_id: str | None
    position: int | None
    query_id: str | None
    recommendation_id: str | None
    quarantine: str | None
    clamped: bool


@dataclass(frozen=True, slots=True)
class ReceiptClock:
    """Clamps times after the receipt: they move to just before it, within a second, in their order.

    received_at: epoch seconds. newest: the newest time of all that come together; it becomes the receipt. tolerance: seconds
    after the receipt that are left alone.
    """

    received_at: float
    newest: float
    tolerance: float = FUTURE_TOLERANCE_S

    @classmethod
    def for_batch(cls, events: EventColumns, received_at: float) -> ReceiptClock:
        """Return the clock of events that are received together, now."""
        times = [time.timestamp() for time in events.timestamp if time is not None]
        return cls(received_at, max(times, default=received_at))

    @classmethod
    def for_files(cls, received_at: float) -> ReceiptClock:
        """Return the clock of files, which are read in parts.

        None of their times stays after the receipt, so that what comes next is newer.
        """
        return cls(received_at, received_at + 1.0 / _COMPRESSION, 0.0)

    def clamp(self, time: float) -> float:
        if time <= self.received_at + self.tolerance:
            return time
        return self.received_at - min(max((self.newest - time) * _COMPRESSION, 0.0), 1.0)


RowColumns = tuple[Sequence[Any], ...]
"""Rows as columns, in the order of EventRow's fields."""


def to_records(columns: RowColumns) -> list[EventRow]:
    """Return the rows of columns one by one."""
    return list(map(EventRow._make, zip(*columns, strict=True)))


def to_columns(records: Sequence[EventRow]) -> RowColumns:
    """Return the columns of rows; none where there is no row."""
    return tuple(zip(*records, strict=True))


def to_rows(events: EventColumns, clock: ReceiptClock, timed: bool, scale: RatingScale = FIVE_STARS) -> RowColumns:
    """Return the rows of events as columns, with their times clamped for good.

    No time given means the time of receipt (in a store without time: none, where the event has its order). A time more
    than five minutes after receipt is clamped (`ReceiptClock`); one before 1990 is kept and the event set aside.
    Raises InputError for a NUL character, which databases can't keep.
    """
    received_at = clock.received_at
    given = [None if time is None else time.timestamp() for time in events.timestamp]
    orders = events.order
    if timed and orders.count(None) < len(orders):
        orders = [None if time is not None else order for time, order in zip(given, orders, strict=True)]
    times = given
    if None in given:
        times = [received_at if time is None and order is None else time for time, order in zip(given, orders, strict=True)]
    actors = _actors(events)
    digests = _digests(events, actors, times, orders)
    latest = received_at + FUTURE_TOLERANCE_S
    clamped, settled = [False] * len(times), times
    if max((time for time in times if time is not None), default=received_at) > min(latest, received_at + clock.tolerance):
        clamped = [time is not None and time > latest for time in times]
        settled = [None if time is None else clock.clamp(time) for time in times]
    reasons = [
        intrinsic_reason(event_type, time, value, scale) if value is not None or time is None or time < EARLIEST else None
        for event_type, time, value in zip(events.event_type, settled, events.value, strict=True)
    ]
    return (
        digests,
        actors,
        events.event_type,
        settled,
        [received_at] * len(events),
        orders,
        events.item_id,
        events.query,
        events.value,
        events.session_id,
        events.event_id,
        events.position,
        events.query_id,
        events.recommendation_id,
        reasons,
        clamped,
    )


def legacy_digest(event_id: str) -> bytes:
    """Return the digest that an event with an id had in earlier versions, where an id was one event, whoever did it."""
    return _digest(f"event_id\x00{event_id}")


def intrinsic_reason(event_type: str, time: float | None, value: float | None, scale: RatingScale = FIVE_STARS) -> str | None:
    """Return why an event alone is not usable; None where it is. scale: that ratings are on now."""
    if time is not None and time < EARLIEST:
        return IMPOSSIBLE_TIME
    if value is None:
        return None
    if event_type == "rating":
        return None if scale.holds(value) else RATING_OUT_OF_RANGE
    if value < 0.0 and event_type in ("cart", "purchase"):
        return "negative_quantity"
    if value < 0.0 and event_type == "dwell":
        return "negative_dwell"
    return None


def _digest(content: str) -> bytes:
    return hashlib.blake2b(content.encode(), digest_size=16).digest()


def _actors(events: EventColumns) -> list[str]:
    known = {user_id: actor_of(user_id) for user_id in set(events.user_id) if user_id is not None}
    both = zip(events.user_id, events.session_id, strict=True)
    return [actor_of(None, session_id) if user_id is None else known[user_id] for user_id, session_id in both]


def _digests(
    events: EventColumns, actors: Sequence[str], times: Sequence[float | None], orders: Sequence[int | None]
) -> list[bytes]:
    """Return the digest of what makes two events the same one.

    That is who did it and the id that the source gave, else everything that it said. In a source without time the order is part
    of it. Without an id and a time, the time of receipt is: so a retry is told from a second view only where the caller gives an
    event_id or a timestamp. The parts are joined by NUL, which none of them may hold.
    """
    for column in (events.position, orders):
        if max((number for number in column if number is not None), default=0) > _LARGEST:
            raise InputError(
                "An event's position or order is too large.", "Give one below 2**63; nothing of this batch was stored."
            )
    parts = (
        _texts(events.user_id, str),
        _texts(events.session_id, str),
        events.event_type,
        _texts(times, repr),
        _texts(orders, str),
        _texts(events.item_id, str),
        _texts(events.query, str),
        _texts(events.value, repr),
        _texts(events.position, str),
        _texts(events.query_id, str),
        _texts(events.recommendation_id, str),
    )
    contents = list(map("\x00".join, zip(*parts, strict=True)))
    if "".join(contents).count("\x00") != len(contents) * (len(parts) - 1):
        _refuse_nul(events, next(i for i, content in enumerate(contents) if content.count("\x00") != len(parts) - 1))
    for number, event_id in enumerate(events.event_id):
        if event_id is not None:
            if "\x00" in event_id:
                _refuse_nul(events, number)
            contents[number] = f"event_id\x00{actors[number]}\x00{event_id}"
    return list(map(_digest, contents))


def _texts(values: Sequence[Any], text_of: Callable[[Any], str]) -> list[str]:
    return ["" if value is None else text_of(value) for value in values]


def _refuse_nul(events: EventColumns, number: int) -> NoReturn:
    event = next(iter(events.slice(number, number + 1).events()))
    for name, value in event:
        if isinstance(value, str) and "\x00" in value:
            raise InputError(f"An event's {name} holds a NUL character.", "Remove it; nothing of this batch was stored.")
    raise InputError("An event holds a NUL character.", "Remove it; nothing of this batch was stored.")
