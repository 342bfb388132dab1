"""Encodes items and writes them to the live version; what depends on the catalogue follows."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from itertools import chain, islice
from pathlib import Path
from typing import Any

from es_recsys.counting import counted
from es_recsys.encoders import (
    DEFAULT_TEXT,
    MULTILINGUAL,
    UNKNOWN_LANGUAGE_REMEDY,
    Encoder,
    VectorCache,
    encoders,
    item_text,
    knows_language,
    why_unknown,
)
from es_recsys.index import catalog
from es_recsys.index.dead_letters import DeadLetterFile, WriteFailure
from es_recsys.index.fetch import fetch_sources, scan_group_ids
from es_recsys.index.items_report import ItemsReport
from es_recsys.index.stored_metadata import read_metadata, vector_metadata
from es_recsys.index_metadata import IndexMetadata
from es_recsys.jobs.live_store import confirm_key, find_metadata
from es_recsys.jobs.prepare_store import prepare_store
from es_recsys.progress import Progress, ProgressCounter
from es_recsys.serving.product_groups import record_variants
from es_recsys.serving.refresh import catalogue_state, refresh_after_items
from es_recsys.serving.store_encoders import ItemErrors, item_vectors, settings_of_store
from es_recsys.serving.stored_forward_index import update_forward_index
from es_recsys.serving.workspace import Workspace
from es_recsys.settings import Settings
from es_recsys.types import Item
from es_recsys.vector_fields import VECTOR_FIELDS

__all__ = ["on_demand_contents", "refresh_after_write", "write_items"]

_SAMPLE = 200  # items whose language is looked at
_CHUNK = 10_000
_ON_DEMAND = tuple(row.content for row in VECTOR_FIELDS.values() if row.on_demand)


def on_demand_contents(item: Item | None) -> set[str]:
    """Return the kinds of content of an item for which a store has a vector field only on demand; all of them for None."""
    return {kind for kind in _ON_DEMAND if item is None or getattr(item, kind)}


def write_items(
    work: Workspace,
    items: Iterable[Item],
    base: Path | Callable[[Item], Path],
    *,
    whole: bool,
    count: int | None,
    contents: Collection[str],
    progress: Progress | None,
) -> ItemsReport:
    """Encode and write items, and bring popularity and profiles up to date.

    base: folder that the paths of pictures and sounds start from. whole: whether items that are not among these are removed.
    count: how many there are, None where unknown. contents: kinds of content that they have, see `on_demand_contents`. Raises
    KeyMismatch before anything is written, FingerprintMismatch, MissingExtra.
    """
    started = time.monotonic()
    metadata = find_metadata(work)
    if work.events.last_row:
        confirm_key(work, metadata)
    before = catalogue_state(work)
    sample, items = _peek(items)
    settings, used, notes = _encoders(work.settings, metadata, contents, sample)
    vectors = vector_metadata(used)
    name = f"{time.strftime('%Y%m%d-%H%M%S')}.jsonl"
    errors = ItemErrors(work.settings.store_home / "unencoded" / name)
    letters = DeadLetterFile(work.settings.store_home / "dead_letters" / name)
    with closing(VectorCache(settings.cache)) as cache, work.translating_errors():
        prepare_store(work, vectors, settings.language, count)
        done = catalog.load(
            work.job_es,
            settings.index,
            items,
            item_vectors(used, base, cache, errors) if used else None,
            remove_others=whole,
            vectors=vectors,
            language=settings.language,
            count=count,
            dead_letters=letters,
            progress=ProgressCounter(progress, count),
        )
    notes += _language_notes(done) + _failure_notes(done, letters.path, errors)
    if metadata is not None and metadata.notes.get("bare"):
        _end_bare_catalogue(work)
    notes += refresh_after_write(work, before, done)
    return replace(done, unencoded=errors.count, seconds=time.monotonic() - started, notes=tuple(notes))


def refresh_after_write(work: Workspace, before: Mapping[str, Any] | None, done: ItemsReport) -> list[str]:
    """Bring variants, the forward index, popularity and profiles up to date with written items; return what a person should know.

    before: the `catalogue_state` before the items were written.
    """
    work.snapshots.invalidate()
    record_variants(work, regrouped=bool(done.regrouped) or _was_interrupted(work, before))
    with work.translating_errors():
        metadata = read_metadata(work.es, work.settings.index)
        items = done.added + done.changed + done.unchanged + done.removed
        update_forward_index(work.job_es, work.settings, metadata, items)
    return refresh_after_items(work, before, done, regrouped=bool(done.regrouped))


def _was_interrupted(work: Workspace, before: Mapping[str, Any] | None) -> bool:
    """Return whether an earlier run wrote to the index and ended before events were compared with it."""
    compared = work.events.progress.get("catalogue")
    return before is not None and compared is not None and compared != before and compared.get("index") == before["index"]


def _language_notes(done: ItemsReport) -> list[str]:
    if not done.languages:
        return []
    counts = ", ".join(f"{name} {count:,}" for name, count in done.languages.items())
    return [
        f"Languages of the items: {counts}. Where this is wrong, give items an attribute language, or a new store the languages"
        " that there are: --language english,german."
    ]


def _failure_notes(done: ItemsReport, dead_letters: Path, errors: ItemErrors) -> list[str]:
    notes = []
    if done.failed:
        first = "; ".join(f"{failure.id}: {failure.reason}" for failure in done.failures[:3])
        notes.append(
            f"{counted(done.failed, 'item was', 'items were')} refused ({first}); all of them are in {dead_letters}."
            f" {_remedy(done.failures)}"
        )
    if errors.count:
        first = "; ".join(errors.first[:3])
        notes.append(f"{errors.count:,} contents could not be encoded ({first}); all of them are in {errors.path}")
    return notes


def _remedy(failures: Sequence[WriteFailure]) -> str:
    if any("failed to parse" in failure.reason or "mapper" in failure.reason for failure in failures):
        return "The index was made by an earlier release: make it anew (es-recsys index rebuild), then load them again."
    return "Mend them and load them again."


def _end_bare_catalogue(work: Workspace) -> None:
    """Note that the catalogue is no longer made of the ids in events, and remove ids that turn out to be products of variants."""
    metadata = read_metadata(work.es, work.settings.index)
    groups = sorted(set(scan_group_ids(work.es, metadata.index).values()))
    chunks = (fetch_sources(work.es, metadata.index, groups[start : start + _CHUNK]) for start in range(0, len(groups), _CHUNK))
    bare = [item_id for chunk in chunks for item_id, source in chunk.items() if not source.keys() & {"title", "group_id"}]
    if bare:
        catalog.delete(work.job_es, work.settings.index, bare)
    work.update_metadata(lambda metadata: metadata.with_notes({"bare": None}))


def _peek(items: Iterable[Item]) -> tuple[list[Item], Iterator[Item]]:
    """Return the first items, and all of them."""
    stream = iter(items)
    sample = list(islice(stream, _SAMPLE))
    return sample, chain(sample, stream)


def _encoders(
    given: Settings, metadata: IndexMetadata | None, contents: Collection[str], sample: Sequence[Item]
) -> tuple[Settings, tuple[Encoder, ...], list[str]]:
    """Return the store's settings and encoders, and what a person should know of its language.

    A new store whose language the default text model doesn't know, and for which none was named, gets the multilingual one.
    """
    settings = settings_of_store(given, metadata, contents)
    used = encoders(settings)
    texts = [text for item in sample if (text := item_text(item)) is not None]
    language = settings.language if metadata is None else metadata.language
    reason = next((found for encoder in used if (found := why_unknown(encoder, texts, language))), None)
    if reason is None:
        return settings, used, []
    is_new = metadata is None or bool(metadata.notes.get("bare"))
    if is_new and "text" not in given.encoders.model_fields_set and knows_language(language):
        chosen = settings.encoders.model_copy(update={"text": MULTILINGUAL})
        settings = settings.model_copy(update={"encoders": chosen})
        note = f"{reason} So {MULTILINGUAL} encodes the texts, which takes three to four times as long"
        return settings, encoders(settings), [f"{note}; --text-encoder {DEFAULT_TEXT} keeps the other."]
    return settings, used, [f"{reason} {UNKNOWN_LANGUAGE_REMEDY}"]
