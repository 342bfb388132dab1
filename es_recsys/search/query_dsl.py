"""Types of what is sent to Elasticsearch and comes back, and its limit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["MAX_KNN_CANDIDATES", "Body", "Clause", "Response", "hits_of", "is_partial", "total_of"]

MAX_KNN_CANDIDATES = 10_000
"""Elasticsearch's limit on `num_candidates`, and on the size of a page."""

Clause = dict[str, Any]
"""A query of Elasticsearch's query DSL."""

Body = dict[str, Any]
"""A search body."""

Response = Mapping[str, Any]
"""One response of an `_msearch`."""


def hits_of(response: Response) -> Sequence[Mapping[str, Any]]:
    """Return the hits of a response, none for an error."""
    hits: Sequence[Mapping[str, Any]] = response.get("hits", {}).get("hits", ())
    return hits


def is_partial(response: Response) -> bool:
    """Return whether a search timed out or missed shards, so that hits may be missing."""
    return bool(response.get("timed_out") or response.get("_shards", {}).get("failed"))


def total_of(response: Response) -> int:
    """Return how many documents a response counted, or products where it has product counts (see `products`)."""
    counts = response.get("aggregations", {})
    if "groups" in counts:
        return int(counts["groups"]["value"]) + int(counts["single"]["doc_count"])
    return int(response["hits"]["total"]["value"])
