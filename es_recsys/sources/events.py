"""Files -> Events."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext

from es_recsys.batching import batched
from es_recsys.event_columns import EventColumns
from es_recsys.sources.column_mapping import ColumnMapping, resolve_columns
from es_recsys.sources.event_rows import EVENT_FIELDS, EventRows
from es_recsys.sources.field_formats import FieldFormatInference, FieldFormats
from es_recsys.sources.future_times import FutureTimes
from es_recsys.sources.input_files import Paths, Progress, as_paths
from es_recsys.sources.named_formats import resolve_format
from es_recsys.sources.order_lines import ITEM_COLUMNS
from es_recsys.sources.read_options import DEFAULT_OPTIONS, ReadOptions
from es_recsys.sources.rejected_rows import RejectedRows
from es_recsys.sources.tables import open_tables
from es_recsys.types import Event

__all__ = ["event_format_inference", "infer_event_formats", "read_event_columns", "read_events"]

_BLOCK = 2_000
_ACTOR_FIELDS = ("user_id", "session_id")
_ID_FIELDS = (*_ACTOR_FIELDS, "item_id")


def read_events(
    paths: Paths,
    options: ReadOptions = DEFAULT_OPTIONS,
    *,
    formats: FieldFormats | None = None,
    future: FutureTimes | None = None,
    rejected: RejectedRows | None = None,
    progress: Progress | None = None,
) -> Iterator[Event]:
    """Yield the events of one or more files, in their order, as `read_event_columns` reads them."""
    for columns in read_event_columns(paths, options, formats=formats, future=future, rejected=rejected, progress=progress):
        yield from columns.events()


def read_event_columns(
    paths: Paths,
    options: ReadOptions = DEFAULT_OPTIONS,
    *,
    formats: FieldFormats | None = None,
    future: FutureTimes | None = None,
    rejected: RejectedRows | None = None,
    progress: Progress | None = None,
    inference: FieldFormatInference | None = None,
) -> Iterator[EventColumns]:
    """Yield the events of one or more files, in their order, some thousand at once.

    UBI 1.3 documents are read as they are (renames still count), unless event_type is renamed. Names of actions are known in the
    usual trackers' spellings ("add_to_cart", "Product Viewed"); an unknown one is skipped and counted by its name in
    `rejected.skipped`. An event with a list of items is one event an item. Other columns are left out.

    Without timestamps the source's order is each user's order: `timestamp` is None and `order` counts from 0 a user (a session,
    where there is no user), over all the files; memory is then O(users), else flat.
    formats: what `infer_event_formats` found in the same files; inferred here where it is not given, which reads them once more.
    future: gets the times, to see whether they lie in the future.
    rejected: gets the bad rows, and the fields that rows are used without; without it they are passed over and written to
    FILE.rejected.jsonl.

    inference: sees the fields, as the one behind `infer_event_formats` does.

    Raises InputError for a file that can't be read or lacks a column, TooManyErrors from `rejected`.
    """
    options = resolve_format(options, "events", paths)
    if formats is None:
        formats = infer_event_formats(paths, options)
    columns = _event_columns(options)
    reader = EventRows(columns, options, formats, future)
    with nullcontext(rejected) if rejected is not None else RejectedRows() as rejected:
        for note in (*options.notes, *formats.notes):
            rejected.note(note)
        for table in open_tables(as_paths(paths), options, rejected, progress):
            found, rows = resolve_columns(table, columns, rejected)
            reader.use(found)
            for block in batched(rows, _BLOCK):
                parts = [part for part in reader.columns(block, rejected, inference) if len(part)]
                if parts:
                    yield EventColumns.joined(parts)


def infer_event_formats(paths: Paths, options: ReadOptions = DEFAULT_OPTIONS) -> FieldFormats:
    """Read files of events once and return what only all rows together show: how ids and times are written. Memory is flat."""
    options = resolve_format(options, "events", paths)
    columns = _event_columns(options)
    reader = EventRows(columns, options, FieldFormats())
    inference = event_format_inference(options)
    for table in open_tables(as_paths(paths), options, RejectedRows(write=False)):
        found, rows = resolve_columns(table, columns)
        reader.use(found)
        for block in batched(rows, _BLOCK):
            reader.observe([row.values for row in block], inference)
    return inference.infer(options.zone)


def event_format_inference(options: ReadOptions) -> FieldFormatInference:
    """Return what infers the formats of events, having seen nothing; most files are of the formats that it then infers."""
    return FieldFormatInference(ids=_ID_FIELDS, times=("timestamp",), day_first=options.day_first)


def _event_columns(options: ReadOptions) -> ColumnMapping:
    required: tuple[tuple[str, ...], ...] = (("event_type",), _ACTOR_FIELDS)
    if options.timestamps:
        required = (*required, ("timestamp",))
    return ColumnMapping(
        EVENT_FIELDS, options.columns, options.constants, required, in_header=(("item_id", "query"),), stand_ins=ITEM_COLUMNS
    )
