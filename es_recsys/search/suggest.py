"""Spelling suggestions for a text that finds nothing: the nearest words of the catalogue's own names."""

from __future__ import annotations

from es_recsys.search.lexical import TextMatching, matching_clauses
from es_recsys.search.query_dsl import Body, Response

__all__ = ["parse_suggestion", "suggestion_body"]

_NAME = "names"
_MIN_LETTERS = 4
_MIN_SIMILARITY = 0.6


def suggestion_body(text: str, matching: TextMatching) -> Body:
    """Return the body that suggests words near those that no item has, and counts what the text finds without any filter."""
    words = {"field": "names", "suggest_mode": "missing", "size": 1, "prefix_length": 1}
    term = {**words, "min_word_length": _MIN_LETTERS, "string_distance": "internal", "accuracy": _MIN_SIMILARITY}
    return {
        "size": 0,
        "_source": False,
        "track_total_hits": 1,
        "query": {"constant_score": {"filter": {"bool": {"should": matching_clauses(text, matching)}}}},
        "suggest": {_NAME: {"text": text, "term": term}},
    }


def parse_suggestion(text: str, response: Response) -> str | None:
    """Return the text in the catalogue's words; None where none is near, or where filters alone kept the items away."""
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
