"""Fills a new version from the one that serves, while that one is written to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from elasticsearch import Elasticsearch

from es_recsys.errors import IndexStateError
from es_recsys.index import stored_metadata, versions
from es_recsys.index.actions import Action
from es_recsys.index.bulk import BulkReport, BulkSettings, DeadLetters, Meter, bulk
from es_recsys.index.documents import Vectors, digest, item
from es_recsys.index.idset import IdSet
from es_recsys.index.read import documents_of, ids_of, scan, sources_of, vectors_of
from es_recsys.index.refresh import unseen
from es_recsys.index_metadata import IndexMetadata
from es_recsys.types import Item
from es_recsys.vector_fields import is_encoder_field

__all__ = [
    "Copied",
    "Fill",
    "bring_up",
    "carry",
    "catch_up",
    "copy",
    "copy_profiles",
    "encoder_fingerprints",
    "hand_over",
    "lacking",
    "sequence",
    "take_over",
]

# A catch-up of so few items is quick enough to swap after it; a load that outruns so many rounds goes on after the swap.
_LITTLE, _ROUNDS = 500, 20
_MARKS, _BATCH = 10_000, 500

Fill = Callable[[Sequence[Item]], Sequence[Vectors]]
"""Items -> the vectors of each, for the fields that the new version does not take over from the old one."""


@dataclass(frozen=True, slots=True)
class Copied:
    """How far a copy reaches: it holds every write to the old version up to `sequence`, shard -> sequence number."""

    sequence: Mapping[int, int]
    report: BulkReport


def encoder_fingerprints(metadata: IndexMetadata) -> dict[str, str]:
    """Fingerprints of the fields that encoders fill; an item's digest covers them."""
    return {name: vector.fingerprint for name, vector in metadata.vectors.items() if is_encoder_field(name)}


def copy(
    client: Elasticsearch,
    old: IndexMetadata,
    new: IndexMetadata,
    fill: Fill | None = None,
    *,
    settings: BulkSettings | None = None,
    dead_letters: DeadLetters | None = None,
    meter: Meter | None = None,
) -> Copied:
    """Copies all items into the version `new`, which exists and is not live.

    A vector field that both versions have with the same fingerprint is taken over; `fill` gives the others. The old
    version may be written to meanwhile: `catch_up` brings the copy up to date.
    """
    until = sequence(client, old.index)
    client.indices.refresh(index=old.index)
    with unseen(client, new.index):
        actions = _actions(scan(client, old.index, vectors=True), old, new, fill)
        report = _write(client, actions, new, settings, dead_letters, meter)
    return Copied(until, report)


def catch_up(
    client: Elasticsearch,
    old: IndexMetadata,
    new: IndexMetadata,
    copied: Copied,
    fill: Fill | None = None,
    *,
    deletions: bool = True,
    settings: BulkSettings | None = None,
    dead_letters: DeadLetters | None = None,
) -> Copied:
    """Carries over what was written to the old version since `copied`, and with `deletions` what was removed."""
    until = sequence(client, old.index)
    client.indices.refresh(index=old.index)
    pages = _changed(client, old.index, copied.sequence)
    report = _write(client, _actions(pages, old, new, fill), new, settings, dead_letters, None)
    client.indices.refresh(index=new.index)
    # The copy holds all that the old version has: where there are as many, there are no others.
    if deletions and _count(client, new.index) != _count(client, old.index):
        gone = (Action(item_id, operation="delete") for item_id in _extra(client, old.index, new.index))
        _write(client, gone, new, settings, dead_letters, None)
        client.indices.refresh(index=new.index)
    return Copied(until, report)


def take_over(
    client: Elasticsearch,
    old: IndexMetadata,
    new: IndexMetadata,
    copied: Copied,
    fill: Fill | None = None,
    *,
    dead_letters: DeadLetters | None = None,
) -> None:
    """Catches up until little is left, swaps, and once more carries over what still went into the old version meanwhile:
    writes and deletions.

    Where another version than `old` serves by now, the new one is brought up to that first. Raises IndexStateError where
    items are refused, or another swap came in between.
    """
    for _ in range(_ROUNDS):
        copied = catch_up(client, old, new, copied, fill, deletions=False, dead_letters=dead_letters)
        _check_taken(copied.report, new)
        if copied.report.stored <= _LITTLE:
            break
    copied = catch_up(client, old, new, copied, fill, dead_letters=dead_letters)
    _check_taken(copied.report, new)
    live = versions.live_version(client, new.store)
    if live is not None and live != old.version:
        old = versions.read_version(client, new.store, live)
        copied = bring_up(client, old, new)
    hand_over(client, old, new, copied, fill, dead_letters=dead_letters)


def hand_over(
    client: Elasticsearch,
    old: IndexMetadata,
    new: IndexMetadata,
    copied: Copied,
    fill: Fill | None = None,
    *,
    dead_letters: DeadLetters | None = None,
) -> None:
    """Swaps from `old` to `new`, which holds all up to `copied`; then carries over what went into `old` meanwhile."""
    client.indices.refresh(index=new.index)
    mark = sequence(client, new.index)
    versions.swap(client, new.store, new.version)
    now = sequence(client, old.index)
    if now == copied.sequence:
        return
    client.indices.refresh(index=f"{old.index},{new.index}")
    # What was written to the new version since the swap is newer than all that the old one has.
    newer = {hit["_id"] for page in _changed(client, new.index, mark) for hit in page}
    fill = fill or _own_vectors(client, old, new)
    pages = ([hit for hit in page if hit["_id"] not in newer] for page in _changed(client, old.index, copied.sequence))
    _write(client, _actions(pages, old, new, fill), new, None, dead_letters, None)
    known = IdSet()
    for ids in ids_of(client, old.index):
        known.update(ids)
    untouched = (page for shard, upto in mark.items() for page in _until(client, new.index, shard, upto))
    gone = (Action(item_id, operation="delete") for page in untouched for item_id in known.lacks([hit["_id"] for hit in page]))
    _write(client, gone, new, None, dead_letters, None)
    client.indices.refresh(index=new.index)


def carry(client: Elasticsearch, old: IndexMetadata, new: IndexMetadata, since: Mapping[int, int]) -> BulkReport:
    """Brings to `new`, which serves, the items that were written to `old` after `since` and that it has otherwise or not."""
    client.indices.refresh(index=old.index)
    pages = (_differing(client, page, new) for page in _changed(client, old.index, since))
    report = _write(client, _actions(pages, old, new, _own_vectors(client, old, new)), new, None, None, None)
    client.indices.refresh(index=new.index)
    return report


def bring_up(client: Elasticsearch, source: IndexMetadata, target: IndexMetadata) -> Copied:
    """Gives a version the items of another, changed and new ones, and removes what that doesn't have.

    An item keeps the vectors that the target's own models gave it. All ids and digests are compared; only what differs is
    read and written. Raises FingerprintMismatch where the two have vectors of different encoders, IndexStateError where items
    are refused.
    """
    stored_metadata.check_vectors(target, {name: source.vectors[name] for name in encoder_fingerprints(source)})
    added = {name: source.vectors[name] for name in encoder_fingerprints(source) if name not in target.vectors}
    if added:
        target = stored_metadata.add_vectors(client, target, added, _count(client, source.index))
    target = stored_metadata.add_fields(client, target)
    until = sequence(client, source.index)
    client.indices.refresh(index=f"{source.index},{target.index}")
    known = IdSet()
    for page in scan(client, target.index, fields=("content_digest",), size=_MARKS):
        known.update(map(_mark, page))
    pages = (_unmarked(page, known) for page in scan(client, source.index, fields=("content_digest",), size=_MARKS))
    ids = (page[start : start + _BATCH] for page in pages for start in range(0, len(page), _BATCH))
    hits = (documents_of(client, source.index, some) for some in ids)
    report = _write(client, _actions(hits, source, target, _own_vectors(client, source, target)), target, None, None, None)
    _check_taken(report, target)
    gone = (Action(item_id, operation="delete") for item_id in _extra(client, source.index, target.index))
    _write(client, gone, target, None, None, None)
    client.indices.refresh(index=target.index)
    return Copied(until, report)


def lacking(client: Elasticsearch, old: IndexMetadata, new: IndexMetadata) -> set[str]:
    """Ids that only the old version has."""
    return set(_extra(client, new.index, old.index))


def copy_profiles(client: Elasticsearch, old: IndexMetadata, new: IndexMetadata) -> BulkReport:
    """Copies all profiles as they are: right where the new version's vectors are the old one's."""
    client.indices.refresh(index=old.profiles)
    pages = scan(client, old.profiles)
    actions = (Action(hit["_id"], hit["_source"]) for page in pages for hit in page)
    return bulk(client, actions, index=new.profiles, refresh=True)


def _check_taken(report: BulkReport, new: IndexMetadata) -> None:
    if report.failed:
        raise IndexStateError(
            f"{report.failed:,} items could not be copied into version {new.version} ({report.failures[0].reason}).",
            "The live version is as it was; mend the cause and do it again.",
        )


def _own_vectors(client: Elasticsearch, old: IndexMetadata, new: IndexMetadata) -> Fill:
    """Gives items the vectors that the new version already has of them, where they are not the old one's."""
    fields = sorted(name for name, vector in new.vectors.items() if old.vectors.get(name) != vector)

    def fill(items: Sequence[Item]) -> list[Vectors]:
        found = vectors_of(client, new.index, [one.item_id for one in items], fields)
        return [found.get(one.item_id, {}) for one in items]

    return fill


def _differing(client: Elasticsearch, page: Sequence[Mapping[str, Any]], new: IndexMetadata) -> list[Mapping[str, Any]]:
    """The hits that the new version has with another digest, or not at all."""
    stored = sources_of(client, new.index, [hit["_id"] for hit in page], ["content_digest"])
    return [hit for hit in page if stored.get(hit["_id"], {}).get("content_digest") != hit["_source"].get("content_digest")]


def _mark(hit: Mapping[str, Any]) -> str:
    return f"{hit['_id']}\0{hit.get('_source', {}).get('content_digest', '')}"


def _unmarked(page: Sequence[Mapping[str, Any]], known: IdSet) -> list[str]:
    return [mark.rpartition("\0")[0] for mark in known.lacks([_mark(hit) for hit in page])]


def _changed(client: Elasticsearch, index: str, since: Mapping[int, int]) -> Iterator[list[dict[str, Any]]]:
    return (page for shard, after in since.items() for page in _since(client, index, shard, after))


def _write(
    client: Elasticsearch,
    actions: Iterable[Action],
    new: IndexMetadata,
    settings: BulkSettings | None,
    dead_letters: DeadLetters | None,
    meter: Meter | None,
) -> BulkReport:
    dims = {name: vector.dims for name, vector in new.vectors.items()}
    return bulk(client, actions, index=new.index, dims=dims, settings=settings, dead_letters=dead_letters, meter=meter)


def _actions(
    pages: Iterable[Sequence[Mapping[str, Any]]], old: IndexMetadata, new: IndexMetadata, fill: Fill | None
) -> Iterator[Action]:
    carried = {name for name, vector in new.vectors.items() if old.vectors.get(name) == vector}
    left = old.vectors.keys() - carried
    fingerprints = encoder_fingerprints(new)
    encoded_anew = fingerprints != encoder_fingerprints(old)
    for page in pages:
        sources = [{name: value for name, value in hit["_source"].items() if name not in left} for hit in page]
        items = [item(source) for source in sources] if fill is not None or encoded_anew else []
        filled: Sequence[Vectors] = fill(items) if fill is not None else [{}] * len(sources)
        for i, (hit, source, vectors) in enumerate(zip(page, sources, filled, strict=True)):
            extra: dict[str, Any] = {name: vector for name, vector in vectors.items() if vector is not None}
            if encoded_anew:
                extra["content_digest"] = digest(items[i], fingerprints)
            yield Action(hit["_id"], {**source, **extra})


def sequence(client: Elasticsearch, index: str) -> dict[int, int]:
    """Shard -> number up to which all writes are done. Those in the making have higher ones, so none is missed."""
    shards = client.indices.stats(index=index, metric="docs", level="shards")["indices"][index]["shards"]
    return {
        int(shard): part["seq_no"]["local_checkpoint"]
        for shard, parts in shards.items()
        for part in parts
        if part["routing"]["primary"]
    }


def _since(client: Elasticsearch, index: str, shard: int, after: int) -> Iterator[list[dict[str, Any]]]:
    query = {"range": {"_seq_no": {"gt": after}}}
    return scan(client, index, vectors=True, query=query, preference=f"_shards:{shard}")


def _until(client: Elasticsearch, index: str, shard: int, upto: int) -> Iterator[list[dict[str, Any]]]:
    query = {"range": {"_seq_no": {"lte": upto}}}
    return scan(client, index, fields=(), query=query, size=_MARKS, preference=f"_shards:{shard}")


def _count(client: Elasticsearch, index: str) -> int:
    return int(client.count(index=index)["count"])


def _extra(client: Elasticsearch, old: str, new: str) -> Iterator[str]:
    """Ids that only the copy has."""
    known = IdSet()
    for ids in ids_of(client, old):
        known.update(ids)
    for ids in ids_of(client, new):
        yield from known.lacks(ids)
