"""Load and delete the items of a store."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import nullcontext
from dataclasses import replace

from elasticsearch import Elasticsearch

from es_recsys.errors import FingerprintMismatch
from es_recsys.index import mapping_updates, stored_metadata, versions
from es_recsys.index.bulk import BulkReport, BulkSettings, bulk_write
from es_recsys.index.bulk_actions import Action
from es_recsys.index.dead_letters import DeadLetterQueue
from es_recsys.index.item_actions import Encode, ItemActions
from es_recsys.index.items_report import ItemsReport
from es_recsys.index.refresh import refresh_disabled, restore_refresh
from es_recsys.index.reindex import copy_writes_since
from es_recsys.index_metadata import IndexMetadata, VectorMetadata
from es_recsys.progress import ProgressCounter
from es_recsys.types import Item
from es_recsys.vector_fields import VECTOR_FIELDS

__all__ = ["delete", "load", "prepare"]

_UNKNOWN_COUNT = 100_000


def load(
    client: Elasticsearch,
    store: str,
    items: Iterable[Item],
    encode: Encode | None = None,
    *,
    remove_others: bool = False,
    vectors: Mapping[str, VectorMetadata] | None = None,
    language: str = "english",
    count: int | None = None,
    settings: BulkSettings | None = None,
    dead_letters: DeadLetterQueue | None = None,
    progress: ProgressCounter | None = None,
) -> ItemsReport:
    """Add and change items in the live version; create version 1 where the store does not exist.

    remove_others: whether the items are the whole catalogue, and any other is removed. vectors: the fields that `encode` fills.
    count: how many items there are, about, where that is known.
    An item whose content and encoders are those of the stored one is neither encoded nor written; so after an
    interruption the same call goes on where it was. A changed item keeps the vectors that models gave it.
    Where another version goes live meanwhile, the load goes on with that, which then has all that was written before.
    Raises FingerprintMismatch where the store's vectors are another encoder's, WriteError where Elasticsearch takes nothing,
    InputError where all items were to be removed.
    """
    metadata = prepare(client, store, vectors, language=language, count=count)
    actions = ItemActions(client, metadata, encode, progress or ProgressCounter(total=count), remove_others=remove_others)
    stream = iter(items)
    report: BulkReport | None = None
    while True:
        actions.begin()
        metadata = actions.metadata
        if not actions.into_empty:
            restore_refresh(client, metadata.index)
        with refresh_disabled(client, metadata.index) if actions.into_empty else nullcontext():
            done = bulk_write(
                client,
                actions.of(stream),
                index=metadata.index,
                dims=metadata.dims,
                settings=settings,
                dead_letters=dead_letters,
                progress=actions.progress,
                refresh=True,
            )
        report = done if report is None else _sum(report, done)
        mapping_updates.switch_to_hnsw(client, metadata, client.count(index=metadata.index)["count"])
        if versions.live_version(client, metadata.store) == metadata.version:
            return _report(actions, report)
        # Another version went live: it gets what was written here, and the rest of the items.
        actions.metadata = prepare(client, metadata.store, vectors, language=metadata.language, count=count)
        if client.indices.exists(index=metadata.index):
            copy_writes_since(client, metadata, actions.metadata, actions.checkpoints)


def delete(client: Elasticsearch, store: str, item_ids: Iterable[str], *, settings: BulkSettings | None = None) -> ItemsReport:
    """Remove items; ids that the store does not have count as unchanged.

    Where another version goes live meanwhile, they are removed from that, too. Raises StoreNotFound.
    """
    ids = list(item_ids)
    metadata = stored_metadata.read_metadata(client, store)
    removed = 0
    while True:
        actions = (Action(item_id, operation="delete") for item_id in ids)
        done = bulk_write(client, actions, index=metadata.index, settings=settings, refresh=True)
        # Of those that were removed before another version went live, that has some or none.
        removed = max(removed, done.deleted)
        if versions.live_version(client, store) == metadata.version:
            break
        metadata = stored_metadata.read_metadata(client, store)
    unchanged = len(ids) - removed - done.failed
    return ItemsReport(metadata.version, removed=removed, unchanged=unchanged, failed=done.failed, failures=done.failures)


def prepare(
    client: Elasticsearch,
    store: str,
    vectors: Mapping[str, VectorMetadata] | None = None,
    *,
    language: str = "english",
    count: int | None = None,
    owner: str = "",
) -> IndexMetadata:
    """Return the live version with all the encoders' fields and this release's; create it where there is none.

    Raises FingerprintMismatch where the store's vectors are another encoder's.
    """
    vectors = vectors or {}
    expected = _UNKNOWN_COUNT if count is None else count
    if versions.live_version(client, store) is None:
        metadata = IndexMetadata(store, versions.next_version(client, store), language=language, vectors=dict(vectors))
        return versions.create(client, metadata, count=expected, live=True, owner=owner)
    metadata = stored_metadata.read_metadata(client, store)
    stored_metadata.check_vectors(metadata, vectors)
    for name in stored_metadata.encoder_fingerprints(metadata).keys() - vectors.keys():
        model = metadata.vectors[name].model
        raise FingerprintMismatch(
            f"{metadata.index} has {name} of {model}, and no such encoder is set now.",
            f"Set the encoder for {VECTOR_FIELDS[name].content} to {model}, or drop the store and load the items again.",
        )
    metadata = mapping_updates.add_fields(client, metadata)
    added = {name: vector for name, vector in vectors.items() if name not in metadata.vectors}
    return mapping_updates.add_vectors(client, metadata, added, expected) if added else metadata


def _sum(one: BulkReport, other: BulkReport) -> BulkReport:
    numbers = ("created", "updated", "deleted", "missing", "failed", "retried")
    sums = {name: getattr(one, name) + getattr(other, name) for name in numbers}
    return replace(one, **sums, failures=one.failures + other.failures)


def _report(actions: ItemActions, report: BulkReport) -> ItemsReport:
    return ItemsReport(
        actions.metadata.version,
        added=report.created,
        changed=report.updated,
        unchanged=actions.unchanged,
        removed=report.deleted,
        failed=report.failed,
        failures=report.failures,
        regrouped=actions.regrouped,
        languages={} if actions.languages is None else dict(actions.languages.counts.most_common()),
    )
