"""Rows of GA4's BigQuery export and of Segment's calls -> events with their items, and the items that the events show."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from es_recsys.sources.named_formats.form import Rows, Values, each, first_of_each
from es_recsys.sources.order_lines import order_line_id

__all__ = ["ga4_events", "ga4_items", "segment_events", "segment_items"]

_LISTS = frozenset({"view_item_list", "Product List Viewed"})
_AMOUNTS = frozenset({"purchase", "add_to_cart", "Order Completed", "Product Added"})
_TYPES = ("string_value", "int_value", "float_value", "double_value")
_NOT_SET = ("(not set)", "", None)
_GA4_LEVELS = ("item_category", "item_category2", "item_category3", "item_category4", "item_category5")


@each
def ga4_events(values: Values) -> list[Values]:
    """Return the events of a row of GA4, one an item. A session is the pseudonym with the number of its session."""
    params, name = _ga4_params(values), str(values.get("event_name"))
    pseudonym = values.get("user_pseudo_id")
    made = {
        "event_type": name,
        "timestamp": values.get("event_timestamp"),
        "user_id": values.get("user_id") or pseudonym,
        "query": params.get("search_term"),
    }
    if pseudonym and params.get("ga_session_id"):
        made["session_id"] = f"{pseudonym}.{params['ga_session_id']}"
    ecommerce = values.get("ecommerce")
    order = ecommerce.get("transaction_id") if isinstance(ecommerce, Mapping) else None
    order = params.get("transaction_id") if order in _NOT_SET else order
    items = [] if made["query"] and name != "purchase" else _items(values.get("items"))
    return list(_of_items(made, name, [(one.get("item_id"), one) for one in items], "item_list_index", order))


def ga4_items(rows: Rows) -> Rows:
    """Yield the items that GA4's events show, each as often as it changes."""
    return first_of_each(_ga4_items(rows))


@each
def _ga4_items(values: Values) -> list[Values]:
    return [
        {
            "item_id": one["item_id"],
            "title": one.get("item_name"),
            "brand": one.get("item_brand"),
            "categories": [level for name in _GA4_LEVELS if (level := one.get(name)) not in _NOT_SET],
            "price": one.get("price") or None,
        }
        for one in _items(values.get("items"))
        if one.get("item_id") not in _NOT_SET
    ]


@each
def segment_events(values: Values) -> list[Values]:
    """Return the events of a call, one a product. Calls that track nothing have their type for a name, which says nothing."""
    properties = _properties(values)
    name = str(values.get("event") or values.get("type"))
    made = {
        "event_type": name,
        "timestamp": values.get("timestamp") or values.get("originalTimestamp"),
        "user_id": values.get("userId"),
        "session_id": values.get("anonymousId"),
        "event_id": values.get("messageId"),
        "query": properties.get("query"),
    }
    products = _items(properties.get("products"))
    ids = [(_product_id(one), one) for one in products or [properties] if _product_id(one) is not None]
    order = values.get("messageId") if len(ids) > 1 else None
    return list(_of_items(made, name, ids if not made["query"] else [], "position", order))


def segment_items(rows: Rows) -> Rows:
    """Yield the products that Segment's calls show, each as often as it changes."""
    return first_of_each(_segment_items(rows))


@each
def _segment_items(values: Values) -> list[Values]:
    properties = _properties(values)
    products = _items(properties.get("products")) or [properties]
    return [
        {
            "item_id": _product_id(one),
            "title": one.get("name"),
            "brand": one.get("brand"),
            "categories": one.get("category"),
            "price": one.get("price"),
            "image": one.get("image_url"),
        }
        for one in products
        if _product_id(one) is not None and one.get("name")
    ]


def _of_items(made: Values, name: str, items: list[tuple[Any, Mapping[str, Any]]], rank: str, order: Any) -> Iterator[Values]:
    """Yield the event for each of its items, or as it is where it has none. rank: what a place in a list is called."""
    if not items:
        yield made
    for item_id, one in items:
        own = {**made, "item_id": item_id}
        if name in _AMOUNTS:
            own["value"] = one.get("quantity")
        if name in _LISTS:
            own |= {"event_type": "impression", "position": one.get(rank)}
        if order not in _NOT_SET:
            own["event_id"] = order_line_id(f"{order}", item_id)
        yield own


def _ga4_params(values: Values) -> dict[str, Any]:
    """Return parameter -> its value, which stands under the name of its type."""
    found: dict[str, Any] = {}
    for one in _items(values.get("event_params")):
        value = one.get("value")
        if isinstance(value, Mapping):
            value = next((value[name] for name in _TYPES if value.get(name) is not None), None)
        found[str(one.get("key"))] = value
    return found


def _properties(values: Values) -> Mapping[str, Any]:
    found = values.get("properties")
    return found if isinstance(found, Mapping) else {}


def _product_id(one: Mapping[str, Any]) -> Any:
    return next((value for name in ("product_id", "sku", "id") if (value := one.get(name)) not in _NOT_SET), None)


def _items(value: Any) -> list[Mapping[str, Any]]:
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []
