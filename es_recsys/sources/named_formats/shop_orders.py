"""Orders of shops -> a purchase for each of their lines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from es_recsys.sources.named_formats.form import Rows, Values, each
from es_recsys.sources.order_lines import order_line_id

__all__ = ["NOT_BOUGHT", "shopify_orders", "woocommerce_orders"]

NOT_BOUGHT = "order cancelled or not paid"
"""Action of the lines of an order that came to nothing."""

_NOT_PAID_SHOPIFY = frozenset({"voided", "expired"})
_NOT_PAID_WOOCOMMERCE = frozenset({"cancelled", "failed", "refunded", "trash", "checkout-draft"})


def shopify_orders(rows: Rows) -> Rows:
    """Shopify: a row a line of an order; who bought it, and when, stands in the first row of the order alone."""
    first: Mapping[str, Any] = {}
    for row in rows:
        values = row.values
        if values.get("Name") != first.get("Name"):
            first = values
        order, item_id = str(first.get("Name") or ""), values.get("Lineitem sku")
        bought = not first.get("Cancelled at") and first.get("Financial Status") not in _NOT_PAID_SHOPIFY
        made = {
            "event_type": "purchase" if bought else NOT_BOUGHT,
            "timestamp": first.get("Created at"),
            "session_id": order,
            "item_id": item_id,
            "value": values.get("Lineitem quantity"),
            "event_id": order_line_id(order, item_id),
        }
        if first.get("Email"):
            made["user_id"] = first["Email"]
        yield row._replace(values=made)


@each
def woocommerce_orders(values: Values) -> Values:
    """WooCommerce: an order with its lines; a line is of a variation, or of a product without any."""
    order = str(values.get("id"))
    lines = [line for line in values.get("line_items") or () if isinstance(line, Mapping)]
    created = values.get("date_created_gmt")
    made = {
        "event_type": NOT_BOUGHT if values.get("status") in _NOT_PAID_WOOCOMMERCE else "purchase",
        "timestamp": created if created else values.get("date_created"),
        "session_id": f"order {order}",
        "event_id": order,
        "items": [
            {"item_id": line.get("variation_id") or line.get("product_id"), "quantity": line.get("quantity")} for line in lines
        ],
    }
    customer = values.get("customer_id")
    return made | ({"user_id": customer} if customer not in (0, "0", None, "") else {})
