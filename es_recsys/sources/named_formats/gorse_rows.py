"""Rows of Gorse's exports -> rows with our columns: JSON lines as it writes them now, CSV as it wrote them before 0.5."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import orjson

from es_recsys.sources.named_formats.form import Values, each

__all__ = ["gorse_feedback", "gorse_items"]

_NO_TIME = "0001-01-01"


@each
def gorse_items(values: Values) -> Values:
    """Take labels as tags where they are a list, as attributes where they are an object; vectors are left out."""
    made = {
        "item_id": _either(values, "ItemId", "item_id"),
        "title": _either(values, "Comment", "description"),
        "categories": _either(values, "Categories", "categories"),
        "created_at": _time(_either(values, "Timestamp", "time_stamp")),
        "available": str(_either(values, "IsHidden", "is_hidden")).lower() not in ("true", "1"),
    }
    labels = _parsed(_either(values, "Labels", "labels"))
    if isinstance(labels, dict):
        return made | {name: value for name, value in labels.items() if name not in made and not _is_vector(value)}
    return made | {"tags": labels}


@each
def gorse_feedback(values: Values) -> Values:
    """Take the value of a rating alone: else it is a weight of Gorse's own."""
    event_type = _either(values, "FeedbackType", "feedback_type")
    made = {
        "event_type": event_type,
        "user_id": _either(values, "UserId", "user_id"),
        "item_id": _either(values, "ItemId", "item_id"),
        "timestamp": _time(_either(values, "Timestamp", "time_stamp")),
    }
    return made | ({"value": values.get("Value")} if str(event_type).lower() in ("rating", "rate") else {})


def _either(values: Values, name: str, old_name: str) -> Any:
    return values.get(name, values.get(old_name))


def _time(value: Any) -> Any:
    # Go's time without a value.
    return None if str(value).startswith(_NO_TIME) else value


def _parsed(labels: Any) -> Any:
    """Return labels that CSV has as JSON, or between bars."""
    if isinstance(labels, str):
        with suppress(orjson.JSONDecodeError):
            return orjson.loads(labels)
        return labels.split("|") if labels else []
    return labels


def _is_vector(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(one, int | float) for one in value)
