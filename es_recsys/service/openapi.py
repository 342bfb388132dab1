"""Parameters and bodies of the paths, as the OpenAPI description has them.

The routes read them themselves, so that what is wrong with them is answered in Elasticsearch's shape.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["BOUGHT_TOGETHER", "EVENTS", "EXTENSION", "MSEARCH", "RECOMMEND", "SEARCH", "Described", "parameters"]

Schema = Mapping[str, Any]
Described = Mapping[str, tuple[str, Schema]]
"""Name -> what it is, and its type."""

_TEXT: Schema = {"type": "string"}
_TEXTS: Schema = {"type": "array", "items": _TEXT}
_FLAG: Schema = {"type": "boolean", "default": False}
_SHARE: Schema = {"type": "number", "minimum": 0, "maximum": 1}
_DIAL: Schema = {"type": "number", "minimum": -1, "maximum": 1}

_PAGE: Described = {
    "n": ("hits of the page", {"type": "integer", "minimum": 1, "maximum": 1_000, "default": 10}),
    "offset": ("hits before the page; `offset + n` is 1,000 at most", {"type": "integer", "minimum": 0, "default": 0}),
    "filter": ("what hits must be, such as `price:10..50`; repeatable", _TEXTS),
    "exclude": ("item ids that are left out; repeatable", _TEXTS),
    "explain": ("whether hits come with `parts` and `because`", _FLAG),
}
_DIALS: Described = {
    "personalization": ("0 for the same as everybody gets, 1 for as personal as can be", _SHARE),
    "diversity": ("0 by score, 1 as varied as can be", _SHARE),
    "popularity": ("-1 niche, 0 by score, 1 mainstream", _DIAL),
    "calibration": ("0 by score, 1 categories as in the person's history", _SHARE),
}
RECOMMEND: Described = {
    **_PAGE,
    **_DIALS,
    "explore": ("how much is left to chance, so that near-equal items are tried", _SHARE),
    "repeat": ("what the user has bought and buys again, what is due most first", _FLAG),
    "session_id": ("the session of the user, whose events count as theirs", _TEXT),
}
BOUGHT_TOGETHER: Described = {
    **_PAGE,
    "also": ("another item of the cart; repeatable", _TEXTS),
    "relaxed": ("bought by one user within 30 days, in place of in one order", _FLAG),
    "user_id": ("a user, whose dislikes are left out", _TEXT),
}
EXTENSION: Described = {
    "user_id": ("for whom the answer is", _TEXT),
    "user_token": ("the shop's signature of `user_id`, where a public key asks", _TEXT),
    "session_id": ("for which visitor it is, alone or beside `user_id`", _TEXT),
    **_DIALS,
    "seen": ("what becomes of items that the person has seen", {"type": "string", "enum": ["keep", "demote", "exclude"]}),
    "exclude_ids": ("item ids that are left out", _TEXTS),
    "explain": ("whether hits come with `_es_recsys`: parts of the score, and reasons", _FLAG),
    "words": ("the words that the query stands for, for what learns of them", _TEXT),
    "image": ("a picture in base64 or as a data URL; hits are near it, and the query narrows them", _TEXT),
    "audio": ("a sound, in the same way", _TEXT),
}
_UBI: Described = {
    "query_id": ("the id of the query; one is made where it lacks", _TEXT),
    "user_query": ("the words that somebody typed", _TEXT),
    "client_id": ("the visitor", _TEXT),
}


def parameters(described: Described) -> dict[str, Any]:
    """Return what a route says of the parameters of its URL."""
    found = [{"name": name, "in": "query", "description": text, "schema": dict(kind)} for name, (text, kind) in described.items()]
    return {"parameters": found}


def _object(described: Described) -> dict[str, Any]:
    properties = {name: {**kind, "description": text} for name, (text, kind) in described.items()}
    return {"type": "object", "properties": properties}


def _body(schema: Schema, kind: str = "application/json") -> dict[str, Any]:
    return {"requestBody": {"content": {kind: {"schema": schema}}}}


_SEARCH_SCHEMA = {
    "type": "object",
    "description": "A search body of Elasticsearch.",
    "properties": {
        "ext": {"type": "object", "properties": {"es_recsys": _object(EXTENSION), "ubi": _object(_UBI)}},
    },
}
SEARCH = _body(_SEARCH_SCHEMA)
MSEARCH = _body(
    {"type": "string", "description": "Pairs of lines: a header, which may name the `index`, and the body of a `_search`."},
    "application/x-ndjson",
)
_EVENT: Described = {
    "event_type": ("such as `view`, `cart`, `purchase`; see Events", _TEXT),
    "user_id": ("who; this or `session_id`", _TEXT),
    "session_id": ("the visit", _TEXT),
    "item_id": ("of what; may lack where `query` is given", _TEXT),
    "query": ("words that were searched for", _TEXT),
    "timestamp": ("when, with a time zone; now where it lacks", {"type": "string", "format": "date-time"}),
    "value": ("quantity, rating or seconds, by the type", {"type": "number"}),
    "event_id": ("an id of the event: one that comes again is counted once", _TEXT),
    "position": ("the rank at which the item was shown, from 1", {"type": "integer", "minimum": 0}),
    "query_id": ("the search that showed the item", _TEXT),
    "recommendation_id": ("the answer that showed the item", _TEXT),
    "user_token": ("the shop's signature of `user_id`, where a public key sends", _TEXT),
}
EVENTS = _body(_object(_EVENT))
