"""Reads documents by id, or all of an index."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from elasticsearch import Elasticsearch
from numpy.typing import NDArray

__all__ = ["documents_of", "groups_of", "ids_of", "scan", "sources_of", "state_of", "vectors_of"]

_BATCH = 500
_ACCEPT = "application/vnd.elasticsearch+json; compatible-with=9"
_HEADERS = {"accept": _ACCEPT, "content-type": _ACCEPT}


def sources_of(
    client: Elasticsearch, index: str, ids: Sequence[str], fields: Sequence[str] | None = None
) -> dict[str, dict[str, Any]]:
    """id -> source without vectors, as it is this moment; unknown ids are left out. fields: only these."""
    parameters = {} if fields is None else {"_source_includes": ",".join(fields)}
    return _get(client, index, ids, parameters)


def documents_of(client: Elasticsearch, index: str, ids: Sequence[str]) -> list[dict[str, Any]]:
    """Hits (`_id` and `_source` with vectors) as they are this moment; unknown ids are left out."""
    found = _get(client, index, ids, {"_source_exclude_vectors": "false"})
    return [{"_id": item_id, "_source": source} for item_id, source in found.items()]


def vectors_of(
    client: Elasticsearch, index: str, ids: Sequence[str], fields: Sequence[str]
) -> dict[str, dict[str, NDArray[np.float32]]]:
    """id -> vector field -> (d,) float32, as it is this moment; what an item lacks is left out."""
    if not fields:
        return {}
    parameters = {"_source_exclude_vectors": "false", "_source_includes": ",".join(fields)}
    return {
        item_id: {field: np.asarray(vector, np.float32) for field, vector in source.items()}
        for item_id, source in _get(client, index, ids, parameters).items()
    }


def scan(
    client: Elasticsearch,
    index: str,
    *,
    fields: Sequence[str] | None = None,
    vectors: bool = False,
    query: Mapping[str, Any] | None = None,
    size: int = _BATCH,
    preference: str | None = None,
    keep_alive: str = "30m",
) -> Iterator[list[dict[str, Any]]]:
    """All hits of an index as it was at the first call, in pages of `size`, each hit with `_id` and `_source`.

    fields: only these of the source (none where it is empty). vectors: with the vectors, which Elasticsearch leaves out
    by default. A page has to be worked through within `keep_alive`.
    """
    source: Any = {"exclude_vectors": not vectors}
    if fields is not None:
        source = {**source, "includes": list(fields)} if fields else False
    snapshot = client.open_point_in_time(index=index, keep_alive=keep_alive, preference=preference)["id"]
    after: list[Any] | None = None
    try:
        while True:
            page = client.search(
                pit={"id": snapshot, "keep_alive": keep_alive},
                query=query,
                source=source,
                size=size,
                sort=["_shard_doc"],
                search_after=after,
                track_total_hits=False,
            )
            snapshot = page.get("pit_id", snapshot)
            hits = page["hits"]["hits"]
            if hits:
                yield hits
            if len(hits) < size:
                return
            after = hits[-1]["sort"]
    finally:
        client.options(ignore_status=404).close_point_in_time(id=snapshot)


def ids_of(client: Elasticsearch, index: str) -> Iterator[list[str]]:
    """All ids of an index, as searches see it, in pages."""
    for hits in scan(client, index, fields=(), size=10_000):
        yield [hit["_id"] for hit in hits]


def groups_of(client: Elasticsearch, index: str) -> dict[str, str]:
    """item_id -> group_id of all items that have one, as searches see them."""
    query = {"exists": {"field": "group_id"}}
    pages = scan(client, index, fields=("group_id",), query=query, size=10_000)
    return {hit["_id"]: hit["_source"]["group_id"] for hits in pages for hit in hits}


def state_of(client: Elasticsearch, index: str) -> dict[str, Any]:
    """Tells whether an index was written to: which one it is, and how many writes it has had. JSON values."""
    found = client.indices.stats(index=index, metric="docs", level="shards")["indices"][index]
    parts = [part for shard in found["shards"].values() for part in shard if part["routing"]["primary"]]
    return {"index": index, "uuid": found["uuid"], "written": sum(part["seq_no"]["local_checkpoint"] + 1 for part in parts)}


def _get(client: Elasticsearch, index: str, ids: Collection[str], parameters: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    wanted = list(dict.fromkeys(ids))
    for start in range(0, len(wanted), _BATCH):
        # As a plain request, since the client's own `mget` has no name for `_source_exclude_vectors`.
        answer = client.perform_request(
            "POST",
            f"/{index}/_mget",
            params={**parameters, "filter_path": "docs._id,docs.found,docs._source,docs.error"},
            headers=_HEADERS,
            body={"ids": wanted[start : start + _BATCH]},
        )
        found.update((doc["_id"], doc.get("_source", {})) for doc in answer.body["docs"] if doc.get("found"))
    return found
