"""Exports of shops, trackers and recommenders, one row each, as their makers document them.

Shopify (help.shopify.com: product and order CSV), WooCommerce (product CSV, REST API v3), Google Merchant Center (product data
specification), GA4 (BigQuery export schema), Segment (e-commerce spec v2), Gorse (export of items and feedback), UBI 1.3.
"""

from __future__ import annotations

from es_recsys.sources.named_formats import shop_orders, tracker_rows
from es_recsys.sources.named_formats.form import Form, NamedFormat
from es_recsys.sources.named_formats.gorse_rows import gorse_feedback, gorse_items

__all__ = ["EXPORTS"]

_SHOPIFY = NamedFormat(
    "shopify",
    "Shopify (export of products, export of orders)",
    items=(
        Form("products_export.csv", ("Handle", "Title", "Option1 Value")),
        Form("products_export.csv of 2025 on", ("URL handle", "Title", "Option1 Value")),
    ),
    events=(
        Form(
            "orders_export.csv",
            ("Name", "Email", "Created at", "Lineitem sku", "Lineitem quantity"),
            actions={shop_orders.NOT_BOUGHT: "ignore"},
            rows=shop_orders.shopify_orders,
            notes=("a user is the e-mail address of an order, a session the order where it has none; an item is its SKU",),
        ),
    ),
)

_WOOCOMMERCE = NamedFormat(
    "woocommerce",
    "WooCommerce (export of products, orders of its REST API)",
    items=(Form("product export (CSV)", ("ID", "Type", "SKU", "Name", "Parent")),),
    events=(
        Form(
            "orders of GET /wp-json/wc/v3/orders",
            ("id", "customer_id", "line_items"),
            actions={shop_orders.NOT_BOUGHT: "ignore"},
            rows=shop_orders.woocommerce_orders,
            notes=("orders of guests have no customer: each is a session of its own",),
        ),
    ),
)

_GOOGLE_MERCHANT = NamedFormat(
    "google-merchant",
    "Google Merchant Center (feed as XML or TSV)",
    items=(
        Form(
            "product feed",
            ("id", "title", "link", "price"),
            {"item_id": "id", "group_id": "item_group_id", "description": "description", "categories": "product_type"}
            | {"image": "image_link", "available": "availability", "expires_at": "expiration_date"}
            | dict.fromkeys(("additional_image_link", "shipping", "tax", "mobile_link", "ads_redirect"), "-"),
        ),
    ),
)

_GA4 = NamedFormat(
    "ga4",
    "Google Analytics 4 (BigQuery export as JSON or Parquet)",
    items=(
        Form(
            "events_YYYYMMDD",
            ("event_name", "event_timestamp", "items"),
            rows=tracker_rows.ga4_items,
            notes=("the items that its events show",),
        ),
    ),
    events=(
        Form(
            "events_YYYYMMDD",
            ("event_name", "event_timestamp", "user_pseudo_id"),
            rows=tracker_rows.ga4_events,
            notes=("a user is user_id, or user_pseudo_id where there is none",),
        ),
    ),
)

_SEGMENT = NamedFormat(
    "segment",
    "Segment (calls as JSON lines)",
    items=(
        Form(
            "track calls",
            ("type", "event", "properties"),
            rows=tracker_rows.segment_items,
            notes=("the products that its calls show",),
        ),
    ),
    events=(
        Form(
            "track calls",
            ("type", "event", "properties", "timestamp"),
            rows=tracker_rows.segment_events,
        ),
    ),
)

_GORSE = NamedFormat(
    "gorse",
    "Gorse (export of items and feedback)",
    items=(Form("items.jsonl, or items.csv of before 0.5", ("ItemId", "IsHidden"), rows=gorse_items),),
    events=(Form("feedback.jsonl, or feedback.csv of before 0.5", ("FeedbackType", "UserId", "ItemId"), rows=gorse_feedback),),
)

_UBI = NamedFormat(
    "ubi",
    "User Behavior Insights 1.3",
    events=(Form("ubi_events", ("action_name", "timestamp")), Form("ubi_queries", ("user_query", "timestamp"))),
)

EXPORTS = (_SHOPIFY, _WOOCOMMERCE, _GOOGLE_MERCHANT, _GA4, _SEGMENT, _GORSE, _UBI)
