"""Loads items into a store, from files or from memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from es_recsys.counting import counted
from es_recsys.errors import WriteError
from es_recsys.index.items_report import ItemsReport
from es_recsys.jobs.attribute_limit import check_attribute_names, checked_items, stored_attributes
from es_recsys.jobs.live_store import find_metadata
from es_recsys.jobs.write_items import on_demand_contents, write_items
from es_recsys.progress import Progress
from es_recsys.serving.workspace import Workspace
from es_recsys.sources import MediaFolders, ReadOptions, RejectedRows, dry_run, infer_item_schema, read_items, strip_markup
from es_recsys.sources.input_files import SpooledTable, shown_path
from es_recsys.sources.named_formats import resolve_format
from es_recsys.sources.read_options import DEFAULT_OPTIONS
from es_recsys.types import Item

__all__ = ["insert_items", "load_items"]


def load_items(
    work: Workspace,
    files: Sequence[Path | SpooledTable],
    options: ReadOptions = DEFAULT_OPTIONS,
    *,
    whole: bool = False,
    max_errors: int | None = 100,
    progress: Progress | None = None,
) -> ItemsReport:
    """Load items of files into the store; with `whole` the files are the whole catalogue, and what they lack is removed.

    The files are checked first: with more than `max_errors` bad lines nothing is written. With `whole` an item on a bad line
    counts as missing, so allow none there.
    Raises InputError, also where no line can be used, TooManyErrors, FingerprintMismatch, WriteError.
    """
    options = resolve_format(options, "items", files)
    stored = stored_attributes(find_metadata(work))
    # A field of texts takes what a file has as it stands there; one of numbers, dates or flags takes texts beside them.
    texts = {name: "text" for name, kind in stored.items() if kind == "keyword"}
    shown = [shown_path(file) for file in files]
    schema = infer_item_schema(files, options, known=texts)
    check_attribute_names(schema.types, stored)
    contents: set[str] = set()
    read = partial(read_items, files, options, schema=schema)
    count, rejected = dry_run(lambda rejected: _with_contents(read(rejected=rejected), contents), max_errors)
    if not count:
        raise rejected.nothing_usable("item", shown)
    folders = MediaFolders(shown)
    items = read(folders=folders, rejected=RejectedRows(write=False))
    report = write_items(work, items, folders.of, whole=whole, count=count, contents=contents, progress=progress)
    return replace(
        report,
        rejected=rejected.count,
        fields=tuple(rejected.field_error_dicts()),
        notes=(*report.notes, *rejected.messages()),
    )


def _with_contents(items: Iterable[Item], contents: set[str]) -> Iterator[Item]:
    """Yield the items, and add to `contents` what they have (see `on_demand_contents`)."""
    for item in items:
        contents |= on_demand_contents(item)
        yield item


def insert_items(work: Workspace, items: Iterable[Item], base: Path, progress: Progress | None = None) -> ItemsReport:
    """Load items from memory into the store; HTML in their texts is read as text.

    base: folder that the paths of pictures and sounds start from.

    Raises InputError where the store would have more attributes than a catalogue may: for a sequence before anything is written,
    else before the item that has one too many. Raises WriteError, which has the report, where items were refused; the others are
    stored.
    """
    stored = stored_attributes(find_metadata(work))
    count = len(items) if isinstance(items, Sequence) else None
    if isinstance(items, Sequence):
        contents = {kind for item in items for kind in on_demand_contents(item)}
        check_attribute_names(dict.fromkeys(name for item in items for name in item.attributes), stored)
    else:
        contents = on_demand_contents(None)  # what comes is not known
        items = checked_items(items, stored)
    texts = map(strip_markup, items)
    report = write_items(work, texts, base, whole=False, count=count, contents=contents, progress=progress)
    if report.failed:
        raise WriteError(
            f"{counted(report.failed, 'item was', 'items were')} not stored, all others are.", " ".join(report.notes), report
        )
    return report
