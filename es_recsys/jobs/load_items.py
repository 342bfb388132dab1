"""Items in and out: from files or from memory, encoded and indexed."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from pathlib import Path
from typing import Any

from es_recsys.counting import counted
from es_recsys.encoders import Encoder, VectorCache, encoders, item_text, language_warning
from es_recsys.errors import InputError, StoreNotFound, WriteError
from es_recsys.index import catalog
from es_recsys.index.dead_letters import DeadLetterFile, WriteFailure
from es_recsys.index.fetch import fetch_sources, scan_group_ids
from es_recsys.index.stored_metadata import read_metadata, vector_metadata, write_metadata
from es_recsys.index_metadata import IndexMetadata
from es_recsys.jobs.prepare_store import prepare_store
from es_recsys.progress import Progress, ProgressCounter
from es_recsys.serving.behaviour_refresh import catalogue_state, refresh_behaviour
from es_recsys.serving.product_groups import note_variants
from es_recsys.serving.store_encoders import ItemErrors, item_vectors, settings_of_store
from es_recsys.serving.workspace import Workspace
from es_recsys.sources import MediaFolders, ReadOptions, RejectedRows, dry_run, infer_item_schema, read_items, strip_markup
from es_recsys.sources.attributes import MAX_ATTRIBUTES
from es_recsys.sources.read_options import DEFAULT_OPTIONS
from es_recsys.types import Item
from es_recsys.vector_fields import AS_KEYWORD, AS_LONG

__all__ = ["CatalogueReport", "delete_items", "insert_items", "load_files", "remove_items"]

_SAMPLE = 200
_SOME = 10_000
_TELLING = 100
"""Fewer items written say nothing of a rate."""


@dataclass(frozen=True, slots=True)
class CatalogueReport:
    """What became of the items. rejected: lines that could not be read; unencoded: contents without a vector. fields: what
    lines were used without: `field`, `reason`, `count`, `examples`."""

    version: int
    added: int = 0
    changed: int = 0
    unchanged: int = 0
    removed: int = 0
    failed: int = 0
    rejected: int = 0
    unencoded: int = 0
    seconds: float = 0.0
    fields: tuple[dict[str, Any], ...] = ()
    notes: tuple[str, ...] = field(default=())

    def lines(self) -> Iterator[str]:
        written = self.added + self.changed
        rate = f", {written / self.seconds:,.0f} items/s" if written >= _TELLING and self.seconds > 0 else ""
        yield (
            f"{counted(self.added, 'item', 'items')} added, {self.changed:,} changed, {self.unchanged:,} unchanged,"
            f" {self.removed:,} removed in {self.seconds:.1f} s{rate}"
        )
        yield from self.notes

    def to_dict(self) -> dict[str, Any]:
        names = ("version", "added", "changed", "unchanged", "removed", "failed", "rejected", "unencoded", "seconds")
        found = {name: getattr(self, name) for name in names}
        return {**found, "fields": list(self.fields), "notes": list(self.notes)}


def load_files(
    work: Workspace,
    files: Sequence[Path],
    options: ReadOptions = DEFAULT_OPTIONS,
    *,
    whole: bool = False,
    max_errors: int | None = 100,
    progress: Progress | None = None,
) -> CatalogueReport:
    """Load items of files into the store; with `whole` the files are the whole catalogue, and what they lack is removed.

    The files are checked first: with more than `max_errors` bad lines nothing is written. With `whole` an item on a bad line
    counts as missing, so allow none there.
    Raises InputError, also where no line can be used, TooManyErrors, FingerprintMismatch, WriteError.
    """
    stored = _attributes_of(_meta(work))
    # A field of texts takes what a file has as it stands there; one of numbers, dates or flags takes texts beside them.
    texts = {name: "text" for name, kind in stored.items() if kind == "keyword"}
    schema = infer_item_schema(files, options, known=texts)
    _check_names(schema.types, stored)
    good, rejected = dry_run(lambda rejected: read_items(files, options, schema=schema, rejected=rejected), max_errors)
    if not good:
        raise rejected.nothing_usable("item", files)
    folders = MediaFolders(files)
    items = read_items(files, options, schema=schema, folders=folders, rejected=RejectedRows(write=False))
    report = _write(work, items, folders.of, whole=whole, count=good, progress=progress)
    return _with_rejected(report, rejected)


def insert_items(work: Workspace, items: Iterable[Item], base: Path, progress: Progress | None = None) -> CatalogueReport:
    """Items from memory into the store, HTML in their texts read as text. base: folder that pictures' paths start from.

    Raises InputError where the store would have more attributes than a catalogue may: before anything is written where the items
    are at hand, else before the item that has one too many. Raises WriteError, which has the report, where items were refused;
    the others are stored.
    """
    count = len(items) if isinstance(items, Sequence) else None
    stored = _attributes_of(_meta(work))
    if isinstance(items, Sequence):
        _check_names(dict.fromkeys(name for item in items for name in item.attributes), stored)
    else:
        items = _checked(items, stored)
    report = _write(work, map(strip_markup, items), base, whole=False, count=count, progress=progress)
    if report.failed:
        raise WriteError(
            f"{counted(report.failed, 'item was', 'items were')} not stored, all others are.", " ".join(report.notes), report
        )
    return report


def remove_items(work: Workspace, item_ids: Iterable[str]) -> CatalogueReport:
    """Removes items by id, and events on them count no longer; unknown ids count as unchanged. Raises KeyMismatch before
    anything is removed."""
    started = time.monotonic()
    _confirm_key(work, _meta(work))
    before = catalogue_state(work)
    with work.translating_errors():
        done = catalog.delete(work.patient, work.settings.index, item_ids)
    notes = [f"{failure.id} was not removed: {failure.reason}" for failure in done.failures[:3]]
    if done.unchanged:
        notes.append(f"{counted(done.unchanged, 'id is that', 'ids are those')} of no item in the store: nothing to remove.")
    work.snapshots.invalidate()
    note_variants(work, regrouped=_cut_off(work, before))
    notes += refresh_behaviour(work, before, done)
    return CatalogueReport(
        done.version,
        removed=done.removed,
        unchanged=done.unchanged,
        failed=done.failed,
        seconds=time.monotonic() - started,
        notes=tuple(notes),
    )


def delete_items(
    work: Workspace, ids: Sequence[str], file: Path | None, options: ReadOptions = DEFAULT_OPTIONS
) -> CatalogueReport:
    """Remove the named items and those of a file."""
    if not ids and file is None:
        raise InputError("No item is named.", "Give ids, or a file of items with --file.")
    from_file = (item.item_id for item in read_items(file, options)) if file is not None else ()
    return remove_items(work, chain(ids, from_file))


def _write(
    work: Workspace,
    items: Iterable[Item],
    base: Path | Callable[[Item], Path],
    *,
    whole: bool,
    count: int | None,
    progress: Progress | None,
) -> CatalogueReport:
    started = time.monotonic()
    metadata = _meta(work)
    _confirm_key(work, metadata)
    before = catalogue_state(work)
    settings = settings_of_store(work.settings, metadata)
    chosen = encoders(settings)
    now = f"{time.strftime('%Y%m%d-%H%M%S')}.jsonl"
    errors, notes = ItemErrors(work.settings.store_home / "unencoded" / now), list[str]()
    sample, items = _peek(items)
    notes += _warnings(chosen, sample, settings.language if metadata is None else metadata.language)
    letters = DeadLetterFile(work.settings.store_home / "dead_letters" / now)
    write = catalog.sync if whole else catalog.load
    with closing(VectorCache(settings.cache)) as cache, work.translating_errors():
        prepare_store(work, vector_metadata(chosen), settings.language, count)
        done = write(
            work.patient,
            settings.index,
            items,
            item_vectors(chosen, base, cache, errors) if chosen else None,
            vectors=vector_metadata(chosen),
            language=settings.language,
            count=count,
            dead_letters=letters,
            progress=ProgressCounter(progress, count),
        )
    if done.failed:
        first = "; ".join(f"{failure.id}: {failure.reason}" for failure in done.failures[:3])
        notes.append(
            f"{counted(done.failed, 'item was', 'items were')} refused ({first}); all of them are in {letters.path}."
            f" {_way_out(done.failures)}"
        )
    if errors.count:
        shown = "; ".join(errors.first[:3])
        notes.append(f"{errors.count:,} contents could not be encoded ({shown}); all of them are in {errors.path}")
    if metadata is not None and metadata.notes.get("bare"):
        _no_longer_bare(work)
    work.snapshots.invalidate()
    regrouped = bool(done.regrouped) or _cut_off(work, before)
    note_variants(work, regrouped=regrouped)
    notes += refresh_behaviour(work, before, done, regrouped=bool(done.regrouped))
    return CatalogueReport(
        done.version,
        done.added,
        done.changed,
        done.unchanged,
        done.removed,
        done.failed,
        unencoded=errors.count,
        seconds=time.monotonic() - started,
        notes=tuple(notes),
    )


def _attributes_of(metadata: IndexMetadata | None) -> dict[str, str]:
    """Attribute -> type of its field."""
    paths = {} if metadata is None else metadata.fields
    names = ((path.removeprefix("attributes."), kind) for path, kind in paths.items() if path.startswith("attributes."))
    return {name: kind for name, kind in names if not name.endswith((f".{AS_KEYWORD}", f".{AS_LONG}"))}


def _checked(items: Iterable[Item], stored: Collection[str]) -> Iterator[Item]:
    new: dict[str, None] = {}
    for item in items:
        if item.attributes:
            new.update(dict.fromkeys(item.attributes))
            _check_names(new, stored)
        yield item


def _check_names(names: Iterable[str], stored: Collection[str]) -> None:
    """Raises InputError, before anything is written, where the store would have more attributes than a catalogue may."""
    new = [name for name in names if name not in stored]
    if new and len(stored) + len(new) > MAX_ATTRIBUTES:
        room = max(MAX_ATTRIBUTES - len(stored), 0)
        raise InputError(
            f"The store has {len(stored):,} attributes and can have {MAX_ATTRIBUTES}; the one too many is {new[room]!r}.",
            "Leave columns out (--columns NAME=-), or put such values into one list (tags, or an attribute of lists).",
        )


def _way_out(failures: Sequence[WriteFailure]) -> str:
    if any("failed to parse" in failure.reason or "mapper" in failure.reason for failure in failures):
        return "The index was made by an earlier release: make it anew (es-recsys index rebuild), then load them again."
    return "Mend them and load them again."


def _meta(work: Workspace) -> IndexMetadata | None:
    try:
        with work.translating_errors():
            return read_metadata(work.es, work.settings.index)
    except StoreNotFound:
        return None


def _confirm_key(work: Workspace, metadata: IndexMetadata | None) -> None:
    if metadata is not None and work.events.last_row:
        with work.translating_errors():
            work.confirm_key(metadata)


def _cut_off(work: Workspace, before: Mapping[str, Any] | None) -> bool:
    """Whether an earlier run wrote to the index and was cut off before events were compared with it."""
    known = work.events.progress.get("catalogue")
    return before is not None and known is not None and known != before and known.get("index") == before["index"]


def _no_longer_bare(work: Workspace) -> None:
    """Of the items that were made of ids in events, those that turn out to be products of variants are none."""
    metadata = read_metadata(work.es, work.settings.index)
    groups = sorted(set(scan_group_ids(work.es, metadata.index).values()))
    found = (fetch_sources(work.es, metadata.index, groups[start : start + _SOME]) for start in range(0, len(groups), _SOME))
    made = [item_id for some in found for item_id, source in some.items() if not source.keys() & {"title", "group_id"}]
    if made:
        catalog.delete(work.patient, work.settings.index, made)
    write_metadata(work.es, replace(metadata, notes={key: value for key, value in metadata.notes.items() if key != "bare"}))


def _peek(items: Iterable[Item]) -> tuple[list[Item], Iterator[Item]]:
    stream = iter(items)
    sample = list(islice(stream, _SAMPLE))
    return sample, chain(sample, stream)


def _warnings(chosen: Sequence[Encoder], sample: Sequence[Item], language: str) -> list[str]:
    texts = [text for item in sample if (text := item_text(item)) is not None]
    found = [language_warning(encoder, texts, language) for encoder in chosen if encoder.content == "text"]
    return [warning for warning in found if warning is not None]


def _with_rejected(report: CatalogueReport, rejected: RejectedRows) -> CatalogueReport:
    return replace(
        report,
        rejected=rejected.count,
        fields=tuple(rejected.field_error_dicts()),
        notes=(*report.notes, *rejected.messages()),
    )
