"""Rebuilds a store's index with this release's mapping from what is stored, without encoding or training."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from es_recsys.errors import IndexStateError
from es_recsys.index import reindex, user_index, versions
from es_recsys.index.fetch import scan
from es_recsys.index.stored_metadata import read_metadata
from es_recsys.index.stored_profiles import read_fold_checkpoint, write_fold_checkpoint
from es_recsys.index.unfinished_versions import draft_folder, index_writer_lock, owner_id, remove_unfinished
from es_recsys.index.version_folders import models_folder, remove_folders
from es_recsys.index_metadata import IndexMetadata
from es_recsys.progress import ProgressCounter, ProgressReporter
from es_recsys.serving.product_groups import record_variants
from es_recsys.serving.profile_folding import fold_new_events
from es_recsys.serving.stored_forward_index import store_forward_index
from es_recsys.serving.workspace import Workspace
from es_recsys.training.training_record import training_lock

__all__ = ["rebuild_index"]


def rebuild_index(work: Workspace, progress: ProgressReporter | None = None) -> int:
    """Copy the live version into a new one, put that into service, and return its number.

    Items, vectors, profiles, models and settings are copied.
    The version before it stays for a rollback. Items and events may come meanwhile. Raises StoreNotFound, IndexStateError
    while a training is running or where items are refused.
    """
    with work.translating_errors(), training_lock(work.settings) as free:
        if not free:
            raise IndexStateError(
                f"A training of {work.settings.index} is running.", "It makes the index anew itself: wait until it has ended."
            )
        with index_writer_lock(work.settings):
            remove_unfinished(work.job_es, work.settings)
            old = read_metadata(work.es, work.settings.index)
            notes = {key: value for key, value in old.notes.items() if key != "replaces"}
            new = replace(old, version=versions.next_version(work.es, old.store), notes=notes, fields={})
            _fill_and_swap(work, old, new, progress)
        record_variants(work)
        work.snapshots.invalidate()
        # Events that came after the profiles were copied went into those of the old version.
        fold_new_events(work, work.snapshots.latest())
    return new.version


def _fill_and_swap(work: Workspace, old: IndexMetadata, new: IndexMetadata, progress: ProgressReporter | None) -> None:
    folder, count = models_folder(work.settings, new.version), int(work.es.count(index=old.index)["count"])
    draft = draft_folder(folder)
    try:
        versions.create(work.job_es, new, count=count, options=old.notes.get("index_options"), owner=owner_id(work.settings))
        before = models_folder(work.settings, old.version)
        if before.exists():
            shutil.copytree(before, draft)
        copied = reindex.copy_items(work.job_es, old, new, progress=ProgressCounter(progress, count))
        if copied.report.failed:
            raise IndexStateError(
                f"{copied.report.failed:,} items could not be copied ({copied.report.failures[0].reason}).",
                "The live version is as it was; mend the cause and do it again.",
            )
        checkpoint = read_fold_checkpoint(work.es, old.profiles)
        reindex.copy_profiles(work.job_es, old, new)
        if checkpoint is not None:
            write_fold_checkpoint(work.es, new.profiles, checkpoint)
        _copy_users(work, old, new)
        store_forward_index(work.job_es, work.settings, new)
        if draft.exists():
            shutil.rmtree(folder, ignore_errors=True)
            draft.rename(folder)
        reindex.catch_up_and_swap(work.job_es, old, new, copied)
    except BaseException:
        if versions.live_version(work.es, old.store) != new.version:
            versions.drop_unfinished(work.job_es, old.store, new.version)
            remove_folders(work.settings, new.version)
        shutil.rmtree(draft, ignore_errors=True)
        raise


def _copy_users(work: Workspace, old: IndexMetadata, new: IndexMetadata) -> None:
    """Copy the vectors that similar users are found by, where a model has them."""
    if not work.es.indices.exists(index=old.users):
        return
    mapping = work.es.indices.get_mapping(index=old.users)[old.users]["mappings"]["properties"]
    user_index.create(work.job_es, new, mapping[user_index.VECTOR]["dims"], int(work.es.count(index=old.users)["count"]))
    pages = scan(work.job_es, old.users, vectors=True)
    user_index.fill(work.job_es, new, _stored_users(pages))


def _stored_users(pages: Iterator[list[dict[str, Any]]]) -> Iterator[user_index.User]:
    for page in pages:
        for hit in page:
            yield hit["_id"], hit["_source"].pop(user_index.VECTOR), hit["_source"]
