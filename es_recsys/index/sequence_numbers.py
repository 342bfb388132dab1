"""Sequence numbers: which documents of an index were written after a moment.

Elasticsearch numbers the writes of each shard. The local checkpoint of a shard is the number up to which all writes are
done; a write in progress has a higher one, so that reading from a checkpoint on misses none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from elasticsearch import ApiError, Elasticsearch

from es_recsys.errors import EngineError
from es_recsys.index.fetch import scan
from es_recsys.index_metadata import IndexState

__all__ = ["Checkpoints", "checkpoints", "hits_since", "ids_until", "index_state", "write_state"]

Checkpoints = Mapping[int, int]
"""Shard -> local checkpoint."""

_IDS = 10_000


def checkpoints(client: Elasticsearch, index: str) -> Checkpoints:
    """Return the local checkpoint of each shard."""
    return index_state(client, index).checkpoints


def index_state(client: Elasticsearch, index: str, wait_s: float = 5.0) -> IndexState:
    """Return which index it is, and the local checkpoint of each shard.

    wait_s: for how long an index is waited for that a node which has just started does not have open yet. Raises EngineError
    where it is not open then.
    """
    stats = _stats(client, index)
    if stats is None:
        with suppress(ApiError):  # 408: not open in time
            client.cluster.health(index=index, wait_for_status="yellow", timeout=f"{wait_s * 1000:.0f}ms")
        stats = _stats(client, index)
    if stats is None:
        raise EngineError(
            f"The index {index} has no shard that is open.",
            "Wait a moment where the node has just started; else look at GET _cluster/allocation/explain.",
        )
    numbers = {
        int(shard): int(part["seq_no"]["local_checkpoint"])
        for shard, parts in stats["shards"].items()
        for part in parts
        if part["routing"]["primary"]
    }
    return IndexState(index, str(stats["uuid"]), numbers)


def _stats(client: Elasticsearch, index: str) -> dict[str, Any] | None:
    found: dict[str, Any] | None = client.indices.stats(index=index, metric="docs", level="shards")["indices"].get(index)
    return found


def hits_since(
    client: Elasticsearch, index: str, since: Checkpoints, *, fields: Sequence[str] | None = None, seq_no: bool = False
) -> Iterator[list[dict[str, Any]]]:
    """Yield pages of the documents written after the checkpoints, with their vectors.

    fields: only these of the source. seq_no: with the `_seq_no` of each.
    """
    for shard, checkpoint in since.items():
        query = {"range": {"_seq_no": {"gt": checkpoint}}}
        preference = f"_shards:{shard}"
        yield from scan(client, index, vectors=True, fields=fields, query=query, preference=preference, seq_no=seq_no)


def ids_until(client: Elasticsearch, index: str, until: Checkpoints) -> Iterator[list[str]]:
    """Yield pages of the ids of documents that were not written after the checkpoints."""
    for shard, checkpoint in until.items():
        query = {"range": {"_seq_no": {"lte": checkpoint}}}
        for hits in scan(client, index, fields=(), query=query, size=_IDS, preference=f"_shards:{shard}"):
            yield [hit["_id"] for hit in hits]


def write_state(client: Elasticsearch, index: str) -> dict[str, Any]:
    """Return which index it is and how many writes it has had, as JSON values: equal states mean that nothing was written."""
    state = index_state(client, index)
    return {"index": index, "uuid": state.uuid, "written": sum(number + 1 for number in state.checkpoints.values())}
