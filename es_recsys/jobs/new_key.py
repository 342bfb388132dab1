"""Keeps the users of a store under another secret, where the one that they were kept under is lost."""

from __future__ import annotations

from dataclasses import replace

from es_recsys.events.store import EventStore
from es_recsys.index import stored_profiles
from es_recsys.index.bulk import bulk_write
from es_recsys.index.bulk_actions import Action
from es_recsys.index.fetch import scan_ids
from es_recsys.index.stored_metadata import read_version, write_metadata
from es_recsys.index.versions import version_numbers
from es_recsys.serving.workspace import Workspace

__all__ = ["forget_key"]


def forget_key(work: Workspace) -> None:
    """Has the store take the next secret that profiles are written under; all profiles of all versions go, since nobody can tell
    whose they are. So do the tombstones of erased users: a replay of their events isn't refused any more.

    Each step may be cut off and done again: profiles that go are said first to hold no events.
    """
    store = work.settings.index
    with work.translating_errors():
        for version in version_numbers(work.es, store):
            metadata = read_version(work.es, store, version)
            stored_profiles.clear_fold_checkpoint(work.patient, metadata.profiles)
            work.es.indices.refresh(index=metadata.profiles)
            gone = (Action(key, operation="delete") for keys in scan_ids(work.patient, metadata.profiles) for key in keys)
            bulk_write(work.patient, gone, index=metadata.profiles, refresh=True)
            write_metadata(work.patient, replace(metadata, key_check=""))
    EventStore.forget_key(work.settings.sqlalchemy_url(), store)
    work.snapshots.invalidate()
