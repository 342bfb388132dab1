"""All events of a store as one polars frame of few columns."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

import numpy as np
import polars as pl
import sqlalchemy as sa

from es_recsys.event_types import EVENT_TYPES
from es_recsys.events.columns import LabelEncoder, read_columns
from es_recsys.events.quarantine_rules import REASONS
from es_recsys.events.schema import EVENTS
from es_recsys.events.store import EventStore

__all__ = ["EventFrame", "read_event_frame"]

_TYPE_CODES = {name: code for code, name in enumerate(EVENT_TYPES)}


@dataclass(frozen=True, slots=True, eq=False)
class EventFrame:
    """All events of a store as columns, for cleaning.

    rows: `row`, `actor`, `kind`, `item`, `query` (codes), `value` as sent, `time`, `reason` (one of REASONS), `clamped`,
    `known`; by actor, time and row where events have times, else by row. items: id of each item code, None for none.
    """

    rows: pl.DataFrame
    items: list[str | None] = field(default_factory=list)

    def code_of(self, event_type: str) -> int:
        """Return the code of an event type."""
        return _TYPE_CODES[event_type]


def read_event_frame(store: EventStore, known_items: Collection[str] | None, timed: bool) -> EventFrame:
    """Return the frame of all events. known_items: ids of the catalogue (None: every item is known)."""
    event = EVENTS.c
    when = sa.func.coalesce(event.time, event.received_at) if timed else event.order
    columns = [event.actor, event.event_type, event.item_id, event.query, event.value, when, event.quarantine, event.clamped]
    actors, items, queries = LabelEncoder(), LabelEncoder(), LabelEncoder()
    parts = [
        pl.DataFrame(
            {
                "row": pl.Series(row, dtype=pl.Int64),
                "actor": actors.encode(actor),
                "kind": np.fromiter(map(_TYPE_CODES.__getitem__, kind), np.int8, len(kind)),
                "item": items.encode(item),
                "query": queries.encode(query),
                "value": pl.Series(value, dtype=pl.Float64),
                "time": pl.Series(time, dtype=pl.Float64),
                "reason": pl.Series(reason, dtype=pl.Enum(REASONS), strict=False),
                "clamped": pl.Series(clamped, dtype=pl.Boolean),
            }
        )
        for row, actor, kind, item, query, value, time, reason, clamped in read_columns(store, columns)
    ]
    if not parts:
        return EventFrame(_empty())
    rows = pl.concat(parts).with_columns(known=pl.lit(True))
    if known_items is not None:
        known = np.array([item is None or item in known_items for item in items.values])
        rows = rows.with_columns(known=pl.Series(known).gather(rows["item"]))
    return EventFrame(rows.sort("actor", "time", maintain_order=True) if timed else rows, items.values)


def _empty() -> pl.DataFrame:
    schema: dict[str, pl.DataType | type[pl.DataType]] = {"row": pl.Int64, "actor": pl.Int32, "kind": pl.Int8}
    schema |= {"item": pl.Int32, "query": pl.Int32, "value": pl.Float64, "time": pl.Float64}
    return pl.DataFrame(schema={**schema, "reason": pl.Enum(REASONS), "clamped": pl.Boolean, "known": pl.Boolean})
