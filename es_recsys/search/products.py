"""Products and their variants: of the items of one group_id an answer shows one.

A product's id is the group_id of its items, or the item's own id where it has none. What people did is known by product
(see `behaviour.profiles`, `behaviour.interactions`), so that it isn't split over sizes and colours; documents, words and filters
are of items. Every hit tells its product, and here the two meet.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from es_recsys.search.filters import Clause

if TYPE_CHECKING:
    from es_recsys.search.context import Context

__all__ = ["GROUP", "any_of", "collapsed", "distinct", "product_of", "products_of", "told"]

GROUP = "group_id"
_MOST_TERMS = 65_536
_EXACT = 40_000


def told(body: dict[str, Any], context: Context) -> dict[str, Any]:
    """The body whose hits tell their group_id, where there are any."""
    return {**body, "docvalue_fields": [GROUP]} if context.grouped else body


def product_of(hit: Mapping[str, Any]) -> str:
    """The product of a hit of a body that was `told` to tell it."""
    groups = hit.get("fields", {}).get(GROUP)
    return str(groups[0] if groups else hit["_id"])


def products_of(responses: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """item_id -> product of all hits that have a group_id."""
    hits = (hit for response in responses for hit in response.get("hits", {}).get("hits", ()))
    return {hit["_id"]: product_of(hit) for hit in hits if GROUP in hit.get("fields", ())}


def any_of(ids: Sequence[str], *, grouped: bool) -> Clause:
    """The clause for items by their own ids; where there are variants (`grouped`), for those of the products, too."""
    own: Clause = {"ids": {"values": list(ids)}}
    if not grouped:
        return own
    parts = [list(ids[start : start + _MOST_TERMS]) for start in range(0, len(ids), _MOST_TERMS)]
    return {"bool": {"should": [own, *({"terms": {GROUP: part}} for part in parts)], "minimum_should_match": 1}}


def collapsed(rows: Iterable[int], products: Sequence[str]) -> list[int]:
    """The first row of each product. products: of each row of the table."""
    first: dict[str, int] = {}
    for row in rows:
        first.setdefault(products[row], row)
    return list(first.values())


def distinct() -> dict[str, Any]:
    """`aggs` that count products: those with a group_id (about, beyond 40,000), and items without one."""
    groups = {"cardinality": {"field": GROUP, "precision_threshold": _EXACT}}
    return {"groups": groups, "single": {"missing": {"field": GROUP}}}
