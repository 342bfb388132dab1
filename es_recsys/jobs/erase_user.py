"""Erases a user: from events, from the profiles and similar users of every version, and from the answer log."""

from __future__ import annotations

from dataclasses import replace

from es_recsys.index import user_index
from es_recsys.index.stored_metadata import read_metadata
from es_recsys.index.versions import version_numbers
from es_recsys.index_metadata import profiles_index, users_index
from es_recsys.serving.operations import Delete
from es_recsys.serving.recording import Erasure, ErasureReport
from es_recsys.serving.workspace import Workspace

__all__ = ["erase_user"]


def erase_user(work: Workspace, user_id: str) -> ErasureReport:
    """Delete all that is stored of a user and of the sessions in which the user was seen.

    Versions that are kept for a rollback have profiles too, so profiles and similar users are deleted in every version. Raises
    KeyMismatch before anything is deleted.
    """
    with work.translating_errors():
        work.confirm_key(read_metadata(work.es, work.settings.index))
    done = work.run(Erasure(work.events, user_id, work.now()))
    profiles = done.profiles
    with work.translating_errors():
        for version in version_numbers(work.es, work.settings.index):
            index = profiles_index(work.settings.index, version)
            profiles += sum(work.driver.perform(Delete(index, key)) for key in done.user_keys)
            user_index.remove(work.es, users_index(work.settings.index, version), done.user_keys)
    return replace(done, profiles=profiles, answers=sum(map(work.log.erase, done.user_keys)))
