"""Deletes items of a store; events on them no longer count."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path

from es_recsys.counting import counted
from es_recsys.errors import InputError
from es_recsys.index import catalog
from es_recsys.index.items_report import ItemsReport
from es_recsys.jobs.live_store import confirm_key, find_metadata
from es_recsys.jobs.write_items import refresh_after_write
from es_recsys.serving.refresh import catalogue_state
from es_recsys.serving.workspace import Workspace
from es_recsys.sources import ReadOptions, read_items
from es_recsys.sources.read_options import DEFAULT_OPTIONS

__all__ = ["delete_items", "delete_listed_items"]


def delete_items(work: Workspace, item_ids: Iterable[str]) -> ItemsReport:
    """Delete items by id; ids that the store lacks count as unchanged. Raises KeyMismatch before anything is deleted."""
    started = time.monotonic()
    if work.events.last_row:
        confirm_key(work, find_metadata(work))
    before = catalogue_state(work)
    with work.translating_errors():
        done = catalog.delete(work.job_es, work.settings.index, item_ids)
    notes = [f"{failure.id} was not removed: {failure.reason}" for failure in done.failures[:3]]
    if done.unchanged:
        notes.append(f"{counted(done.unchanged, 'id is that', 'ids are those')} of no item in the store: nothing to remove.")
    notes += refresh_after_write(work, before, done)
    return replace(done, seconds=time.monotonic() - started, notes=tuple(notes))


def delete_listed_items(
    work: Workspace, item_ids: Sequence[str], file: Path | None, options: ReadOptions = DEFAULT_OPTIONS
) -> ItemsReport:
    """Delete the given items and those that a file lists. Raises InputError where there is neither."""
    if not item_ids and file is None:
        raise InputError("No item is named.", "Give ids, or a file of items with --file.")
    from_file = (item.item_id for item in read_items(file, options)) if file is not None else ()
    return delete_items(work, chain(item_ids, from_file))
