"""Reading documents: by id as they are this moment (mget), or all of an index as of one moment (point in time)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from elasticsearch import Elasticsearch
from numpy.typing import NDArray

from es_recsys.index.id_set import IdSet

__all__ = ["fetch_documents", "fetch_sources", "fetch_vectors", "find_ids", "scan", "scan_group_ids", "scan_id_set", "scan_ids"]

_BATCH = 500
_ACCEPT = "application/vnd.elasticsearch+json; compatible-with=9"
_HEADERS = {"accept": _ACCEPT, "content-type": _ACCEPT}


def fetch_sources(
    client: Elasticsearch, index: str, ids: Sequence[str], fields: Sequence[str] | None = None
) -> dict[str, dict[str, Any]]:
    """Return id -> source without vectors; ids without a document are left out. fields: only these of the source."""
    parameters = {} if fields is None else {"_source_includes": ",".join(fields)}
    return _get(client, index, ids, parameters)


def find_ids(client: Elasticsearch, index: str, ids: Collection[str]) -> set[str]:
    """Return those of the ids that have a document."""
    return set(_get(client, index, ids, {"_source": "false"}))


def fetch_documents(client: Elasticsearch, index: str, ids: Sequence[str]) -> list[dict[str, Any]]:
    """Return hits (`_id` and `_source` with vectors); ids without a document are left out."""
    found = _get(client, index, ids, {"_source_exclude_vectors": "false"})
    return [{"_id": item_id, "_source": source} for item_id, source in found.items()]


def fetch_vectors(
    client: Elasticsearch, index: str, ids: Sequence[str], fields: Sequence[str]
) -> dict[str, dict[str, NDArray[np.float32]]]:
    """Return id -> vector field -> (d,) float32; fields that a document lacks are left out."""
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
    seq_no: bool = False,
    doc_values: Sequence[str] | None = None,
    keep_alive: str = "30m",
) -> Iterator[list[dict[str, Any]]]:
    """Yield all hits of an index as it was at the first call, in pages of `size`, each hit with `_id` and `_source`.

    fields: only these of the source (none where it is empty). vectors: with the vectors, which Elasticsearch leaves out
    by default. query: only its matches. seq_no: with `_seq_no`. doc_values: with the `fields` that these are, in place
    of all else. The caller has `keep_alive` for each page.
    """
    source: Any = {"exclude_vectors": not vectors}
    if fields is not None:
        source = {**source, "includes": list(fields)} if fields else False
    pit_id = client.open_point_in_time(index=index, keep_alive=keep_alive, preference=preference)["id"]
    after: list[Any] | None = None
    try:
        while True:
            page = client.search(
                pit={"id": pit_id, "keep_alive": keep_alive},
                query=query,
                source=source,
                stored_fields=None if doc_values is None else "_none_",
                docvalue_fields=None if doc_values is None else [{"field": field} for field in doc_values],
                size=size,
                sort=["_shard_doc"],
                seq_no_primary_term=seq_no,
                search_after=after,
                track_total_hits=False,
            )
            pit_id = page.get("pit_id", pit_id)
            hits = page["hits"]["hits"]
            if hits:
                yield hits
            if len(hits) < size:
                return
            after = hits[-1]["sort"]
    finally:
        client.options(ignore_status=404).close_point_in_time(id=pit_id)


def scan_ids(client: Elasticsearch, index: str, field: str | None = None) -> Iterator[list[str]]:
    """Yield the ids of an index, in pages of 10,000.

    field: a keyword that every document has and that says the same, where documents are large: an id is stored with the document,
    which is decompressed for each hit.
    """
    if field is None:
        for hits in scan(client, index, fields=(), size=10_000):
            yield [hit["_id"] for hit in hits]
        return
    for hits in scan(client, index, fields=(), size=10_000, doc_values=(field,)):
        yield [hit["fields"][field][0] for hit in hits]


def scan_id_set(client: Elasticsearch, index: str) -> IdSet:
    """Return the ids of an index as a set."""
    return IdSet(item_id for ids in scan_ids(client, index) for item_id in ids)


def scan_group_ids(client: Elasticsearch, index: str) -> dict[str, str]:
    """Return item_id -> group_id of all items that have one."""
    query = {"exists": {"field": "group_id"}}
    pages = scan(client, index, fields=("group_id",), query=query, size=10_000)
    return {hit["_id"]: hit["_source"]["group_id"] for hits in pages for hit in hits}


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
