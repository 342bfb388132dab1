"""Fill a new version of the indices from the live one while that is written to, and swap without losing a write."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from elasticsearch import Elasticsearch

from es_recsys.errors import IndexStateError
from es_recsys.index import mapping_updates, stored_metadata, versions
from es_recsys.index.bulk import BulkReport, bulk_write
from es_recsys.index.bulk_actions import Action
from es_recsys.index.documents import Vectors, content_digest, from_document
from es_recsys.index.fetch import fetch_documents, fetch_sources, fetch_vectors, scan, scan_id_set, scan_ids
from es_recsys.index.id_set import IdSet
from es_recsys.index.item_digests import scan_item_digests
from es_recsys.index.ready_lists import READY_LIST
from es_recsys.index.refresh import refresh_disabled
from es_recsys.index.sequence_numbers import Checkpoints, checkpoints, hits_since, ids_until
from es_recsys.index.stored_metadata import encoder_fingerprints
from es_recsys.index.swap import swap
from es_recsys.index_metadata import IndexMetadata
from es_recsys.progress import ProgressCounter
from es_recsys.types import Item

__all__ = [
    "CopyState",
    "FillVectors",
    "catch_up_and_swap",
    "copy_changes",
    "copy_items",
    "copy_profiles",
    "copy_writes_since",
    "mirror_items",
    "missing_ids",
    "swap_and_copy_rest",
]

# So few changes are copied quickly enough to swap after them; a load that outruns so many rounds goes on after the swap.
_FEW_CHANGES, _MAX_ROUNDS = 500, 20
_BATCH = 500

FillVectors = Callable[[Sequence[Item]], Sequence[Vectors]]
"""Items -> the vectors of each, for the fields that the new version does not take over from the old one."""

Hits = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class CopyState:
    """How far a copy reaches: it holds every write to the old version up to `checkpoints`."""

    checkpoints: Checkpoints
    report: BulkReport


def copy_items(
    client: Elasticsearch,
    old: IndexMetadata,
    new: IndexMetadata,
    fill: FillVectors | None = None,
    progress: ProgressCounter | None = None,
) -> CopyState:
    """Copy all items into the version `new`, which exists and is not live.

    A vector field that both versions have with the same fingerprint is taken over; `fill` gives the others. The old
    version may be written to meanwhile: `copy_changes` brings the copy up to date.
    """
    until = checkpoints(client, old.index)
    client.indices.refresh(index=old.index)
    with refresh_disabled(client, new.index):
        actions = _actions(scan(client, old.index, vectors=True), old, new, fill)
        report = _write(client, actions, new, progress)
    return CopyState(until, report)


def copy_changes(
    client: Elasticsearch,
    old: IndexMetadata,
    new: IndexMetadata,
    copied: CopyState,
    fill: FillVectors | None = None,
    *,
    deletions: bool = True,
) -> CopyState:
    """Copy what was written to the old version since `copied`, and with `deletions` delete what was deleted there."""
    until = checkpoints(client, old.index)
    client.indices.refresh(index=old.index)
    report = _write(client, _actions(hits_since(client, old.index, copied.checkpoints), old, new, fill), new)
    client.indices.refresh(index=new.index)
    # The copy holds all that the old version has: where there are as many, there are no others.
    if deletions and _count(client, new.index) != _count(client, old.index):
        _delete(client, new, _ids_only_in(client, new.index, old.index))
        client.indices.refresh(index=new.index)
    return CopyState(until, report)


def catch_up_and_swap(
    client: Elasticsearch, old: IndexMetadata, new: IndexMetadata, copied: CopyState, fill: FillVectors | None = None
) -> None:
    """Copy changes until few are left, swap, and copy once more what went into the old version meanwhile: writes, deletions.

    Where another version than `old` is live by now, the new one is brought up to that first. Raises IndexStateError where
    items are refused, or another swap came in between.
    """
    for _ in range(_MAX_ROUNDS):
        copied = copy_changes(client, old, new, copied, fill, deletions=False)
        _check_stored(copied.report, new)
        if copied.report.stored <= _FEW_CHANGES:
            break
    copied = copy_changes(client, old, new, copied, fill)
    _check_stored(copied.report, new)
    live = versions.live_version(client, new.store)
    if live is not None and live != old.version:
        old = stored_metadata.read_version(client, new.store, live)
        copied = mirror_items(client, old, new)
    swap_and_copy_rest(client, old, new, copied, fill)


def swap_and_copy_rest(
    client: Elasticsearch, old: IndexMetadata, new: IndexMetadata, copied: CopyState, fill: FillVectors | None = None
) -> None:
    """Swap from `old` to `new`, which holds all up to `copied`; then copy what went into `old` meanwhile."""
    client.indices.refresh(index=new.index)
    at_swap = checkpoints(client, new.index)
    swap(client, new.store, new.version)
    if checkpoints(client, old.index) == copied.checkpoints:
        return
    client.indices.refresh(index=f"{old.index},{new.index}")
    # What was written to the new version since the swap is newer than all that the old one has.
    newer = {hit["_id"] for page in hits_since(client, new.index, at_swap) for hit in page}
    changed = hits_since(client, old.index, copied.checkpoints)
    pages = ([hit for hit in page if hit["_id"] not in newer] for page in changed)
    _write(client, _actions(pages, old, new, fill or _own_vectors(client, old, new)), new)
    kept = scan_id_set(client, old.index)
    untouched = ids_until(client, new.index, at_swap)
    _delete(client, new, (item_id for ids in untouched for item_id in kept.missing(ids)))
    client.indices.refresh(index=new.index)


def copy_writes_since(client: Elasticsearch, old: IndexMetadata, new: IndexMetadata, since: Checkpoints) -> BulkReport:
    """Copy to `new`, which is live, the items that were written to `old` after `since` and that it has otherwise or not."""
    client.indices.refresh(index=old.index)
    pages = (_differing(client, page, new) for page in hits_since(client, old.index, since))
    report = _write(client, _actions(pages, old, new, _own_vectors(client, old, new)), new)
    client.indices.refresh(index=new.index)
    return report


def mirror_items(client: Elasticsearch, source: IndexMetadata, target: IndexMetadata) -> CopyState:
    """Give a version the items of another: changed and new ones are written, and what the other doesn't have is deleted.

    An item keeps the vectors that the target's own models gave it. All ids and digests are compared; only what differs is
    read and written. Raises FingerprintMismatch where the two have vectors of different encoders, IndexStateError where items
    are refused.
    """
    encoded = {name: source.vectors[name] for name in encoder_fingerprints(source)}
    stored_metadata.check_vectors(target, encoded)
    added = {name: vector for name, vector in encoded.items() if name not in target.vectors}
    if added:
        target = mapping_updates.add_vectors(client, target, added, _count(client, source.index))
    target = mapping_updates.add_fields(client, target)
    until = checkpoints(client, source.index)
    client.indices.refresh(index=f"{source.index},{target.index}")
    hits = (fetch_documents(client, source.index, ids) for ids in _ids_that_differ(client, source.index, target.index))
    report = _write(client, _actions(hits, source, target, _own_vectors(client, source, target)), target)
    _check_stored(report, target)
    _delete(client, target, _ids_only_in(client, target.index, source.index))
    client.indices.refresh(index=target.index)
    return CopyState(until, report)


def missing_ids(client: Elasticsearch, old: IndexMetadata, new: IndexMetadata) -> set[str]:
    """Return the ids that the old version has and the new one lacks."""
    return set(_ids_only_in(client, old.index, new.index))


def copy_profiles(client: Elasticsearch, old: IndexMetadata, new: IndexMetadata) -> BulkReport:
    """Copy all profiles as they are, without ready lists: right where the new version's vectors are the old one's."""
    client.indices.refresh(index=old.profiles)
    hits = (hit for page in scan(client, old.profiles) for hit in page)
    actions = (Action(hit["_id"], {name: it for name, it in hit["_source"].items() if name != READY_LIST}) for hit in hits)
    return bulk_write(client, actions, index=new.profiles, refresh=True)


def _check_stored(report: BulkReport, new: IndexMetadata) -> None:
    if report.failed:
        raise IndexStateError(
            f"{report.failed:,} items could not be copied into version {new.version} ({report.failures[0].reason}).",
            "The live version is as it was; mend the cause and do it again.",
        )


def _own_vectors(client: Elasticsearch, old: IndexMetadata, new: IndexMetadata) -> FillVectors:
    """Return what gives items the vectors that the new version already has of them, where they are not the old one's."""
    fields = sorted(name for name, vector in new.vectors.items() if old.vectors.get(name) != vector)

    def fill(items: Sequence[Item]) -> list[Vectors]:
        found = fetch_vectors(client, new.index, [item.item_id for item in items], fields)
        return [found.get(item.item_id, {}) for item in items]

    return fill


def _differing(client: Elasticsearch, page: Hits, new: IndexMetadata) -> Hits:
    """Return the hits that the new version has with another digest, or not at all."""
    stored = fetch_sources(client, new.index, [hit["_id"] for hit in page], ["content_digest"])
    return [hit for hit in page if stored.get(hit["_id"], {}).get("content_digest") != hit["_source"].get("content_digest")]


def _ids_that_differ(client: Elasticsearch, source: str, target: str) -> Iterator[list[str]]:
    """Yield batches of the ids whose documents the target has with another digest, or not at all."""
    known = IdSet(key for keys in scan_item_digests(client, target) for key in keys)
    for keys in scan_item_digests(client, source):
        ids = [key.rpartition("\0")[0] for key in known.missing(keys)]
        yield from (ids[start : start + _BATCH] for start in range(0, len(ids), _BATCH))


def _ids_only_in(client: Elasticsearch, index: str, other: str) -> Iterator[str]:
    known = scan_id_set(client, other)
    for ids in scan_ids(client, index):
        yield from known.missing(ids)


def _actions(pages: Iterable[Hits], old: IndexMetadata, new: IndexMetadata, fill: FillVectors | None) -> Iterator[Action]:
    taken_over = {name for name, vector in new.vectors.items() if old.vectors.get(name) == vector}
    left_out = old.vectors.keys() - taken_over
    fingerprints = encoder_fingerprints(new)
    other_encoders = fingerprints != encoder_fingerprints(old)
    for page in pages:
        sources = [{name: value for name, value in hit["_source"].items() if name not in left_out} for hit in page]
        items = [from_document(source) for source in sources] if fill is not None or other_encoders else []
        filled: Sequence[Vectors] = fill(items) if fill is not None else [{}] * len(sources)
        for i, (hit, source, vectors) in enumerate(zip(page, sources, filled, strict=True)):
            extra: dict[str, Any] = {name: vector for name, vector in vectors.items() if vector is not None}
            if other_encoders:
                extra["content_digest"] = content_digest(items[i], fingerprints)
            yield Action(hit["_id"], {**source, **extra})


def _write(
    client: Elasticsearch,
    actions: Iterable[Action],
    new: IndexMetadata,
    progress: ProgressCounter | None = None,
) -> BulkReport:
    return bulk_write(client, actions, index=new.index, dims=new.dims, progress=progress)


def _delete(client: Elasticsearch, new: IndexMetadata, ids: Iterable[str]) -> None:
    _write(client, (Action(item_id, operation="delete") for item_id in ids), new)


def _count(client: Elasticsearch, index: str) -> int:
    return int(client.count(index=index)["count"])
