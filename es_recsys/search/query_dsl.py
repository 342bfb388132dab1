"""Types of what is sent to Elasticsearch and comes back, and its limit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = [
    "IDS_ONLY",
    "MAX_KNN_CANDIDATES",
    "NO_RESPONSE",
    "Body",
    "Clause",
    "Response",
    "hits_of",
    "is_partial",
    "item_id_of",
    "item_ids_of",
    "total_of",
]

MAX_KNN_CANDIDATES = 10_000
"""Elasticsearch's limit on `num_candidates`, and on the size of a page."""

IDS_ONLY: Mapping[str, Any] = {"_source": False, "stored_fields": "_none_", "docvalue_fields": ["item_id"]}
"""What a body asks of its hits where only their ids are needed.

`_id` is stored with the document's source, which Elasticsearch would decompress for every hit: of a search for 200 hits that
is more than half the time. The same id as a doc value costs next to nothing.
"""

Clause = dict[str, Any]
"""A query of Elasticsearch's query DSL."""

Body = dict[str, Any]
"""A search body."""

Response = Mapping[str, Any]
"""One response of an `_msearch`."""

NO_RESPONSE: Response = {"error": "no response"}
"""What stands for a response that is missing."""


def hits_of(response: Response) -> Sequence[Mapping[str, Any]]:
    """Return the hits of a response, none for an error."""
    hits: Sequence[Mapping[str, Any]] = response.get("hits", {}).get("hits", ())
    return hits


def item_id_of(hit: Mapping[str, Any]) -> str:
    """Return the id of a hit, of a body with IDS_ONLY or another."""
    return item_ids_of((hit,))[0]


def item_ids_of(hits: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the ids of hits, as `item_id_of` does; in one loop, as hits are many."""
    return [hit["_id"] if "_id" in hit else hit["fields"]["item_id"][0] for hit in hits]


def is_partial(response: Response) -> bool:
    """Return whether a search timed out or missed shards, so that hits may be missing."""
    return bool(response.get("timed_out") or response.get("_shards", {}).get("failed"))


def total_of(response: Response) -> int:
    """Return how many documents a response counted, or products where it has product counts (see `products`)."""
    counts = response.get("aggregations", {})
    if "groups" in counts:
        return int(counts["groups"]["value"]) + int(counts["single"]["doc_count"])
    return int(response["hits"]["total"]["value"])
