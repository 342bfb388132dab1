"""Lists, swaps and drops versions of a store's index."""

from __future__ import annotations

from typing import Any

from es_recsys.errors import IndexStateError
from es_recsys.index import reindex, stored_metadata, versions
from es_recsys.index.stored_metadata import read_metadata
from es_recsys.index.swap import previous_version
from es_recsys.index.version_folders import models_folder, remove_folders
from es_recsys.index_metadata import IndexMetadata
from es_recsys.serving.workspace import Workspace

__all__ = ["drop_version", "list_versions", "swap_version"]


def list_versions(work: Workspace) -> list[dict[str, Any]]:
    """Return all versions of the store, oldest first."""
    with work.translating_errors():
        return [info.to_dict() for info in versions.list_versions(work.es, work.settings.index)]


def swap_version(work: Workspace, version: int | None) -> int:
    """Put a version into service, and return its number. version: None for the one before the live one.

    Its models and settings are served, with the catalogue as it is now: first its items are brought up to the live ones, its
    profiles to the events that came since, and popularity to its event weights. Raises IndexStateError for a version that is
    not whole, FingerprintMismatch for one with vectors of another encoder.
    """
    from es_recsys.serving.product_groups import record_variants
    from es_recsys.serving.profile_folding import fold_new_events
    from es_recsys.serving.refresh import set_event_weights
    from es_recsys.serving.stored_forward_index import update_forward_index

    store = work.settings.index
    with work.translating_errors():
        live = read_metadata(work.es, store)
        version = previous_version(work.es, store) if version is None else version
        target = stored_metadata.read_version(work.es, store, version)
        _check_whole(work, target)
        if version != live.version:
            copied = reindex.mirror_items(work.job_es, live, target)
            # It has the fields of its own encoders and of this release now.
            target = stored_metadata.read_version(work.es, store, version)
            reindex.swap_and_copy_rest(work.job_es, live, target, copied)
            record_variants(work)
            update_forward_index(work.job_es, work.settings, target)
    work.snapshots.invalidate()
    if work.events.last_row:
        if live.event_weights != target.event_weights:
            set_event_weights(work, target.event_weights)
        else:
            with work.translating_errors():
                fold_new_events(work, work.snapshots.latest())
    return version


def _check_whole(work: Workspace, target: IndexMetadata) -> None:
    if target.version in {one.version for one in versions.unfinished_versions(work.es, target.store)}:
        raise IndexStateError(
            f"Version {target.version} of {target.store} is not finished.",
            "Wait for who makes it; es-recsys doctor tells of one that was left.",
        )
    folder = models_folder(work.settings, target.version)
    if target.models and not folder.exists():
        raise IndexStateError(f"The models of version {target.version} are not in {folder}.", "Copy them there, or train again.")


def drop_version(work: Workspace, version: int) -> None:
    """Delete a version and its models. Raises IndexStateError for the live one."""
    with work.translating_errors():
        versions.drop(work.job_es, work.settings.index, version)
    remove_folders(work.settings, version)
