"""Puts a store's users under another secret, where the one that their pseudonyms were made with is lost."""

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

__all__ = ["reset_user_key"]


def reset_user_key(work: Workspace) -> None:
    """Delete all profiles of all versions, and let the store adopt the next secret that is used with it.

    Nobody can tell any more whose the profiles are; they are rebuilt from events under the new secret. What is known of erased
    users is lost as well: a replay of their events isn't refused any more. Each step can be interrupted and done again: the
    checkpoint of the profiles is cleared before they are deleted.
    """
    store = work.settings.index
    with work.translating_errors():
        for version in version_numbers(work.es, store):
            metadata = read_version(work.es, store, version)
            stored_profiles.clear_fold_checkpoint(work.job_es, metadata.profiles)
            work.es.indices.refresh(index=metadata.profiles)
            deletions = (Action(key, operation="delete") for keys in scan_ids(work.job_es, metadata.profiles) for key in keys)
            bulk_write(work.job_es, deletions, index=metadata.profiles, refresh=True)
            write_metadata(work.job_es, replace(metadata, key_check=""))
    EventStore.reset_user_key(work.settings.sqlalchemy_url(), store)
    work.snapshots.invalidate()
