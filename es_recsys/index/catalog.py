"""Brings the items of a store to what the caller has: load, sync, delete."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

from elasticsearch import Elasticsearch

from es_recsys.errors import FingerprintMismatch, InputError
from es_recsys.index import stored_metadata, versions
from es_recsys.index.actions import Action
from es_recsys.index.bulk import BulkReport, BulkSettings, DeadLetters, Failure, Meter, bulk
from es_recsys.index.copying import carry, encoder_fingerprints, sequence
from es_recsys.index.documents import Vectors, completed, digest_of, document
from es_recsys.index.idset import IdSet
from es_recsys.index.read import ids_of, sources_of, vectors_of
from es_recsys.index.refresh import seen, unseen
from es_recsys.index_metadata import IndexMetadata, VectorMetadata
from es_recsys.types import Item
from es_recsys.vector_fields import VECTOR_FIELDS

__all__ = ["CatalogReport", "Encode", "delete", "load", "prepare", "sync"]

Encode = Callable[[Sequence[Item]], Sequence[Vectors]]
"""Items -> the encoders' vectors of each, a field being left out or None where an item has no such content."""

_BATCH = 256
# How often a load looks whether another version went live.
_LOOK_S = 1.0
_UNKNOWN_COUNT = 100_000


@dataclass(frozen=True, slots=True)
class CatalogReport:
    """How many items were added, changed, already as they should be, removed, and refused (with the first reasons). regrouped:
    of the changed ones, those that are variants of another product than before."""

    version: int
    added: int = 0
    changed: int = 0
    unchanged: int = 0
    removed: int = 0
    failed: int = 0
    failures: tuple[Failure, ...] = ()
    regrouped: int = 0


def load(
    client: Elasticsearch,
    store: str,
    items: Iterable[Item],
    encode: Encode | None = None,
    *,
    vectors: Mapping[str, VectorMetadata] | None = None,
    language: str = "english",
    count: int | None = None,
    settings: BulkSettings | None = None,
    dead_letters: DeadLetters | None = None,
    meter: Meter | None = None,
) -> CatalogReport:
    """Adds and changes items in the live version; makes version 1 where the store does not exist.

    vectors: the fields that `encode` fills. count: how many items there are, about, where that is known.
    An item whose content and encoders are those of the stored one is neither encoded nor written; so after an
    interruption the same call goes on where it was. A changed item keeps the vectors that models gave it.
    Where another version goes live meanwhile, the load goes on with that, which then has all that was written before.
    Raises FingerprintMismatch where the store's vectors are another encoder's, WriteError where Elasticsearch takes nothing.
    """
    metadata = prepare(client, store, vectors, language=language, count=count)
    run = _Run(client, metadata, encode, meter or Meter(total=count), vectors or {}, count)
    return _write(client, run, items, settings, dead_letters)


def sync(
    client: Elasticsearch,
    store: str,
    items: Iterable[Item],
    encode: Encode | None = None,
    *,
    keep: Iterable[str] = (),
    vectors: Mapping[str, VectorMetadata] | None = None,
    language: str = "english",
    count: int | None = None,
    settings: BulkSettings | None = None,
    dead_letters: DeadLetters | None = None,
    meter: Meter | None = None,
) -> CatalogReport:
    """`load`, and what is not among `items` (nor in `keep`) is removed.

    Raises InputError where there are no items at all, which would remove everything.
    """
    metadata = prepare(client, store, vectors, language=language, count=count)
    run = _Run(client, metadata, encode, meter or Meter(total=count), vectors or {}, count, whole=True)
    run.seen.update(keep)
    return _write(client, run, items, settings, dead_letters)


def delete(client: Elasticsearch, store: str, item_ids: Iterable[str], *, settings: BulkSettings | None = None) -> CatalogReport:
    """Removes items; ids that the store does not have count as unchanged. Where another version goes live meanwhile, they are
    removed from that, too. Raises StoreNotFound."""
    wanted = list(item_ids)
    metadata = stored_metadata.read_metadata(client, store)
    removed = 0
    while True:
        actions = (Action(item_id, operation="delete") for item_id in wanted)
        done = bulk(client, actions, index=metadata.index, settings=settings, refresh=True)
        # Of those that were removed before another version went live, that has some or none.
        removed = max(removed, done.deleted)
        if versions.live_version(client, store) == metadata.version:
            break
        metadata = stored_metadata.read_metadata(client, store)
    unchanged = len(wanted) - removed - done.failed
    return CatalogReport(metadata.version, removed=removed, unchanged=unchanged, failed=done.failed, failures=done.failures)


def prepare(
    client: Elasticsearch,
    store: str,
    vectors: Mapping[str, VectorMetadata] | None = None,
    *,
    language: str = "english",
    count: int | None = None,
    maker: str = "",
) -> IndexMetadata:
    """The live version with all the encoders' fields; made where there is none, and brought up to this release's fields.

    Raises FingerprintMismatch where the store's vectors are another encoder's.
    """
    vectors = vectors or {}
    expected = _UNKNOWN_COUNT if count is None else count
    if versions.live_version(client, store) is None:
        metadata = IndexMetadata(store, versions.next_version(client, store), language=language, vectors=dict(vectors))
        return versions.create(client, metadata, count=expected, live=True, maker=maker)
    metadata = stored_metadata.read_metadata(client, store)
    stored_metadata.check_vectors(metadata, vectors)
    for name in encoder_fingerprints(metadata).keys() - vectors.keys():
        model = metadata.vectors[name].model
        raise FingerprintMismatch(
            f"{metadata.index} has {name} of {model}, and no such encoder is set now.",
            f"Set the encoder for {VECTOR_FIELDS[name].content} to {model}, or drop the store and load the items again.",
        )
    metadata = stored_metadata.add_fields(client, metadata)
    lacking = {name: vector for name, vector in vectors.items() if name not in metadata.vectors}
    return stored_metadata.add_vectors(client, metadata, lacking, expected) if lacking else metadata


@dataclass(frozen=True, slots=True, eq=False)
class _Due:
    """An item that has to be written, with its document and digest."""

    item: Item
    source: Mapping[str, Any]
    mark: str


@dataclass(slots=True)
class _Run:
    """The actions that make the index hold some items, and what was seen on the way."""

    client: Elasticsearch
    metadata: IndexMetadata
    encode: Encode | None
    meter: Meter
    vectors: Mapping[str, VectorMetadata]
    count: int | None
    # Whether the items are the whole catalogue, and others go.
    whole: bool = False
    seen: IdSet = field(default_factory=IdSet)
    read: int = 0
    unchanged: int = 0
    regrouped: int = 0
    # Whether the index was empty at the start, so that there is nothing to compare with.
    first: bool = False
    recent: OrderedDict[str, None] = field(default_factory=OrderedDict)
    # Up to where the version was written before this run, to know later what was written since.
    written: Mapping[int, int] = field(default_factory=dict)
    looked: float = 0.0
    # Attribute -> whether its field is one of texts.
    textual: dict[str, bool] = field(default_factory=dict)

    def actions(self, stream: Iterator[Item]) -> Iterator[Action]:
        """Actions of the items that are left, up to where another version goes live."""
        fingerprints = encoder_fingerprints(self.metadata)
        while not self._overtaken():
            batch = list(islice(stream, _BATCH))
            if not batch:
                yield from self._removals()
                return
            self.read += len(batch)
            self.seen.update(item.item_id for item in batch)
            yield from self._batch(batch, fingerprints)

    def begin(self) -> None:
        """Looks at the version that is written to from now on."""
        self.client.indices.refresh(index=self.metadata.index)
        self.written = sequence(self.client, self.metadata.index)
        self.first = self.client.count(index=self.metadata.index)["count"] == 0
        self.recent.clear()
        self.textual = {path.removeprefix("attributes."): kind == "keyword" for path, kind in self.metadata.fields.items()}

    def moved_on(self) -> bool:
        """Whether another version went live; then it has what this run wrote, and is the one to write to."""
        metadata = self.metadata
        if versions.live_version(self.client, metadata.store) == metadata.version:
            return False
        self.metadata = prepare(self.client, metadata.store, self.vectors, language=metadata.language, count=self.count)
        if self.client.indices.exists(index=metadata.index):
            carry(self.client, metadata, self.metadata, self.written)
        return True

    def _overtaken(self) -> bool:
        if time.monotonic() - self.looked < _LOOK_S:
            return False
        self.looked = time.monotonic()
        return versions.live_version(self.client, self.metadata.store) != self.metadata.version

    def _removals(self) -> Iterator[Action]:
        if not self.whole:
            return
        if not self.read:
            raise InputError("There are no items, so everything would be removed.", "To mean that: es-recsys index drop --store.")
        for ids in ids_of(self.client, self.metadata.index):
            yield from (Action(item_id, operation="delete") for item_id in self.seen.lacks(ids))

    def _batch(self, batch: Sequence[Item], fingerprints: Mapping[str, str]) -> Iterator[Action]:
        ids = [item.item_id for item in batch]
        stored = {} if self.first else sources_of(self.client, self.metadata.index, ids, ["content_digest", "group_id"])
        due: list[_Due] = []
        unchanged = 0
        for item in batch:
            try:
                source = document(item)
                mark = digest_of(source, fingerprints)
            except (InputError, TypeError) as error:
                yield Action(item.item_id, item.model_dump(), problem=f"The item can't be written as JSON: {error}")
                continue
            if self._differs(item, mark, stored):
                due.append(_Due(item, source, mark))
                was = stored.get(item.item_id)
                self.regrouped += was is not None and was.get("group_id") != item.group_id
            else:
                unchanged += 1
        self._skip(unchanged)
        yield from self._encoded(due, {one.item.item_id for one in due if one.item.item_id in stored})

    def _encoded(self, due: Sequence[_Due], known: Collection[str]) -> Iterator[Action]:
        items = [one.item for one in due]
        vectors: Sequence[Vectors] = self.encode(items) if self.encode is not None and items else [{}] * len(items)
        kept = self._kept(sorted(known))
        for one, own in zip(due, vectors, strict=True):
            item_id = one.item.item_id
            yield Action(item_id, completed(self._searched(one), {**kept.get(item_id, {}), **own}, one.mark))

    def _searched(self, one: _Due) -> Mapping[str, Any]:
        """The document, with the texts among an attribute's numbers, dates or flags where searches find texts: Elasticsearch
        copies only those of a field of texts there."""
        found: list[str] = []
        for name, value in one.item.attributes.items():
            texts = [each for each in (value if isinstance(value, tuple) else (value,)) if isinstance(each, str)]
            # The first value decides the type of a new field.
            if not self.textual.setdefault(name, bool(texts)) and texts and "." not in name:
                found += texts
        return one.source if not found else {**one.source, "all_text": [*one.source.get("all_text", ()), *found]}

    def _differs(self, item: Item, mark: str, stored: Mapping[str, Mapping[str, str]]) -> bool:
        """Whether the item has to be written. Ids written a moment ago count: the index may not show that yet."""
        recent = item.item_id in self.recent
        if not recent and stored.get(item.item_id, {}).get("content_digest") == mark:
            return False
        self.recent[item.item_id] = None
        self.recent.move_to_end(item.item_id)
        while len(self.recent) > 20 * _BATCH:
            self.recent.popitem(last=False)
        return True

    def _skip(self, unchanged: int) -> None:
        self.unchanged += unchanged
        if unchanged:
            self.meter.advance(unchanged)

    def _kept(self, item_ids: Sequence[str]) -> dict[str, Vectors]:
        """Vectors that models gave items that are about to be written again."""
        fields = self.metadata.vectors.keys() - encoder_fingerprints(self.metadata).keys()
        if not fields or not item_ids:
            return {}
        return {**vectors_of(self.client, self.metadata.index, item_ids, sorted(fields))}


def _write(
    client: Elasticsearch,
    run: _Run,
    items: Iterable[Item],
    settings: BulkSettings | None,
    dead_letters: DeadLetters | None,
) -> CatalogReport:
    stream = iter(items)
    report: BulkReport | None = None
    while True:
        run.begin()
        metadata = run.metadata
        if not run.first:
            seen(client, metadata.index)
        with unseen(client, metadata.index) if run.first else nullcontext():
            done = bulk(
                client,
                run.actions(stream),
                index=metadata.index,
                dims={name: vector.dims for name, vector in metadata.vectors.items()},
                settings=settings,
                dead_letters=dead_letters,
                meter=run.meter,
                refresh=True,
            )
        report = done if report is None else _sum(report, done)
        stored_metadata.grow(client, metadata, client.count(index=metadata.index)["count"])
        if not run.moved_on():
            return _report(metadata, run, report)


def _sum(one: BulkReport, other: BulkReport) -> BulkReport:
    numbers = ("created", "updated", "deleted", "missing", "failed", "retried")
    sums = {name: getattr(one, name) + getattr(other, name) for name in numbers}
    return replace(one, **sums, failures=one.failures + other.failures)


def _report(metadata: IndexMetadata, run: _Run, report: BulkReport) -> CatalogReport:
    return CatalogReport(
        metadata.version,
        added=report.created,
        changed=report.updated,
        unchanged=run.unchanged,
        removed=report.deleted,
        failed=report.failed,
        failures=report.failures,
        regrouped=run.regrouped,
    )
