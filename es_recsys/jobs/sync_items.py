"""Loads the items of an index or a table into a store, once or again and again."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from es_recsys.counting import counted
from es_recsys.errors import InputError, SetupError
from es_recsys.index.fetch import scan_ids
from es_recsys.index.id_set import IdSet
from es_recsys.index.items_report import ItemsReport
from es_recsys.index.stored_metadata import read_metadata
from es_recsys.jobs.delete_items import delete_items
from es_recsys.jobs.live_store import find_metadata
from es_recsys.jobs.load_items import load_items
from es_recsys.jobs.row_sources import IndexRows, RowSource, SourceName, open_source, spooled
from es_recsys.jobs.source_marks import mark_key, stored_mark, with_mark
from es_recsys.progress import ProgressReporter
from es_recsys.serving.body_search import ADOPTED
from es_recsys.serving.workspace import Workspace
from es_recsys.sources import ReadOptions, RejectedRows, read_items
from es_recsys.sources.column_mapping import DROPPED
from es_recsys.sources.index_columns import ID, ColumnProposal, propose_columns
from es_recsys.sources.read_options import DEFAULT_OPTIONS

__all__ = ["ItemSource", "follow_items", "propose_item_columns", "sync_items"]

_OVERLAP_S = 300.0
"""By how much before the last mark documents are read again: one that was written before another may be seen after it."""

_COMPARE_S = 3_600.0


@dataclass(frozen=True, slots=True)
class ItemSource:
    """Items that stand elsewhere, and how they are read.

    whole: whether the source is the whole catalogue, and what it lacks is removed; never by a reading of a part. since: a field
    of times or numbers that grows with each change of a row: only what has changed since the last reading is read.
    """

    name: SourceName
    options: ReadOptions = field(default_factory=lambda: DEFAULT_OPTIONS)
    whole: bool = False
    since: str | None = None
    max_errors: int | None = 100


def propose_item_columns(work: Workspace, name: SourceName) -> ColumnProposal:
    """Propose which field of an index each field of items is read from. Raises InputError where nothing seems to be a title."""
    with open_source(work, name) as source:
        assert isinstance(source, IndexRows)
        return _proposal(work, source)


def sync_items(work: Workspace, source: ItemSource, *, progress: ProgressReporter | None = None) -> ItemsReport:
    """Load items of an index or a table into the store, and remove what it lacks where it is the whole catalogue.

    Without columns those of an index are proposed by its mapping and a sample, and a note says which. Raises InputError, also
    where there is no row, TooManyErrors, EngineError, SetupError, and what `load_items` raises.
    """
    with open_source(work, source.name) as rows:
        return _sync(work, source, rows, progress)


def follow_items(
    work: Workspace,
    source: ItemSource,
    every_s: float,
    *,
    compare_s: float = _COMPARE_S,
    progress: ProgressReporter | None = None,
    wait: Callable[[float], None] = time.sleep,
) -> Iterator[ItemsReport | SetupError]:
    """Load the items again and again, `every_s` seconds after the last time, and yield a report each time.

    Where only what has changed is read of a whole catalogue, ids are compared every `compare_s` seconds, and items that the
    source no longer has are removed. A source or store that can't be reached is yielded as its error, and tried again; what else
    fails ends the loop.
    """
    if not source.options.columns and source.name.index is not None:
        # Once, so that all readings are alike.
        source = replace(source, options=replace(source.options, columns=propose_item_columns(work, source.name).columns))
    compared = time.monotonic()
    first = True
    while True:
        try:
            with open_source(work, source.name) as rows:
                report = _sync(work, source, rows, progress)
                if source.since and _is_whole(source) and time.monotonic() - compared >= compare_s:
                    gone = _remove_missing(work, source, rows)
                    report = replace(report, removed=report.removed + gone.removed, notes=(*report.notes, *gone.notes))
                    compared = time.monotonic()
            yield report
            first = False
        except SetupError as error:
            if first:
                raise
            yield error
        wait(every_s)


def _is_whole(source: ItemSource) -> bool:
    return source.whole and source.name.query is None


def _sync(work: Workspace, source: ItemSource, rows: RowSource, progress: ProgressReporter | None) -> ItemsReport:
    started = time.monotonic()
    notes: tuple[str, ...] = ()
    options = source.options
    if not options.columns and isinstance(rows, IndexRows):
        proposal = _proposal(work, rows)
        options = replace(options, columns=proposal.columns)
        notes = (f"{rows.name}: read with --columns '{proposal.option}'",)
    columns = {**rows.item_columns, **rows.resolve(options.columns)}
    options = replace(options, columns=columns)
    after, key, mark = None, "", None
    if source.since is not None:
        rows.check_since(source.since)
        key = mark_key(rows, source.since, {"columns": columns, "query": source.name.query})
        metadata = find_metadata(work)
        last = None if metadata is None else stored_mark(metadata.notes, key)
        after = None if last is None else (source.since, last)
        mark = rows.highest(source.since)
    with spooled(work, rows, columns, after=after, overlap_s=_OVERLAP_S, progress=progress) as table:
        if table.count:
            whole = _is_whole(source) and source.since is None
            report = load_items(work, [table], options, whole=whole, max_errors=source.max_errors, progress=progress)
        elif after is None:
            raise InputError(
                f"There is no row in {rows.name}{' that --query finds' if source.name.query else ''}.", "Nothing was read."
            )
        else:
            with work.translating_errors():
                version = read_metadata(work.es, work.settings.index).version
            report = ItemsReport(version, notes=(f"Nothing of {rows.name} has changed since the last time.",))
    if isinstance(rows, IndexRows) and not work.settings.from_url:
        id_field = rows.id_field(columns["item_id"])
        _note_adopted(work, rows.name, id_field or columns["item_id"])
        if id_field is None:
            notes = (*notes, _unread(rows.name, columns["item_id"]))
    if mark is not None and not report.failed:
        work.update_metadata(lambda metadata: metadata.with_notes(with_mark(metadata.notes, key, mark)))
    return replace(report, notes=(*notes, *report.notes), seconds=time.monotonic() - started)


def _unread(index: str, column: str) -> str:
    return (
        f"{index}: no field has the values of {column} as doc values, so hits of your own bodies can't be told apart as items."
        " Index them as a keyword; or leave item_id out of --columns, where documents have the same ids."
    )


def _note_adopted(work: Workspace, index: str, id_column: str) -> None:
    """Note where an index has its item ids, for searches by bodies on it."""
    work.update_metadata(lambda metadata: metadata.with_notes({ADOPTED: {**metadata.notes.get(ADOPTED, {}), index: id_column}}))


def _remove_missing(work: Workspace, source: ItemSource, rows: RowSource) -> ItemsReport:
    """Remove the items that the source no longer has. Raises InputError where that would be all."""
    columns = {**rows.item_columns, **rows.resolve(source.options.columns)}
    id_column = columns.get("item_id", "item_id")
    only = {"item_id": id_column, ID: DROPPED}
    options = replace(source.options, columns=only, constants={}, list_separators={})
    with spooled(work, rows, only, only=(id_column,)) as table:
        found = IdSet(item.item_id for item in read_items(table, options, rejected=RejectedRows(write=False)))
    with work.translating_errors():
        index = read_metadata(work.es, work.settings.index).index
        gone = [item_id for ids in scan_ids(work.job_es, index) for item_id in found.missing(ids)]
    if not len(found):
        raise InputError(
            f"{rows.name} has no item any more, so all would be removed.", "Drop the store (index drop), if you mean it."
        )
    if not gone:
        return ItemsReport(0)
    report = delete_items(work, gone)
    return replace(report, notes=(f"{counted(len(gone), 'item is', 'items are')} no longer in {rows.name}.", *report.notes))


def _proposal(work: Workspace, rows: IndexRows) -> ColumnProposal:
    metadata = find_metadata(work)
    language = work.settings.language if metadata is None else metadata.language
    found = propose_columns(rows.index.fields.leaves, rows.sample, language)
    if "title" not in found.columns:
        some: Mapping[str, Any] = found.examples
        raise InputError(
            f"None of the fields of {rows.name} seems to be the title of an item.",
            f"Name it: --columns title=FIELD. There are {', '.join(list(some)[:20])}.",
        )
    return found
