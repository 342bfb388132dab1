"""Fills a new version from the one that serves, while that one is written to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from elasticsearch import Elasticsearch

from es_recsys.fields import VECTOR_FIELDS
from es_recsys.index import versions
from es_recsys.index.actions import Action
from es_recsys.index.bulk import BulkReport, BulkSettings, DeadLetters, Meter, bulk
from es_recsys.index.documents import Vectors, digest, item
from es_recsys.index.idset import IdSet
from es_recsys.index.read import ids_of, scan
from es_recsys.index.refresh import unseen
from es_recsys.meta import StoreMeta
from es_recsys.types import Item

__all__ = ["Copied", "Fill", "catch_up", "copy", "copy_profiles", "encoder_fingerprints", "take_over"]

Fill = Callable[[Sequence[Item]], Sequence[Vectors]]
"""Items -> the vectors of each, for the fields that the new version does not take over from the old one."""


@dataclass(frozen=True, slots=True)
class Copied:
    """How far a copy reaches: it holds every write to the old version up to `sequence`, shard -> sequence number."""

    sequence: Mapping[int, int]
    report: BulkReport


def encoder_fingerprints(meta: StoreMeta) -> dict[str, str]:
    """Fingerprints of the fields that encoders fill; an item's digest covers them."""
    return {
        name: vector.fingerprint
        for name, vector in meta.vectors.items()
        if name in VECTOR_FIELDS and VECTOR_FIELDS[name].source == "encoder"
    }


def copy(
    client: Elasticsearch,
    old: StoreMeta,
    new: StoreMeta,
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
    sequence = _sequence(client, old.index)
    client.indices.refresh(index=old.index)
    with unseen(client, new.index):
        actions = _actions(scan(client, old.index, vectors=True), old, new, fill)
        report = _write(client, actions, new, settings, dead_letters, meter)
    return Copied(sequence, report)


def catch_up(
    client: Elasticsearch,
    old: StoreMeta,
    new: StoreMeta,
    copied: Copied,
    fill: Fill | None = None,
    *,
    deletions: bool = True,
    settings: BulkSettings | None = None,
    dead_letters: DeadLetters | None = None,
) -> Copied:
    """Carries over what was written to the old version since `copied`, and with `deletions` what was removed."""
    sequence = _sequence(client, old.index)
    client.indices.refresh(index=old.index)
    pages = (page for shard, after in copied.sequence.items() for page in _since(client, old.index, shard, after))
    report = _write(client, _actions(pages, old, new, fill), new, settings, dead_letters, None)
    client.indices.refresh(index=new.index)
    # The copy holds all that the old version has: where there are as many, there are no others.
    if deletions and _count(client, new.index) != _count(client, old.index):
        gone = (Action(item_id, operation="delete") for item_id in _extra(client, old.index, new.index))
        _write(client, gone, new, settings, dead_letters, None)
        client.indices.refresh(index=new.index)
    return Copied(sequence, report)


def take_over(
    client: Elasticsearch,
    old: StoreMeta,
    new: StoreMeta,
    copied: Copied,
    fill: Fill | None = None,
    *,
    dead_letters: DeadLetters | None = None,
) -> None:
    """Catches up, swaps, and once more carries over what still went into the old version during the swap."""
    copied = catch_up(client, old, new, copied, fill, dead_letters=dead_letters)
    versions.swap(client, new.store, new.version)
    catch_up(client, old, new, copied, fill, deletions=False, dead_letters=dead_letters)


def copy_profiles(client: Elasticsearch, old: StoreMeta, new: StoreMeta) -> BulkReport:
    """Copies all profiles as they are: right where the new version's vectors are the old one's."""
    client.indices.refresh(index=old.profiles)
    pages = scan(client, old.profiles)
    actions = (Action(hit["_id"], hit["_source"]) for page in pages for hit in page)
    return bulk(client, actions, index=new.profiles, refresh=True)


def _write(
    client: Elasticsearch,
    actions: Iterable[Action],
    new: StoreMeta,
    settings: BulkSettings | None,
    dead_letters: DeadLetters | None,
    meter: Meter | None,
) -> BulkReport:
    dims = {name: vector.dims for name, vector in new.vectors.items()}
    return bulk(client, actions, index=new.index, dims=dims, settings=settings, dead_letters=dead_letters, meter=meter)


def _actions(pages: Iterable[Sequence[Mapping[str, Any]]], old: StoreMeta, new: StoreMeta, fill: Fill | None) -> Iterator[Action]:
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


def _sequence(client: Elasticsearch, index: str) -> dict[int, int]:
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


def _count(client: Elasticsearch, index: str) -> int:
    return int(client.count(index=index)["count"])


def _extra(client: Elasticsearch, old: str, new: str) -> Iterator[str]:
    """Ids that only the copy has."""
    known = IdSet()
    for ids in ids_of(client, old):
        known.update(ids)
    for ids in ids_of(client, new):
        yield from known.lacks(ids)
