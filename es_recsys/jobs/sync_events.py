"""Loads the events of an index or a table into a store, once or again and again."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from es_recsys.errors import InputError, SetupError
from es_recsys.events.event_writer import LoadResult
from es_recsys.index.source_index import SourceIndex
from es_recsys.jobs.load_events import EventsReport, load_events
from es_recsys.jobs.row_sources import IndexRows, Mark, RowSource, SourceName, open_source, spooled
from es_recsys.jobs.source_marks import mark_key, stored_mark, with_mark
from es_recsys.jobs.ubi_rows import UbiRows, find_queries, is_ubi_index
from es_recsys.progress import ProgressReporter
from es_recsys.ratings import RatingScale
from es_recsys.serving.refresh import refresh_after_events
from es_recsys.serving.workspace import Workspace
from es_recsys.sources import ReadOptions
from es_recsys.sources.actions import ActionMapping
from es_recsys.sources.column_aliases import EVENT_ALIASES, infer_columns, normalize_name
from es_recsys.sources.read_options import DEFAULT_OPTIONS

__all__ = ["EventSource", "follow_events", "load_source_events"]

_OVERLAP_S = 3_600.0
"""By how much before the last mark events are read again: a phone sends what it did later. What is known changes nothing."""


@dataclass(frozen=True, slots=True)
class EventSource:
    """Events that stand elsewhere, and how they are read.

    queries: the index of the queries that events of UBI belong to; found beside them unless named. last: whether only what has
    come since the last reading is read. rating_scale, bots, max_errors: as of `load_events`.
    """

    name: SourceName
    options: ReadOptions = field(default_factory=lambda: DEFAULT_OPTIONS)
    queries: str | None = None
    last: bool = False
    rating_scale: str | RatingScale | None = None
    bots: tuple[str, ...] = ()
    max_errors: int | None = 100


def load_source_events(work: Workspace, source: EventSource, *, progress: ProgressReporter | None = None) -> EventsReport:
    """Load events of an index or a table, then bring cleaning, popularity and profiles up to date.

    Raises InputError, also where there is no row, TooManyErrors, EngineError, SetupError, and what `load_events` raises.
    """
    started = time.monotonic()
    with open_source(work, source.name) as rows:
        read = _with_queries(rows, source)
        columns = read.resolve(source.options.columns)
        options = replace(source.options, columns=columns)
        after, key, mark = _since(work, read, replace(source, options=options))
        with spooled(work, read, columns, after=after, overlap_s=_OVERLAP_S, progress=progress) as table:
            if table.count:
                report = load_events(
                    work,
                    [table],
                    options,
                    rating_scale=source.rating_scale,
                    bots=source.bots or None,
                    max_errors=source.max_errors,
                    progress=progress,
                )
            elif after is None:
                raise InputError(f"There is no event in {read.name}.", "Check what fills it; nothing was changed.")
            else:
                with work.translating_errors():
                    cleaning = refresh_after_events(work)
                note = f"Nothing has come to {read.name} since the last time."
                report = EventsReport(LoadResult(), cleaning, 0, (note,), time.monotonic() - started)
    if mark is not None:
        work.events.update_progress(**with_mark(work.events.progress, key, mark))
    return replace(report, seconds=time.monotonic() - started)


def follow_events(
    work: Workspace,
    source: EventSource,
    every_s: float,
    *,
    progress: ProgressReporter | None = None,
    wait: Callable[[float], None] = time.sleep,
) -> Iterator[EventsReport | SetupError]:
    """Load what has come since the last reading again and again, `every_s` seconds after the last time; yield a report each time.

    A source or store that can't be reached is yielded as its error, and tried again; what else fails ends the loop.
    """
    source = replace(source, last=True)
    first = True
    while True:
        try:
            yield load_source_events(work, source, progress=progress)
            first = False
        except SetupError as error:
            if first:
                raise
            yield error
        wait(every_s)


def _with_queries(rows: RowSource, source: EventSource) -> RowSource:
    """Return events of UBI with the queries that they belong to; others as they are."""
    if not isinstance(rows, IndexRows) or not is_ubi_index(rows) or "event_type" in source.options.columns:
        if source.queries is not None:
            raise InputError(f"{rows.name} holds no events of UBI, so there are no queries to them.", "Leave --queries out.")
        return rows
    queries: SourceIndex | None = find_queries(rows, source.queries)
    return rows if queries is None else UbiRows(rows, queries, ActionMapping(source.options.actions))


def _since(work: Workspace, rows: RowSource, source: EventSource) -> tuple[tuple[str, Mark] | None, str, Mark | None]:
    """Return the field of times and the mark from which on is read, the key of the mark to store, and that mark."""
    if not source.last:
        return None, "", None
    timestamp = _timestamp(rows, source.options)
    rows.check_since(timestamp)
    key = mark_key(rows, timestamp, {"columns": source.options.columns, "query": source.name.query})
    last = stored_mark(work.events.progress, key)
    return None if last is None else (timestamp, last), key, rows.highest(timestamp)


def _timestamp(rows: RowSource, options: ReadOptions) -> str:
    """Return the column of times. Raises InputError where none is known."""
    named = options.columns.get("timestamp")
    if named is not None:
        return named
    if "timestamp" in rows.fields:
        return "timestamp"
    free = {name: normalize_name(name) for name in rows.fields if "." not in name}
    found = infer_columns(["timestamp"], free, EVENT_ALIASES).found
    if "timestamp" not in found:
        raise InputError(f"{rows.name} has no field that is known to hold times.", "Name it: --columns timestamp=FIELD.")
    return found["timestamp"]
