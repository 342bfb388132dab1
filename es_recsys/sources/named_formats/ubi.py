"""User Behavior Insights (UBI) 1.3 documents as our events: https://github.com/o19s/ubi, schema/1.3.0."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from es_recsys.sources.column_mapping import get_path

__all__ = ["from_ubi", "is_ubi"]


def is_ubi(values: Mapping[str, Any]) -> bool:
    """Return whether a row is an event of UBI, or a query of UBI (which has no action)."""
    if values.get("action_name") is not None:
        return True
    return values.get("user_query") is not None and "event_type" not in values


def from_ubi(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a UBI document. client_id stands for the session where there is none; a query is a search."""
    action = values.get("action_name")
    return {
        "event_type": "search" if action in (None, "") else action,
        "timestamp": values.get("timestamp"),
        "user_id": values.get("user_id"),
        "session_id": values.get("session_id") or get_path(values, "event_attributes.session_id") or values.get("client_id"),
        "item_id": get_path(values, "event_attributes.object.object_id"),
        "query": values.get("user_query") or _message(values),
        "query_id": values.get("query_id"),
        "position": get_path(values, "event_attributes.position.ordinal"),
        "event_id": values.get("event_id"),
        "value": values.get("event_value"),
        "recommendation_id": values.get("recommendation_id"),
    }


def _message(values: Mapping[str, Any]) -> Any:
    # Of an event with message_type QUERY the schema says that the message is the text searched for.
    return values.get("message") if str(values.get("message_type")).upper() == "QUERY" else None
