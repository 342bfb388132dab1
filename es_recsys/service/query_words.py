"""Finds the words that a query in Elasticsearch's query DSL searches for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["UnreadableQuery", "query_words"]

_BY_FIELD = frozenset(["match", "match_phrase", "match_phrase_prefix", "match_bool_prefix"])
_BY_TEXT = frozenset(["multi_match", "combined_fields", "simple_query_string"])
_INSIDE = {"function_score": "query", "script_score": "query", "nested": "query", "boosting": "positive"}
_WORDLESS_WORDS = """match_all constant_score term terms range exists ids prefix wildcard regexp geo_distance geo_bounding_box
    geo_shape"""
_WORDLESS = frozenset(_WORDLESS_WORDS.split())
"""Queries that find by values. As the whole of a query they put the hits in no order of their own."""


class UnreadableQuery(Exception):
    """A query that scores in a way that has no words."""


def query_words(query: Any) -> str:
    """Return the words, each once, "" where the query has none. Raises UnreadableQuery where they can't be known."""
    return " ".join(dict.fromkeys(text.strip() for text in _texts(query) if text.strip()))


def _texts(query: Any) -> Iterator[str]:
    if query is None:
        return
    if not isinstance(query, Mapping) or len(query) != 1:
        raise UnreadableQuery
    ((kind, value),) = query.items()
    if kind in _WORDLESS:
        return
    if not isinstance(value, Mapping):
        raise UnreadableQuery
    if kind in _BY_FIELD:
        yield from (_text(each) for each in value.values())
    elif kind in _BY_TEXT:
        yield _text(value)
    elif kind == "bool":
        for clause in ("must", "should"):
            inner = value.get(clause, [])
            for each in inner if isinstance(inner, list) else [inner]:
                yield from _texts(each)
    elif kind == "dis_max" and isinstance(value.get("queries"), list):
        for each in value["queries"]:
            yield from _texts(each)
    elif kind in _INSIDE:
        yield from _texts(value.get(_INSIDE[kind]))
    else:
        raise UnreadableQuery


def _text(value: Any) -> str:
    found = value.get("query") if isinstance(value, Mapping) else value
    if isinstance(found, str | int | float) and not isinstance(found, bool):
        return str(found)
    raise UnreadableQuery
