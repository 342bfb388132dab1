"""The indices of a test's store."""

from __future__ import annotations

from elasticsearch import Elasticsearch

__all__ = ["delete_indices"]


def delete_indices(es: Elasticsearch, prefix: str) -> None:
    """Delete all indices whose names begin so, in one request; there may be none."""
    if found := list(es.indices.get(index=f"{prefix}*", expand_wildcards="all", features="aliases")):
        es.indices.delete(index=found)
