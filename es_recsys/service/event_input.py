"""Events as they are posted: ours, UBI's, or any other tracker's, in JSON or one a line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from es_recsys.service.errors import ServiceError
from es_recsys.sources.column_mapping import ColumnMapping
from es_recsys.sources.event_rows import EVENT_FIELDS, EventRows
from es_recsys.sources.field_formats import FieldFormats
from es_recsys.sources.read_options import DEFAULT_OPTIONS
from es_recsys.sources.rejected_rows import RejectedRows
from es_recsys.sources.tables import Row
from es_recsys.types import Event

__all__ = ["MOST_EVENTS", "parse_events", "read_posted_events"]

MOST_EVENTS = 1_000
_BODY = Path("events")


def parse_events(raw: bytes) -> list[dict[str, Any]]:
    """Return the posted objects: one, a list, `{"events": [...]}`, or one a line. Raises ServiceError."""
    try:
        found = orjson.loads(raw)
    except orjson.JSONDecodeError:
        found = list(_lines(raw))
    if isinstance(found, dict) and isinstance(found.get("events"), list):
        found = found["events"]
    rows = found if isinstance(found, list) else [found]
    if not rows or not all(isinstance(row, dict) for row in rows):
        raise ServiceError(400, "parsing_exception", 'Send an event, a list of them, {"events": [...]}, or one a line.')
    if len(rows) > MOST_EVENTS:
        raise _too_many()
    return rows


def _lines(raw: bytes) -> Iterator[Any]:
    for line in raw.splitlines():
        if line.strip():
            try:
                yield orjson.loads(line)
            except orjson.JSONDecodeError:
                raise ServiceError(400, "parsing_exception", "The body is no JSON, and no JSON a line.") from None


def read_posted_events(rows: list[dict[str, Any]]) -> tuple[list[Event], RejectedRows]:
    """Return the events, and what can't be used, by the number of the object (from 1).

    One without a time happened now.
    """
    reader = EventRows(ColumnMapping(EVENT_FIELDS), DEFAULT_OPTIONS, FieldFormats(), has_options=False)
    rejected = RejectedRows(write=False)
    now = datetime.now(UTC).isoformat()
    events = [
        event
        for number, values in enumerate(rows, 1)
        for event in reader.events(Row(_BODY, number, _with_time(values, now)), rejected)
    ]
    if len(events) > MOST_EVENTS:  # an order may have many lines
        raise _too_many()
    return events, rejected


def _too_many() -> ServiceError:
    return ServiceError(413, "content_too_long_exception", f"{MOST_EVENTS:,} events at once are the most.")


def _with_time(values: Mapping[str, Any], now: str) -> dict[str, Any]:
    return dict(values) if values.get("timestamp") is not None else {**values, "timestamp": now}
