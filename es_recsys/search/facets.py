"""Counts over everything that matches, for narrowing an answer down."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from es_recsys.search.context import Context
from es_recsys.search.products import distinct

__all__ = ["aggregations", "counted", "read_facets"]

_TERMS = ("categories", "brand", "tags")
_TERMS_SHOWN = 20
_PRICES = (0, 10, 20, 50, 100, 200, 500, 1_000)


def aggregations(fields: Mapping[str, str]) -> dict[str, Any]:
    """`aggs` of the known facet fields: values of categories, brand and tags, and bands of price."""
    aggs: dict[str, Any] = {name: {"terms": {"field": name, "size": _TERMS_SHOWN}} for name in _TERMS if name in fields}
    if "price" in fields:
        bands: list[dict[str, Any]] = [{"key": f"{low}..{high}", "from": low, "to": high} for low, high in pairwise(_PRICES)]
        aggs["price"] = {"range": {"field": "price", "ranges": [*bands, {"key": f"{_PRICES[-1]}..", "from": _PRICES[-1]}]}}
    return aggs


def counted(context: Context, body: dict[str, Any]) -> dict[str, Any]:
    """A body that counts, with the facets where they are wanted; products where one of their variants is shown."""
    aggs = aggregations(context.metadata.fields) if context.facets else {}
    aggs |= distinct() if context.collapse else {}
    return {**body, "aggs": aggs} if aggs else body


def read_facets(response: Mapping[str, Any]) -> dict[str, dict[str, int]]:
    """Facet -> value -> count, largest first (bands of price in their order), without empty ones."""
    found = {}
    for name, aggregation in response.get("aggregations", {}).items():
        buckets = aggregation.get("buckets", ())
        counts = {str(bucket["key"]): int(bucket["doc_count"]) for bucket in buckets if bucket["doc_count"]}
        if counts:
            found[name] = counts
    return found
