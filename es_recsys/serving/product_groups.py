"""Variants of products (items with a `group_id`), for jobs, which need all of them at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from elasticsearch import Elasticsearch

from es_recsys.events.records import StoredEvent
from es_recsys.index.fetch import scan_group_ids
from es_recsys.index.stored_metadata import read_metadata
from es_recsys.index_metadata import IndexMetadata
from es_recsys.serving.workspace import Workspace

__all__ = [
    "fetch_item_groups",
    "fetch_live_item_groups",
    "group_events",
    "group_judgments",
    "group_records",
    "grouping_version",
    "record_variants",
]

_LARGEST = 1_000
_NOTE, _MARK = "variants", "regrouped"


def fetch_item_groups(work: Workspace, metadata: IndexMetadata) -> dict[str, str]:
    """Fetch item_id -> group_id of every variant of a version; empty, and nothing is read, where there are none."""
    return scan_group_ids(work.es, metadata.index) if metadata.variants is not None else {}


def fetch_live_item_groups(work: Workspace) -> dict[str, str]:
    """Fetch the same of the live version."""
    return fetch_item_groups(work, read_metadata(work.es, work.settings.index))


def grouping_version(metadata: IndexMetadata) -> str | None:
    """Return what changes whenever events on items of a version count for other products than before."""
    mark = metadata.notes.get(_MARK)
    return None if mark is None else str(mark)


def group_events(events: Iterable[StoredEvent], groups: Mapping[str, str]) -> Iterator[StoredEvent]:
    """Yield events as events on products. groups: item_id -> group_id."""
    for event in events:
        group = groups.get(event.item_id) if groups and event.item_id is not None else None
        yield event if group is None else event._replace(item_id=group)


def group_records(records: Iterable[Mapping[str, Any]], groups: Mapping[str, str]) -> Iterator[Mapping[str, Any]]:
    """Yield logged answers as answers of products."""
    for record in records:
        if groups:
            hits = [{**hit, "item_id": groups.get(hit["item_id"], hit["item_id"])} for hit in record.get("hits") or ()]
            record = {**record, "hits": hits}
        yield record


def group_judgments(grades: Mapping[str, Mapping[str, float]], groups: Mapping[str, str]) -> dict[str, dict[str, float]]:
    """Return query -> product -> the best grade of its variants."""
    found: dict[str, dict[str, float]] = {}
    for query, own in grades.items():
        best = found.setdefault(query, {})
        for item_id, grade in own.items():
            product = groups.get(item_id, item_id)
            best[product] = max(grade, best.get(product, grade))
    return found


def record_variants(work: Workspace, *, regrouped: bool = False) -> None:
    """Store with the live version whether it has variants, and how many a product has, after items came or went.

    regrouped: whether known items are variants of another product than before, so that all profiles are folded anew.
    """

    def recount(metadata: IndexMetadata) -> IndexMetadata:
        variants = _count_variants(work.es, metadata.index)
        if variants is None and metadata.variants is None:
            return metadata
        mark = int(metadata.notes.get(_MARK, 0)) + 1 if regrouped else metadata.notes.get(_MARK)
        return metadata.with_notes({_NOTE: None if variants is None else round(variants, 3), _MARK: mark})

    work.update_metadata(recount)


def _count_variants(client: Elasticsearch, index: str) -> float | None:
    """Return how many variants the product of a variant has on average, from the 1,000 largest products. None for no variant."""
    largest = {"terms": {"field": "group_id", "size": _LARGEST}}
    found = client.search(index=index, size=0, query={"exists": {"field": "group_id"}}, aggs={"largest": largest})
    counts = [int(bucket["doc_count"]) for bucket in found["aggregations"]["largest"]["buckets"]]
    if not counts:
        return None
    others = int(found["aggregations"]["largest"]["sum_other_doc_count"])
    return (sum(count * count for count in counts) + others * counts[-1]) / (sum(counts) + others)
