"""Limits that several steps of a search share."""

from __future__ import annotations

__all__ = ["MAX_KNN_CANDIDATES", "MAX_LIST_IDS", "RERANK_DEPTH"]

MAX_LIST_IDS = 300
"""Ids of a list (popularity, a neighbours model) that a retriever looks up."""

MAX_KNN_CANDIDATES = 10_000
"""Elasticsearch's limit on `num_candidates`, and on the size of a page."""

RERANK_DEPTH = 100
"""How many of the best hits diversity, interests and exploration may reorder: fixed, so that pages are stable."""
