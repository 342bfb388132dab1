"""A stored event, and how an `Event` becomes one: its time clamped, its digest taken, its intrinsic faults named."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, NoReturn

from es_recsys.errors import InputError
from es_recsys.events.actors import actor_of
from es_recsys.ratings import FIVE_STARS, RatingScale
from es_recsys.types import Event

__all__ = [
    "EARLIEST",
    "FUTURE_TOLERANCE_S",
    "INTRINSIC_REASONS",
    "RATING_OUT_OF_RANGE",
    "UNKNOWN_ITEM",
    "EventRow",
    "ReceiptClock",
    "StoredEvent",
    "intrinsic_reason",
    "legacy_digest",
    "to_row",
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
    def for_batch(cls, events: Sequence[Event], received_at: float) -> ReceiptClock:
        """Return the clock of events that are received together, now."""
        times = [event.timestamp.timestamp() for event in events if event.timestamp is not None]
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


def to_row(event: Event, clock: ReceiptClock, timed: bool, scale: RatingScale = FIVE_STARS) -> EventRow:
    """Return the row of an event, with its time clamped for good.

    No time given means the time of receipt (in a store without time: none, where the event has its order). A time more
    than five minutes after receipt is clamped (`ReceiptClock`); one before 1990 is kept and the event set aside.
    Raises InputError for a NUL character, which databases can't keep.
    """
    received_at = clock.received_at
    given = None if event.timestamp is None else event.timestamp.timestamp()
    order = event.order if not timed or given is None else None
    time = received_at if given is None and order is None else given
    content = _identity(event, time, order)
    clamped = time is not None and time > received_at + FUTURE_TOLERANCE_S
    if time is not None:
        time = clock.clamp(time)
    return EventRow(
        _digest(content),
        actor_of(event.user_id, event.session_id),
        event.event_type,
        time,
        received_at,
        order,
        event.item_id,
        event.query,
        event.value,
        event.session_id,
        event.event_id,
        event.position,
        event.query_id,
        event.recommendation_id,
        intrinsic_reason(event.event_type, time, event.value, scale),
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


def _identity(event: Event, time: float | None, order: int | None) -> str:
    """Return what makes two events the same one: who did it and the id that the source gave, else everything that it said.

    In a source without time the order is part of it. Without an id and a time, the time of receipt is: so a retry is
    told from a second view only where the caller gives an event_id or a timestamp. The parts are joined by NUL, which
    none of them may hold.
    """
    parts = (
        event.user_id or "",
        event.session_id or "",
        event.event_type,
        "" if time is None else repr(time),
        "" if order is None else str(order),
        event.item_id or "",
        event.query or "",
        "" if event.value is None else repr(event.value),
        "" if event.position is None else str(event.position),
        event.query_id or "",
        event.recommendation_id or "",
    )
    if max(event.position or 0, order or 0) > _LARGEST:
        raise InputError("An event's position or order is too large.", "Give one below 2**63; nothing of this batch was stored.")
    content = "\x00".join(parts)
    if content.count("\x00") != len(parts) - 1 or (event.event_id and "\x00" in event.event_id):
        _refuse_nul(event)
    if event.event_id is None:
        return content
    return f"event_id\x00{actor_of(event.user_id, event.session_id)}\x00{event.event_id}"


def _refuse_nul(event: Event) -> NoReturn:
    for name, value in event:
        if isinstance(value, str) and "\x00" in value:
            raise InputError(f"An event's {name} holds a NUL character.", "Remove it; nothing of this batch was stored.")
    raise InputError("An event holds a NUL character.", "Remove it; nothing of this batch was stored.")
