"""A store that is ready to be written to: its first version is made, and what stopped runs left behind is gone."""

from __future__ import annotations

from collections.abc import Mapping

from es_recsys.index import catalog, versions
from es_recsys.index.unfinished_versions import index_writer_lock, owner_id, remove_unfinished, remove_unfinished_if_free
from es_recsys.index_metadata import VectorMetadata
from es_recsys.serving.workspace import Workspace

__all__ = ["prepare_store"]


def prepare_store(work: Workspace, vectors: Mapping[str, VectorMetadata], language: str, count: int | None) -> None:
    """Makes the store where it is not there. Of two runs that come at once, one makes it and the other waits."""
    store = work.settings.index
    if versions.live_version(work.es, store) is not None:
        remove_unfinished_if_free(work.patient, work.settings)
        return
    with index_writer_lock(work.settings):
        remove_unfinished(work.patient, work.settings)
        owner = owner_id(work.settings)
        catalog.prepare(work.patient, store, vectors, language=language, count=count, owner=owner)
