"""Sequence numbers: which documents of an index were written after a moment.

Elasticsearch numbers the writes of each shard. The local checkpoint of a shard is the number up to which all writes are
done; a write in progress has a higher one, so that reading from a checkpoint on misses none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from elasticsearch import Elasticsearch

from es_recsys.index.fetch import scan

__all__ = ["Checkpoints", "checkpoints", "hits_since", "ids_until", "write_state"]

Checkpoints = Mapping[int, int]
"""Shard -> local checkpoint."""

_IDS = 10_000


def checkpoints(client: Elasticsearch, index: str) -> dict[int, int]:
    """Return the local checkpoint of each shard."""
    return _checkpoints(client.indices.stats(index=index, metric="docs", level="shards")["indices"][index])


def hits_since(client: Elasticsearch, index: str, since: Checkpoints) -> Iterator[list[dict[str, Any]]]:
    """Yield pages of the documents written after the checkpoints, with their vectors."""
    for shard, checkpoint in since.items():
        query = {"range": {"_seq_no": {"gt": checkpoint}}}
        yield from scan(client, index, vectors=True, query=query, preference=f"_shards:{shard}")


def ids_until(client: Elasticsearch, index: str, until: Checkpoints) -> Iterator[list[str]]:
    """Yield pages of the ids of documents that were not written after the checkpoints."""
    for shard, checkpoint in until.items():
        query = {"range": {"_seq_no": {"lte": checkpoint}}}
        for hits in scan(client, index, fields=(), query=query, size=_IDS, preference=f"_shards:{shard}"):
            yield [hit["_id"] for hit in hits]


def write_state(client: Elasticsearch, index: str) -> dict[str, Any]:
    """Return which index it is and how many writes it has had, as JSON values: equal states mean that nothing was written."""
    stats = client.indices.stats(index=index, metric="docs", level="shards")["indices"][index]
    return {"index": index, "uuid": stats["uuid"], "written": sum(number + 1 for number in _checkpoints(stats).values())}


def _checkpoints(stats: Mapping[str, Any]) -> dict[int, int]:
    return {
        int(shard): part["seq_no"]["local_checkpoint"]
        for shard, parts in stats["shards"].items()
        for part in parts
        if part["routing"]["primary"]
    }
