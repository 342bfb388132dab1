"""What a question may have meant where its words find nothing: the nearest words of the catalogue's own names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from es_recsys.search.context import Context
from es_recsys.search.lexical import reached

__all__ = ["read_suggestion", "suggestion_body"]

_NAME = "names"
_LETTERS = 4
_LIKE = 0.6


def suggestion_body(context: Context) -> dict[str, Any]:
    """Asks for words near those that no item has; and whether all items together, whatever the filters, know the words."""
    words = {"field": "names", "suggest_mode": "missing", "size": 1, "prefix_length": 1}
    term = {**words, "min_word_length": _LETTERS, "string_distance": "internal", "accuracy": _LIKE}
    return {
        "size": 0,
        "_source": False,
        "track_total_hits": 1,
        "query": {"constant_score": {"filter": {"bool": {"should": reached(context.text, context.metadata.lexical)}}}},
        "suggest": {_NAME: {"text": context.text, "term": term}},
    }


def read_suggestion(text: str, response: Mapping[str, Any]) -> str | None:
    """The question in the catalogue's words; None where none is near, or where filters alone kept the items away."""
    if "error" in response or response["hits"]["total"]["value"]:
        return None
    # Elasticsearch counts characters as Java does, in units of UTF-16.
    units = text.encode("utf-16-le")
    changed = False
    for word in reversed(response.get("suggest", {}).get(_NAME, [])):
        if word["options"]:
            begin, end = 2 * word["offset"], 2 * (word["offset"] + word["length"])
            units = units[:begin] + word["options"][0]["text"].encode("utf-16-le") + units[end:]
            changed = True
    return units.decode("utf-16-le") if changed else None
