"""Which indices the items of a store were read from, kept with the version of items."""

from __future__ import annotations

from es_recsys.index_metadata import IndexMetadata

__all__ = ["adopted_indices", "with_adopted_index"]

_NOTE = "adopted"


def adopted_indices(metadata: IndexMetadata) -> dict[str, str]:
    """Return each index of the store's own cluster that items were read from, and the field of its documents' item id."""
    return dict(metadata.notes.get(_NOTE, {}))


def with_adopted_index(metadata: IndexMetadata, index: str, id_field: str) -> IndexMetadata:
    """Return the metadata with one more adopted index. id_field: `_id`, or a field."""
    return metadata.with_notes({_NOTE: {**adopted_indices(metadata), index: id_field}})
