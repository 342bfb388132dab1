"""What a query asks: its kind, and what makes two queries the same."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from es_recsys.query import Query

__all__ = ["query_identity", "query_kind"]


def query_kind(query: Query) -> str:
    """Return "rank", "similar", "search" or "recommend"."""
    if query.ids is not None:
        return "rank"
    if query.like is not None:
        return "similar"
    return "search" if query.text.strip() or query.image is not None else "recommend"


def query_identity(query: Query) -> tuple[Any, ...]:
    """Return what is asked, whichever page of it."""
    filters = sorted(query.filter.items()) if isinstance(query.filter, Mapping) else list(query.filter)
    picture = None if query.image is None else hashlib.sha256(query.image).hexdigest()
    return query_kind(query), query.text.strip().lower(), picture, query.like, query.history, filters
