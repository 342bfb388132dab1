"""Facets: counts by value over everything that matches."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from es_recsys.search.products import product_count_aggs
from es_recsys.search.query_dsl import Body, Response
from es_recsys.search.request import RankingPolicy, Request

__all__ = ["facet_aggs", "parse_facets", "with_counts"]

_TERMS = ("categories", "brand", "author", "tags")
_MAX_VALUES = 20
_PRICE_BANDS = (0, 10, 20, 50, 100, 200, 500, 1_000)


def facet_aggs(fields: Mapping[str, str]) -> dict[str, Any]:
    """Return `aggs` of the facet fields that the index has: values of categories, brand, author and tags, and bands of price."""
    aggs: dict[str, Any] = {name: {"terms": {"field": name, "size": _MAX_VALUES}} for name in _TERMS if name in fields}
    if "price" in fields:
        bands: list[dict[str, Any]] = [{"key": f"{low}..{high}", "from": low, "to": high} for low, high in pairwise(_PRICE_BANDS)]
        bands.append({"key": f"{_PRICE_BANDS[-1]}..", "from": _PRICE_BANDS[-1]})
        aggs["price"] = {"range": {"field": "price", "ranges": bands}}
    return aggs


def with_counts(body: Body, request: Request, policy: RankingPolicy) -> Body:
    """Return a counting body with facets where they are asked for, counting products where their variants collapse."""
    aggs = facet_aggs(policy.metadata.fields) if request.facets else {}
    aggs |= product_count_aggs() if policy.collapse else {}
    return {**body, "aggs": aggs} if aggs else body


def parse_facets(response: Response) -> dict[str, dict[str, int]]:
    """Return facet -> value -> count, largest first (price bands in their order), without empty ones."""
    found = {}
    for name, aggregation in response.get("aggregations", {}).items():
        buckets = aggregation.get("buckets", ())
        counts = {str(bucket["key"]): int(bucket["doc_count"]) for bucket in buckets if bucket["doc_count"]}
        if counts:
            found[name] = counts
    return found
