"""Every column that is not a field of Item becomes an attribute: its name, its values out of nested objects."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from es_recsys.sources.row_errors import InvalidValue

__all__ = ["MAX_ATTRIBUTES", "attribute_name", "flatten"]

MAX_ATTRIBUTES = 200
"""Names of attributes in one catalogue: each becomes a field in Elasticsearch, which has a limit."""

_MAX_NAME_LENGTH = 128
_MAX_DEPTH = 10
_UNUSABLE = re.compile(r"[^\w-]+")


def attribute_name(name: str) -> str:
    """Return the name as a field of Elasticsearch: what isn't a letter, a digit, `_` or `-` becomes `_`; dots nest.

    "Screen size (in)" becomes "Screen_size_in". Raises InvalidValue for a name with an empty part, or one that is too long.
    """
    parts = name.removeprefix("attributes.").split(".")
    clean = [_UNUSABLE.sub("_", part).strip("_-") for part in parts]
    if not all(clean):
        raise InvalidValue(
            name[:_MAX_NAME_LENGTH], "is no name for an attribute: it, or a part of it between dots, has no letter or digit"
        )
    joined = ".".join(clean)
    if len(joined) > _MAX_NAME_LENGTH or len(clean) > _MAX_DEPTH:
        raise InvalidValue(
            joined[:_MAX_NAME_LENGTH], f"is no name for an attribute: over {_MAX_NAME_LENGTH} characters or {_MAX_DEPTH} levels"
        )
    return joined


def flatten(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Yield the values in an object under dotted names; a list of objects gives a list under each name."""
    found: dict[str, Any] = {}
    _collect(name, value, False, 1, found)
    yield from found.items()


def _collect(name: str, value: Any, many: bool, depth: int, found: dict[str, Any]) -> None:
    if depth > _MAX_DEPTH:
        raise InvalidValue(name[:_MAX_NAME_LENGTH], f"is nested deeper than {_MAX_DEPTH} levels")
    if isinstance(value, Mapping):
        for key, inner in value.items():
            _collect(f"{name}.{key}", inner, many, depth + 1, found)
    elif isinstance(value, list | tuple):
        for inner in value:
            _collect(name, inner, True, depth + 1, found)
    elif many:
        found.setdefault(name, []).append(value)
    else:
        found[name] = value
