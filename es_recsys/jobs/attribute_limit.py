"""Checks, before items are written, that a store gets no more attributes than a catalogue may have."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from es_recsys.errors import InputError
from es_recsys.index_metadata import IndexMetadata
from es_recsys.sources.attributes import MAX_ATTRIBUTES
from es_recsys.types import Item
from es_recsys.vector_fields import AS_KEYWORD, AS_LONG

__all__ = ["check_attribute_names", "checked_items", "stored_attributes"]

_PREFIX = "attributes."


def stored_attributes(metadata: IndexMetadata | None) -> dict[str, str]:
    """Return attribute -> type of its field in Elasticsearch."""
    paths = {} if metadata is None else metadata.fields
    names = ((path.removeprefix(_PREFIX), kind) for path, kind in paths.items() if path.startswith(_PREFIX))
    return {name: kind for name, kind in names if not name.endswith((f".{AS_KEYWORD}", f".{AS_LONG}"))}


def checked_items(items: Iterable[Item], stored: Collection[str]) -> Iterator[Item]:
    """Yield the items. Raises InputError before the one that has an attribute too many."""
    names: dict[str, None] = {}
    for item in items:
        if item.attributes:
            names.update(dict.fromkeys(item.attributes))
            check_attribute_names(names, stored)
        yield item


def check_attribute_names(names: Iterable[str], stored: Collection[str]) -> None:
    """Raise InputError where these attributes beside the stored ones are too many."""
    new = [name for name in names if name not in stored]
    if new and len(stored) + len(new) > MAX_ATTRIBUTES:
        room = max(MAX_ATTRIBUTES - len(stored), 0)
        raise InputError(
            f"The store has {len(stored):,} attributes and can have {MAX_ATTRIBUTES}; the one too many is {new[room]!r}.",
            "Leave columns out (--columns NAME=-), or put such values into one list (tags, or an attribute of lists).",
        )
