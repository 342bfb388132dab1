"""Ids of hits by the numbers of their writes.

A hit comes with the number of the write that was found, and the forward index knows which item a write wrote. So of hundreds of
hits Elasticsearch reads no field, and their JSON is flat: half of what such a search costs both sides. An index with several
shards counts the writes of each, and there, as where hits come with their products, ids are asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from es_recsys.search.products import with_group_id
from es_recsys.search.query_dsl import IDS_ONLY, Body, Response, hits_of, item_id_of
from es_recsys.search.request import RankingPolicy

__all__ = ["hit_fields", "ids_body", "item_of_write", "name_hits", "unknown_writes"]

_NO_FIELDS: Mapping[str, Any] = {"_source": False, "stored_fields": "_none_"}


def hit_fields(policy: RankingPolicy) -> Body:
    """Return what a body asks of its hits: the numbers of their writes, and ids where these don't tell them."""
    numbered = {"seq_no_primary_term": True}
    forward = policy.forward
    if forward is not None and len(forward.state.checkpoints) == 1 and not policy.has_variants:
        return {**_NO_FIELDS, **numbered}
    return with_group_id({**IDS_ONLY, **numbered}, has_variants=policy.has_variants)


def unknown_writes(policy: RankingPolicy, responses: Iterable[Response]) -> list[int]:
    """Give the hits that came without an id theirs, and return the numbers of the writes that the forward index doesn't know."""
    unknown: dict[int, None] = {}
    for response in responses:
        hits = _nameless(response)
        if hits and policy.forward is not None:
            found = policy.forward.written_items([hit["_seq_no"] for hit in hits])
            for hit, item_id in zip(hits, found, strict=True):
                if item_id is None:
                    unknown[hit["_seq_no"]] = None
                else:
                    hit["_id"] = item_id
    return list(unknown)


def ids_body(seq_no: Sequence[int]) -> Body:
    """Return the body that finds the items of these writes, but for those that were written again since."""
    return {
        "size": len(seq_no),
        **IDS_ONLY,
        "seq_no_primary_term": True,
        "track_total_hits": False,
        "query": {"constant_score": {"filter": {"terms": {"_seq_no": list(seq_no)}}}},
    }


def item_of_write(response: Response) -> dict[int, str]:
    """Return number of a write -> item id from the response to `ids_body`."""
    return {hit["_seq_no"]: item_id_of(hit) for hit in hits_of(response)}


def name_hits(responses: Iterable[Response], item_of: Mapping[int, str]) -> None:
    """Give the hits that have no id yet theirs, and leave out those of items that were written again."""
    for response in responses:
        hits = _nameless(response)
        for hit in hits:
            hit["_id"] = item_of.get(hit["_seq_no"])
        if hits:
            response["hits"]["hits"] = [hit for hit in hits_of(response) if hit.get("_id", "") is not None]


def _nameless(response: Response) -> list[dict[str, Any]]:
    return [hit for hit in hits_of(response) if "_id" not in hit and "fields" not in hit]  # type: ignore[misc]
