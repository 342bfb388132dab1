"""Makes a store ready to be written to: with a first version, and without what interrupted runs left behind."""

from __future__ import annotations

from collections.abc import Mapping

from es_recsys.index import catalog, versions
from es_recsys.index.unfinished_versions import index_writer_lock, owner_id, remove_unfinished, remove_unfinished_if_free
from es_recsys.index_metadata import VectorMetadata
from es_recsys.serving.workspace import Workspace

__all__ = ["prepare_store"]


def prepare_store(work: Workspace, vectors: Mapping[str, VectorMetadata], language: str, count: int | None) -> None:
    """Create the store where there is none, and remove versions that interrupted runs left.

    vectors: fields of the first version; count: items expected, None where unknown. Of two runs that come at once, one creates
    the store and the other waits.
    """
    store = work.settings.index
    if versions.live_version(work.es, store) is not None:
        remove_unfinished_if_free(work.job_es, work.settings)
        return
    with index_writer_lock(work.settings):
        remove_unfinished(work.job_es, work.settings)
        owner = owner_id(work.settings)
        catalog.prepare(work.job_es, store, vectors, language=language, count=count, owner=owner)
