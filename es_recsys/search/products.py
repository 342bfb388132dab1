"""Products and their variants: of the items with one group_id an answer shows the best.

A product's id is the group_id of its items, or the item's own id where it has none. Behaviour is counted by product (see
`events.profiles`, `events.interactions`), so that it isn't split over sizes and colours; documents, words and filters are of
items. Every hit comes with its group_id, which joins the two.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from es_recsys.search.query_dsl import Body, Clause, Response, hits_of, item_id_of

__all__ = ["best_of_each_product", "id_filter", "product_count_aggs", "product_of", "products_of", "with_group_id"]

_GROUP = "group_id"
_MAX_TERMS = 65_536
_EXACT_COUNT = 40_000


def with_group_id(body: Body, *, has_variants: bool) -> Body:
    """Return the body with the group_id of each hit asked for, where the index has variants."""
    return {**body, "docvalue_fields": [*body.get("docvalue_fields", ()), _GROUP]} if has_variants else body


def product_of(hit: Mapping[str, Any]) -> str:
    """Return the product of a hit of a body `with_group_id`."""
    groups = hit.get("fields", {}).get(_GROUP)
    return str(groups[0] if groups else item_id_of(hit))


def products_of(responses: Iterable[Response]) -> dict[str, str]:
    """Return item id -> product of all hits that have a group_id."""
    hits = (hit for response in responses for hit in hits_of(response))
    return {item_id_of(hit): product_of(hit) for hit in hits if _GROUP in hit.get("fields", ())}


def id_filter(ids: Sequence[str], *, has_variants: bool) -> Clause:
    """Return the clause for items by their ids; where the index has variants, also by the ids of their products."""
    by_id: Clause = {"ids": {"values": list(ids)}}
    if not has_variants:
        return by_id
    parts = [list(ids[start : start + _MAX_TERMS]) for start in range(0, len(ids), _MAX_TERMS)]
    return {"bool": {"should": [by_id, *({"terms": {_GROUP: part}} for part in parts)], "minimum_should_match": 1}}


def best_of_each_product(rows: Iterable[int], products: Sequence[str]) -> list[int]:
    """Return the first row of each product. products: of each row of the candidate table."""
    first: dict[str, int] = {}
    for row in rows:
        first.setdefault(products[row], row)
    return list(first.values())


def product_count_aggs() -> dict[str, Any]:
    """Return `aggs` that count products: those with a group_id (estimated beyond 40,000), and items without one."""
    groups = {"cardinality": {"field": _GROUP, "precision_threshold": _EXACT_COUNT}}
    return {"groups": groups, "single": {"missing": {"field": _GROUP}}}
