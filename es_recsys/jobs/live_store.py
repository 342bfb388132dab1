"""What is known of a store before it is written to."""

from __future__ import annotations

from es_recsys.errors import StoreNotFound
from es_recsys.index.stored_metadata import read_metadata
from es_recsys.index_metadata import IndexMetadata
from es_recsys.serving.workspace import Workspace

__all__ = ["confirm_key", "find_metadata"]


def find_metadata(work: Workspace) -> IndexMetadata | None:
    """Return the live version's metadata; None where there is no store."""
    try:
        with work.translating_errors():
            return read_metadata(work.es, work.settings.index)
    except StoreNotFound:
        return None


def confirm_key(work: Workspace, metadata: IndexMetadata | None) -> None:
    """Raise KeyMismatch where the store keeps its users under another secret."""
    if metadata is not None:
        with work.translating_errors():
            work.confirm_key(metadata)
