"""A store that is ready to be written to: its first version is made, and what stopped runs left behind is gone."""

from __future__ import annotations

from collections.abc import Mapping

from es_recsys.engine.making import clear, clear_if_free, maker, making
from es_recsys.index import catalog, versions
from es_recsys.index_metadata import VectorMetadata
from es_recsys.serving.workspace import Workspace

__all__ = ["prepare_store"]


def prepare_store(work: Workspace, vectors: Mapping[str, VectorMetadata], language: str, count: int | None) -> None:
    """Makes the store where it is not there. Of two runs that come at once, one makes it and the other waits."""
    store = work.settings.index
    if versions.live_version(work.es, store) is not None:
        clear_if_free(work.patient, work.settings)
        return
    with making(work.settings):
        clear(work.patient, work.settings)
        mark = maker(work.settings)
        catalog.prepare(work.patient, store, vectors, language=language, count=count, maker=mark)
