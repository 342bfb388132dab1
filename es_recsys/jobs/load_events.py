"""Loads events from files, and brings cleaning, popularity and profiles up to date with them."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from es_recsys.counting import counted
from es_recsys.errors import StoreNotFound, TooManyErrors
from es_recsys.event_columns import EventColumns
from es_recsys.event_types import EVENT_TYPES
from es_recsys.events.bot_rules import parse_bots
from es_recsys.events.cleaning_report import CleaningReport
from es_recsys.events.event_writer import LoadResult
from es_recsys.index import catalog
from es_recsys.index.items_report import ItemsReport
from es_recsys.index.stored_metadata import read_metadata
from es_recsys.jobs.event_settings import CheckedEvents, check_times, store_bot_rules, store_rating_scale, to_rating_scale
from es_recsys.jobs.live_store import confirm_key, find_metadata
from es_recsys.jobs.prepare_store import prepare_store
from es_recsys.memory import rare_collections
from es_recsys.progress import Progress
from es_recsys.ratings import RatingScale
from es_recsys.serving.refresh import refresh_after_events
from es_recsys.serving.stored_forward_index import update_forward_index
from es_recsys.serving.workspace import Workspace
from es_recsys.sources import (
    FieldFormats,
    ReadOptions,
    RejectedRows,
    dry_run,
    event_format_inference,
    infer_event_formats,
    read_event_columns,
)
from es_recsys.sources.field_formats import FieldFormatInference
from es_recsys.sources.input_files import SpooledTable, shown_path
from es_recsys.sources.named_formats import resolve_format
from es_recsys.sources.rating_inference import RatingCounts
from es_recsys.sources.read_options import DEFAULT_OPTIONS
from es_recsys.types import Item

__all__ = ["EventsReport", "load_events", "set_rating_scale"]

_MOST_KEPT = 2_000_000
"""Events of one load that are kept in memory from the check of the files on; each takes about 200 bytes."""

_ITEM_EVENT_TYPES = tuple(name for name, row in EVENT_TYPES.items() if row.is_opinion)


@dataclass(frozen=True, slots=True)
class EventsReport:
    """What became of events, and what cleaning set aside.

    rejected: lines that could not be read. fields: what lines were used without: `field`, `reason`, `count`, `examples`. notes:
    what a person should know.
    """

    loaded: LoadResult
    cleaning: CleaningReport
    rejected: int
    notes: tuple[str, ...]
    seconds: float
    fields: tuple[dict[str, Any], ...] = ()

    def lines(self) -> Iterator[str]:
        it = self.loaded
        yield (
            f"{counted(it.added, 'event', 'events')} added, {it.duplicates:,} known already, {it.refused:,} refused after an"
            f" erasure, {it.clamped:,} with a future time moved to now, in {self.seconds:.1f} s"
        )
        yield from self.cleaning.lines()
        yield from self.notes

    def to_dict(self) -> dict[str, Any]:
        it = self.loaded
        return {
            "added": it.added,
            "duplicates": it.duplicates,
            "refused": it.refused,
            "clamped": it.clamped,
            "rejected": self.rejected,
            "cleaning": self.cleaning.to_dict(),
            "fields": list(self.fields),
            "notes": list(self.notes),
            "seconds": self.seconds,
        }


def load_events(
    work: Workspace,
    files: Sequence[Path | SpooledTable],
    options: ReadOptions = DEFAULT_OPTIONS,
    *,
    rating_scale: str | RatingScale | None = None,
    bots: str | Sequence[str] | None = None,
    max_errors: int | None = 100,
    progress: Progress | None = None,
) -> EventsReport:
    """Load events of files into the event store, then bring cleaning, popularity and profiles up to date.

    rating_scale ("0..10"): found from the ratings unless given. bots: "on", "off", "auto", "minute_rate=120,regular=off". These
    two are stored, for later loads too. The files are checked first: with more than `max_errors` bad lines nothing is written.
    Where there is no catalogue at all, one is made of the ids in the events. Raises InputError, also where no line can be used,
    or times are local and their zone isn't known; TooManyErrors; KeyMismatch.
    """
    with rare_collections():
        return _load_events(work, files, options, rating_scale, bots, max_errors, progress)


def _load_events(
    work: Workspace,
    files: Sequence[Path | SpooledTable],
    options: ReadOptions,
    rating_scale: str | RatingScale | None,
    bots: str | Sequence[str] | None,
    max_errors: int | None,
    progress: Progress | None,
) -> EventsReport:
    started = time.monotonic()
    options = resolve_format(options, "events", files)
    scale = to_rating_scale(rating_scale or options.rating_scale)
    parse_bots(bots or ())
    files_read = _read_and_check(files, options, work.now(), max_errors)
    checked, rejected = files_read.checked, files_read.rejected
    if not files_read.count:
        raise rejected.nothing_usable("event", [shown_path(file) for file in files])
    time_notes = check_times(checked.future, options.timezone is not None)
    confirm_key(work, find_metadata(work))
    store = work.events
    rating_notes = store_rating_scale(store, checked.ratings, scale)
    store_bot_rules(store, bots)
    from es_recsys.events.event_frame import FrameBuilder  # it loads polars

    written = FrameBuilder(store.log_position()) if not store.last_row else None
    parts = _with_progress(files_read.events(), files_read.count, progress)
    loaded = store.load_columns(parts, work.now(), None if written is None else written.add_written)
    del files_read  # what was kept of the files would be beside what cleaning needs
    notes = [*time_notes, *rating_notes, *checked.notes(), *rejected.messages(), *_order_notes(loaded)]
    with work.translating_errors():
        notes += _add_bare_items(work)
        cleaning = refresh_after_events(work, written)
    fields = tuple(rejected.field_error_dicts())
    return EventsReport(loaded, cleaning, rejected.count, tuple(notes), time.monotonic() - started, fields)


@dataclass(frozen=True, slots=True)
class _FilesRead:
    """Files of events that were read and checked. kept: their events, None where these are too many to be kept."""

    files: Sequence[Path | SpooledTable]
    options: ReadOptions
    formats: FieldFormats
    count: int
    rejected: RejectedRows
    checked: CheckedEvents
    kept: Sequence[EventColumns] | None

    def events(self) -> Iterable[EventColumns]:
        """Return the events, from the files again where they were not kept."""
        if self.kept is not None:
            return self.kept
        return read_event_columns(self.files, self.options, formats=self.formats, rejected=RejectedRows(write=False))


def _read_and_check(files: Sequence[Path | SpooledTable], options: ReadOptions, now: float, max_errors: int | None) -> _FilesRead:
    """Read the files without writing anything.

    They are taken to be of the usual formats, and read again where all rows together show that they are of others.
    """

    def read(formats: FieldFormats, inference: FieldFormatInference | None = None) -> _FilesRead:
        checked, kept, kept_count = CheckedEvents(now), list[EventColumns](), 0

        def observed(rejected: RejectedRows) -> Iterator[EventColumns]:
            nonlocal kept_count
            for events in checked.observe(
                read_event_columns(files, options, formats=formats, future=checked.future, rejected=rejected, inference=inference)
            ):
                kept_count += len(events)
                if kept_count <= _MOST_KEPT:
                    kept.append(events)
                else:
                    kept.clear()
                yield events

        count, rejected = dry_run(observed, max_errors, count=len)
        return _FilesRead(files, options, formats, count, rejected, checked, kept if count <= _MOST_KEPT else None)

    usual, inference = event_format_inference(options).infer(options.zone), event_format_inference(options)
    try:
        found = read(usual, inference)
    except TooManyErrors:
        return read(infer_event_formats(files, options))
    formats = inference.infer(options.zone)
    if replace(formats, notes=()) != usual:
        return read(formats)
    found.rejected.notes[:0] = formats.notes
    return found


def set_rating_scale(work: Workspace, scale: str | RatingScale) -> None:
    """Set the scale of the store's ratings, and bring popularity and profiles up to date with it.

    scale: such as "0..10", for all ratings, those that are stored too.
    Raises InputError, KeyMismatch.
    """
    confirm_key(work, find_metadata(work))
    store_rating_scale(work.events, RatingCounts(), to_rating_scale(scale))
    # Nothing is made of events before there is a catalogue.
    with suppress(StoreNotFound), work.translating_errors():
        refresh_after_events(work)


def _order_notes(loaded: LoadResult) -> list[str]:
    """Return a warning where events without times came at the order of earlier ones: another file, loaded by itself."""
    if not loaded.reordered:
        return []
    return [
        f"{counted(loaded.reordered, 'event counts', 'events count')} as no newer than what their users had before, as the order"
        " of a load with --no-timestamps begins at 0: load all files in one command, into a new store (--index)"
    ]


def _add_bare_items(work: Workspace) -> list[str]:
    """Make items of the ids in the events where there is no catalogue; return what a person should know.

    Raises StoreNotFound where the events have no items.
    """
    try:
        metadata = read_metadata(work.es, work.settings.index)
    except StoreNotFound:
        if not work.events.item_ids(_ITEM_EVENT_TYPES):
            raise StoreNotFound(
                f"There is no store {work.settings.index!r}, and the events name no item to make one of.",
                "Load items first: es-recsys items load FILE.",
            ) from None
        _load_bare(work, ())
        metadata = read_metadata(work.es, work.settings.index)
    if not metadata.notes.get("bare"):
        if work.es.count(index=metadata.index)["count"]:
            return []
        # Noted before the first item, so that items of an interrupted run are not taken for a catalogue.
        work.update_metadata(lambda metadata: metadata.with_notes({"bare": True}))
    done = _load_bare(work, work.events.item_ids(_ITEM_EVENT_TYPES))
    update_forward_index(work.job_es, work.settings, metadata, done.added + done.unchanged)
    return [
        f"There is no catalogue: {counted(done.added, 'item was', 'items were')} made of the ids in the events; load the"
        " catalogue when you have it"
    ]


def _load_bare(work: Workspace, ids: Sequence[str]) -> ItemsReport:
    items = (Item(item_id=item_id) for item_id in ids)
    prepare_store(work, {}, work.settings.language, len(ids))
    return catalog.load(work.job_es, work.settings.index, items, count=len(ids), language=work.settings.language)


def _with_progress(parts: Iterable[EventColumns], total: int, progress: Progress | None) -> Iterator[EventColumns]:
    done = 0
    for events in parts:
        if progress is not None:
            progress(done, total)
        yield events
        done += len(events)
