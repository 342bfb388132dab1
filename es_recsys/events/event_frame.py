"""All events of a store as one polars frame of few columns."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

import numpy as np
import polars as pl
import sqlalchemy as sa

from es_recsys.event_types import EVENT_TYPES
from es_recsys.events.columns import LabelEncoder, read_columns, read_columns_of
from es_recsys.events.event_arrays import EventArrays
from es_recsys.events.log_position import LogPosition
from es_recsys.events.quarantine_rules import REASONS
from es_recsys.events.records import UNKNOWN_ITEM
from es_recsys.events.schema import EVENTS
from es_recsys.events.store import EventStore
from es_recsys.ratings import RatingScale

__all__ = ["TYPE_CODES", "EventFrame", "read_event_frame", "to_arrays"]

TYPE_CODES = {name: code for code, name in enumerate(EVENT_TYPES)}


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


def read_event_frame(
    store: EventStore,
    known_items: Collection[str] | Callable[[Collection[str]], Collection[str]] | None,
    timed: bool,
    actors: Sequence[str] | None = None,
) -> EventFrame:
    """Return the frame of all events, or of those of some actors.

    known_items: ids of the catalogue, or what tells which of some ids it has (None: every item is known).
    """
    event = EVENTS.c
    when = sa.func.coalesce(event.time, event.received_at) if timed else event.order
    columns = [event.actor, event.event_type, event.item_id, event.query, event.value, when, event.quarantine, event.clamped]
    # Read first, so that what changes while events are read is noticed.
    position = store.log_position()
    whose, items, queries = LabelEncoder(), LabelEncoder(), LabelEncoder()
    columns.append(event.digest)
    if actors is None:
        pages = read_columns(store, columns, last=position.row)
    else:
        pages = read_columns_of(store, columns, actors, last=position.row)
    parts = [
        pl.DataFrame(
            {
                "row": pl.Series(row, dtype=pl.Int64),
                "actor": whose.encode(actor),
                "kind": np.fromiter(map(TYPE_CODES.__getitem__, kind), np.int8, len(kind)),
                "item": items.encode(item),
                "query": queries.encode(query),
                "value": pl.Series(value, dtype=pl.Float64),
                "time": pl.Series(time, dtype=pl.Float64),
                "reason": pl.Series(reason, dtype=pl.Enum(REASONS), strict=False),
                "clamped": np.fromiter(clamped, np.bool_, len(clamped)),
                "key": np.frombuffer(b"".join(it[:8] for it in digest), ">u8").astype(np.uint64),
            }
        )
        for row, actor, kind, item, query, value, time, reason, clamped, digest in pages
    ]
    if not parts:
        return EventFrame(_empty(), position)
    rows = pl.concat(parts).with_columns(known=pl.lit(True))
    if known_items is not None:
        ids = items.values
        if callable(known_items):
            known_items = set(known_items([item for item in ids if item is not None]))
        known = np.array([item is None or item in known_items for item in ids])
        rows = rows.with_columns(known=pl.Series(known).gather(rows["item"]))
    rows = rows.sort("actor", "time", maintain_order=True) if timed else rows.sort("row")
    return EventFrame(rows, position, whose.values, items.values, queries.values)


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
