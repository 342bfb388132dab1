"""Index versions as a person manages them: list, swap, drop."""

from __future__ import annotations

import shutil
from typing import Any

from es_recsys.errors import IndexStateError, StoreNotFound
from es_recsys.index import versions
from es_recsys.runtime.views import models_folder
from es_recsys.runtime.workspace import Workspace

__all__ = ["drop_store", "drop_version", "list_versions", "swap_version"]


def list_versions(work: Workspace) -> list[dict[str, Any]]:
    """All versions of the store, oldest first."""
    with work.explaining():
        return [info.to_dict() for info in versions.versions(work.es, work.settings.index)]


def swap_version(work: Workspace, version: int | None) -> int:
    """Puts a version into service (None: the one before the live one) and brings its profiles up to the events that
    came since, and popularity to its weights of event types. Raises IndexStateError."""
    from es_recsys.jobs.behaviour import build_profiles, weigh_events

    with work.explaining():
        known = {info.meta.version: info.meta for info in versions.versions(work.es, work.settings.index)}
        if version is not None and version in known and known[version].models:
            folder = models_folder(work.settings, version)
            if not folder.exists():
                raise IndexStateError(f"The models of version {version} are not in {folder}.", "Copy them there, or train again.")
        before = versions.live_version(work.es, work.settings.index)
        if version is None:
            version = versions.rollback(work.es, work.settings.index)
        else:
            versions.swap(work.es, work.settings.index, version)
    work.views.forget()
    if work.events.last_row:
        own = known[version].behaviours
        if before in known and known[before].behaviours != own:
            weigh_events(work, own)
        else:
            build_profiles(work)
    return version


def drop_version(work: Workspace, version: int) -> None:
    """Deletes a version that is not live, and its models."""
    with work.explaining():
        versions.drop(work.patient, work.settings.index, version)
    shutil.rmtree(models_folder(work.settings, version), ignore_errors=True)


def drop_store(work: Workspace) -> None:
    """Deletes all versions, models, popularity and the answer log. The events stay: they are the truth, and another load
    of the items brings everything back."""
    try:
        with work.explaining():
            versions.drop_store(work.patient, work.settings.index)
    except StoreNotFound:
        if not work.settings.store_home.exists():
            raise
    shutil.rmtree(work.settings.store_home, ignore_errors=True)
    work.views.forget()
