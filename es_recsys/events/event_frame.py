"""All events of a store as one polars frame of few columns."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl
import sqlalchemy as sa

from es_recsys.event_types import EVENT_TYPES
from es_recsys.events.columns import LabelEncoder, read_columns, read_columns_of
from es_recsys.events.event_arrays import EventArrays
from es_recsys.events.log_position import LogPosition
from es_recsys.events.quarantine_rules import REASONS
from es_recsys.events.records import UNKNOWN_ITEM, EventRow, RowColumns
from es_recsys.events.schema import EVENTS
from es_recsys.events.store import EventStore
from es_recsys.ratings import RatingScale

__all__ = ["TYPE_CODES", "EventFrame", "FrameBuilder", "read_event_frame", "to_arrays"]

TYPE_CODES = {name: code for code, name in enumerate(EVENT_TYPES)}
_ON_AUTHORS = [TYPE_CODES[name] for name, row in EVENT_TYPES.items() if row.target == "author"]


@dataclass(frozen=True, slots=True, eq=False)
class EventFrame:
    """All events of a store as columns, for what is made of them: cleaning, popularity, profiles.

    rows: `row`, `actor`, `kind`, `item`, `query` (codes), `value` as sent, `time`, `reason` (one of REASONS), `clamped`,
    `known`, `key` (`StoredEvent.key` as a number); by actor, time and row where events have times, else by row. actors, items,
    queries: what the codes stand for, None for none. position: how far the store's log was when they were as they are here.
    """

    rows: pl.DataFrame
    position: LogPosition
    actors: list[str] = field(default_factory=list)
    items: list[str | None] = field(default_factory=list)
    queries: list[str | None] = field(default_factory=list)


_KnownItems = Collection[str] | Callable[[Collection[str]], Collection[str]] | None


class FrameBuilder:
    """Makes a frame of events that come in pages.

    began: how far the store's log was before, where these are the events that a load writes.
    """

    def __init__(self, began: LogPosition | None = None) -> None:
        self._began = began
        self._whose, self._items, self._queries = LabelEncoder(), LabelEncoder(), LabelEncoder()
        self._parts: list[pl.DataFrame] = []
        self._count, self._last = 0, 0

    def add(self, page: Sequence[Sequence[Any]]) -> None:
        """Take events as columns: row, actor, type, item, query, value, time, reason, whether it was clamped, digest."""
        row, actor, kind, item, query, value, time, reason, clamped, digest = page
        columns = {
            "row": pl.Series(row, dtype=pl.Int64),
            "actor": self._whose.encode(actor),
            "kind": np.fromiter(map(TYPE_CODES.__getitem__, kind), np.int8, len(kind)),
            "item": self._items.encode(item),
            "query": self._queries.encode(query),
            "value": pl.Series(value, dtype=pl.Float64),
            "time": pl.Series(time, dtype=pl.Float64),
            "reason": pl.Series(reason, dtype=pl.Enum(REASONS), strict=False),
            "clamped": np.fromiter(clamped, np.bool_, len(clamped)),
            "key": np.frombuffer(b"".join(it[:8] for it in digest), ">u8").astype(np.uint64),
        }
        self._parts.append(pl.DataFrame(columns))
        self._count, self._last = self._count + len(row), row[-1]

    def add_written(self, numbers: Sequence[int], columns: RowColumns) -> None:
        """Take events as they were written. numbers: their rows."""
        if not numbers:
            return
        it = dict(zip(EventRow._fields, columns, strict=True))
        # In a store without times every event has its order, in another none.
        times = it["time"] if it["order"][0] is None else it["order"]
        page = (it["actor"], it["event_type"], it["item_id"], it["query"], it["value"], times)
        self.add((numbers, *page, it["quarantine"], it["clamped"], it["digest"]))

    def has_all(self, store: EventStore, position: LogPosition) -> bool:
        """Return whether these are all events of the store, which nobody else has written to."""
        began = self._began
        unchanged = began is not None and began.row == 0 and position == (self._last, began.change, began.revision)
        return unchanged and store.count() == self._count

    def frame(self, position: LogPosition, known_items: _KnownItems, timed: bool) -> EventFrame:
        """Return the frame. position: how far the store's log was; known_items: as `read_event_frame` has it."""
        if not self._parts:
            return EventFrame(_empty(), position)
        rows, ids = pl.concat(self._parts).with_columns(known=pl.lit(True)), self._items.values
        if known_items is not None:
            if callable(known_items):
                known_items = set(known_items([item for item in ids if item is not None]))
            known = np.array([item is None or item in known_items for item in ids])
            rows = rows.with_columns(known=pl.Series(known).gather(rows["item"]) | rows["kind"].is_in(_ON_AUTHORS))
        rows = rows.sort("actor", "time", maintain_order=True) if timed else rows.sort("row")
        return EventFrame(rows, position, self._whose.values, ids, self._queries.values)


def read_event_frame(
    store: EventStore,
    known_items: _KnownItems,
    timed: bool,
    actors: Sequence[str] | None = None,
    written: FrameBuilder | None = None,
) -> EventFrame:
    """Return the frame of all events, or of those of some actors.

    known_items: ids of the catalogue, or what tells which of some ids it has (None: every item is known). written: has the events
    that a load has just written; where these are all, none is read.
    """
    event = EVENTS.c
    when = sa.func.coalesce(event.time, event.received_at) if timed else event.order
    columns = [event.actor, event.event_type, event.item_id, event.query, event.value, when, event.quarantine, event.clamped]
    # Read first, so that what changes while events are read is noticed.
    position = store.log_position()
    if written is not None and written.has_all(store, position):
        return written.frame(position, known_items, timed)
    columns.append(event.digest)
    if actors is None:
        pages = read_columns(store, columns, last=position.row)
    else:
        pages = read_columns_of(store, columns, actors, last=position.row)
    builder = FrameBuilder()
    for page in pages:
        builder.add(page)
    return builder.frame(position, known_items, timed)


def to_arrays(
    frame: EventFrame,
    reasons: pl.Series,
    scale: RatingScale,
    dwell_in_ms: bool,
    position: LogPosition,
    since: LogPosition | None = None,
) -> EventArrays:
    """Return the events as arrays.

    reasons: of each row. scale, dwell_in_ms: how the store reads values. position, since: as `EventArrays` has them.
    """
    before = pl.lit(False) if since is None else pl.col("reason").is_null() & (pl.col("row") <= since.row)
    rows = frame.rows.with_columns(before=before).with_columns(reason=reasons).sort("actor", maintain_order=True)
    sent = rows.select("kind", "value").unique()
    names = list(EVENT_TYPES)
    read = [scale.read(names[kind], value) for kind, value in sent.iter_rows()]
    if dwell_in_ms:
        read = [(name, value / 1000.0 if name == "dwell" and value is not None else value) for name, value in read]
    codes = sent.with_columns(reading=pl.int_range(len(sent), dtype=pl.Int32))
    values = rows.select("kind", "value")
    readings = values.join(codes, on=["kind", "value"], how="left", nulls_equal=True, maintain_order="left")["reading"]
    columns = {name: rows[name].to_numpy() for name in ("row", "actor", "item", "query", "time", "key")}
    return EventArrays(
        **columns,
        reading=readings.to_numpy(),
        counts=rows["reason"].is_null().to_numpy(),
        unknown=(rows["reason"] == UNKNOWN_ITEM).fill_null(False).to_numpy(),
        actors=frame.actors,
        items=frame.items,
        queries=frame.queries,
        readings=read,
        position=position,
        since=since,
        counted=rows["before"].to_numpy(),
    )


def _empty() -> pl.DataFrame:
    schema: dict[str, pl.DataType | type[pl.DataType]] = {"row": pl.Int64, "actor": pl.Int32, "kind": pl.Int8}
    schema |= {"item": pl.Int32, "query": pl.Int32, "value": pl.Float64, "time": pl.Float64}
    schema |= {"reason": pl.Enum(REASONS), "clamped": pl.Boolean, "key": pl.UInt64, "known": pl.Boolean}
    return pl.DataFrame(schema=schema)
