"""Stored forward indexes: written by jobs that write items, in step with the version that they are of, and opened to serve it."""

from __future__ import annotations

import logging
import shutil

from elasticsearch import Elasticsearch

from es_recsys.errors import ModelError
from es_recsys.forward_index import ForwardIndex
from es_recsys.index.forward_index import (
    build_forward_index,
    follow_index,
    vector_fingerprints,
)
from es_recsys.index.sequence_numbers import index_state
from es_recsys.index.version_folders import forward_index_folder, forward_index_root, orphaned_folders
from es_recsys.index_metadata import IndexMetadata, IndexState
from es_recsys.locks import try_file_lock
from es_recsys.settings import Settings

__all__ = ["MAX_CHANGED", "load_forward_index", "store_forward_index", "update_forward_index"]

MAX_CHANGED = 50_000
"""Items that an overlay may hold: 38 MB with vectors of 384 dimensions."""

# After so many writes, or this share of the items, the file is written anew: readers follow few by themselves.
_FEW_WRITES, _SHARE = 1_000, 0.05
# A job that looked at this share of the items, or a catalogue of so few, is one beside which reading all takes little.
_JOB_SHARE, _FEW_ITEMS = 0.25, 1_000

_log = logging.getLogger(__name__)


def load_forward_index(settings: Settings, metadata: IndexMetadata, state: IndexState) -> tuple[ForwardIndex, int] | None:
    """Open the forward index of a version, and return it with the number of writes that came since.

    state: that of the version's index. None where there is none, or only one of an index that has gone or had other vectors.
    """
    folder = forward_index_folder(settings, metadata.version)
    if not folder.exists():
        return None
    try:
        forward = ForwardIndex.load(folder)
    except ModelError as error:
        _log.warning("The forward index of %s can't be used. %s", metadata.index, error)
        return None
    writes = state.writes_since(forward.state)
    if writes is None or forward.fingerprints != vector_fingerprints(metadata):
        return None
    return forward, writes


def store_forward_index(client: Elasticsearch, settings: Settings, metadata: IndexMetadata) -> None:
    """Read all items of a version and store its forward index. Where it can't be written a warning is logged."""
    try:
        build_forward_index(client, metadata, forward_index_folder(settings, metadata.version))
    except (ModelError, OSError) as error:
        _warn(metadata, error)


def update_forward_index(client: Elasticsearch, settings: Settings, metadata: IndexMetadata, items: int | None = None) -> None:
    """Bring the stored forward index of a version into step after items were written; build it where there is none.

    items: that the job looked at, which says what it may cost: few items leave the file as it is, and whoever serves follows what
    was written; None for a job that looked at all. Where another process does the same this moment, nothing is done.
    """
    with try_file_lock(settings.store_home / "forward.lock") as free:
        if free:
            try:
                _update(client, settings, metadata, items)
            except (ModelError, OSError) as error:
                _warn(metadata, error)


def _update(client: Elasticsearch, settings: Settings, metadata: IndexMetadata, items: int | None) -> None:
    folder = forward_index_folder(settings, metadata.version)
    state = index_state(client, metadata.index)
    found = load_forward_index(settings, metadata, state)
    if found is not None:
        forward, writes = found
        if writes <= max(_FEW_WRITES, _SHARE * len(forward)):
            return
        if writes <= MAX_CHANGED:
            follow_index(client, metadata, forward, state, MAX_CHANGED).save(folder)
            return
    if items is None or int(client.count(index=metadata.index)["count"]) <= max(_FEW_ITEMS, items / _JOB_SHARE):
        build_forward_index(client, metadata, folder)
        for orphan in orphaned_folders(client, settings, forward_index_root(settings)):
            shutil.rmtree(orphan, ignore_errors=True)


def _warn(metadata: IndexMetadata, error: Exception) -> None:
    _log.warning("The forward index of %s can't be stored, so answers take longer. %s", metadata.index, error)
