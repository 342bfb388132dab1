"""An event that carries a list of items (an order, a GA4 `items`, Segment's `products`): its lines, an item each."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from es_recsys.sources.column_mapping import get_path
from es_recsys.sources.python_literals import parse_json_or_python

__all__ = ["ITEM_COLUMNS", "OrderLine", "find_line_items", "order_line_id", "order_lines_of"]

_LIST_KEYS = "items products item_ids product_ids line_items order_lines order_items contents content_ids"
_PREFIXES = (
    "properties. ecommerce. ecommerce.purchase. event_params. custom_data. data. event_attributes. event_attributes.object."
)
_LIST_PATHS = tuple(prefix + key for key in _LIST_KEYS.split() for prefix in ("", *_PREFIXES.split()))
_ITEM_PATHS = tuple(prefix + key for prefix in _PREFIXES.split() for key in ("item_id", "product_id", "sku"))
ITEM_COLUMNS = frozenset(path.split(".")[0] for path in (*_LIST_PATHS, *_ITEM_PATHS))
"""Columns in which an event may have its items without an `item_id`."""
_ID_KEYS = ("item_id", "product_id", "object_id", "content_id", "id", "sku", "variant_id", "asin")
_QUANTITY_KEYS = ("quantity", "qty", "count", "units")
_UBI_OBJECT = "event_attributes.object"
_MAX_ID_BYTES = 512


class OrderLine(NamedTuple):
    """One item of an event. quantity: how many of it, or None."""

    item_id: Any
    quantity: Any = None


def find_line_items(values: Mapping[str, Any], item_id: Any) -> Sequence[Any] | None:
    """Return the list of items that a row carries, or None.

    It is `item_id` itself where that is a list, else the first usual name that holds one, or the one item of an object
    (`properties.product_id`).

    item_id: what the row has as its item; a single one is the event's item, whatever lists are beside it.
    """
    if item_id is not None:
        if type(item_id) is str and item_id[-1:].isalnum():  # nearly all ids: no list ends so
            return None
        return _as_list(item_id)
    objects = get_path(values, _UBI_OBJECT)
    if isinstance(objects, list):
        return objects
    for path in _LIST_PATHS:
        found = get_path(values, path)
        if found is not None and (listed := _as_list(found, plural=True)) is not None:
            return listed
    one = next((found for path in _ITEM_PATHS if (found := get_path(values, path)) not in (None, "")), None)
    return None if one is None else [one]


def order_lines_of(listed: Sequence[Any]) -> list[OrderLine]:
    """Return the items of a list, each once, in its order; quantities of the same item are summed.

    Items without an id are left out.
    """
    lines: dict[str, OrderLine] = {}
    for one in listed:
        line = OrderLine(_first(one, _ID_KEYS), _first(one, _QUANTITY_KEYS)) if isinstance(one, Mapping) else OrderLine(one)
        if line.item_id is None or isinstance(line.item_id, list | Mapping) or str(line.item_id).strip() == "":
            continue
        key = str(line.item_id)
        before = lines.get(key)
        lines[key] = line if before is None else OrderLine(before.item_id, _add_quantities(before.quantity, line.quantity))
    return list(lines.values())


def order_line_id(event_id: str, item_id: Any) -> str:
    """Return the id of one line of an event with several.

    It is the same whenever the event comes again, whatever the order of its lines.
    """
    whole = f"{event_id}:{item_id}"
    if len(whole.encode("utf-8", "surrogatepass")) <= _MAX_ID_BYTES:
        return whole
    return hashlib.blake2b(whole.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _as_list(value: Any, plural: bool = False) -> Sequence[Any] | None:
    """Return a list, or what the text of one holds; None where there is none.

    The text is JSON, or as Python prints a list. plural: values between bars, semicolons or commas are a list too.
    """
    if isinstance(value, list | tuple):
        return value
    if not isinstance(value, str):
        return None
    text = value.strip()
    if text.startswith("[") and text.endswith("]"):
        return _parsed(text)
    if plural and text:
        separator = next((separator for separator in "|;," if separator in text), None)
        return [text] if separator is None else [part.strip() for part in text.split(separator)]
    return None


def _parsed(text: str) -> Sequence[Any] | None:
    try:
        found = parse_json_or_python(text)
    except ValueError:
        return None
    return found if isinstance(found, list) else None


def _first(values: Mapping[str, Any], names: Sequence[str]) -> Any:
    return next((values[name] for name in names if values.get(name) not in (None, "")), None)


def _add_quantities(one: Any, other: Any) -> Any:
    """Add two quantities; a line without one is of one piece."""
    try:
        return float(1 if one is None else one) + float(1 if other is None else other)
    except (TypeError, ValueError):
        return one
