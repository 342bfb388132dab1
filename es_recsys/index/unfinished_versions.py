"""The lock under which a version of a store is written, and what runs left behind that were stopped while they wrote one."""

from __future__ import annotations

import hashlib
import platform
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from elasticsearch import Elasticsearch

from es_recsys.index.version_folders import models_root, orphaned_folders, remove_folders
from es_recsys.index.versions import UnfinishedVersion, drop_unfinished, unfinished_versions
from es_recsys.locks import file_lock, try_file_lock
from es_recsys.settings import Settings

__all__ = [
    "abandoned_versions",
    "draft_folder",
    "draft_folders",
    "index_writer_lock",
    "is_writer_lock_free",
    "orphaned_model_folders",
    "owner_id",
    "remove_unfinished",
    "remove_unfinished_if_free",
]

# Indices of a version are made within seconds of each other; none is filled for longer than a day.
_MAX_AGE_INCOMPLETE_S, _MAX_AGE_S = 600.0, 86_400.0
_DRAFT = ".building"


def owner_id(settings: Settings) -> str:
    """Return the id of whoever holds `index_writer_lock`: a hash of this machine and the store's folder, 16 hex digits."""
    owner = f"{platform.node()}\0{settings.store_home.resolve()}"
    return hashlib.blake2b(owner.encode(), digest_size=8).hexdigest()


@contextmanager
def index_writer_lock(settings: Settings) -> Iterator[None]:
    """Hold the lock under which versions of the store are written from its folder; wait for whoever holds it."""
    with file_lock(_lock_path(settings)):
        yield


def abandoned_versions(client: Elasticsearch, settings: Settings, now: float, *, free: bool) -> list[UnfinishedVersion]:
    """Return the unfinished versions that nobody writes any more.

    free: whether nobody holds `index_writer_lock`, or the caller does. now: epoch seconds.
    Writers on other machines can't be asked: their versions count as abandoned after ten minutes without one of their indices,
    or after a day.
    """
    own = owner_id(settings)
    abandoned = []
    for version in unfinished_versions(client, settings.index):
        limit_s = _MAX_AGE_INCOMPLETE_S if version.incomplete else _MAX_AGE_S
        too_old = version.started_at is not None and now - version.started_at > limit_s
        if too_old or (free and version.owner in ("", own)):
            abandoned.append(version)
    return abandoned


def draft_folder(models: Path) -> Path:
    """Return the folder that holds the models of a version until it goes into service."""
    return models.with_name(models.name + _DRAFT)


def draft_folders(settings: Settings) -> list[Path]:
    """Return the folders of models that are being written, or were never finished."""
    return sorted(models_root(settings).glob(f"*{_DRAFT}"))


def orphaned_model_folders(client: Elasticsearch, settings: Settings) -> list[Path]:
    """Return the folders of models whose version the store lacks."""
    return orphaned_folders(client, settings, models_root(settings))


def remove_unfinished(client: Elasticsearch, settings: Settings) -> list[int]:
    """Remove abandoned versions with their models, and models that were never finished. Return the versions' numbers.

    The caller holds `index_writer_lock`.
    """
    numbers = [version.version for version in abandoned_versions(client, settings, time.time(), free=True)]
    for version in numbers:
        # The folders first: a version without any is removed by the next run, folders without a version by nobody.
        remove_folders(settings, version)
        drop_unfinished(client, settings.index, version)
    for folder in draft_folders(settings):
        shutil.rmtree(folder, ignore_errors=True)
    return numbers


def remove_unfinished_if_free(client: Elasticsearch, settings: Settings) -> list[int]:
    """Do what `remove_unfinished` does, or nothing where somebody holds `index_writer_lock`."""
    with try_file_lock(_lock_path(settings)) as free:
        return remove_unfinished(client, settings) if free else []


def is_writer_lock_free(settings: Settings) -> bool:
    """Return whether nobody holds `index_writer_lock`. Leave nothing behind."""
    if not _lock_path(settings).exists():
        return True
    with try_file_lock(_lock_path(settings)) as free:
        return free


def _lock_path(settings: Settings) -> Path:
    return settings.store_home / "making.lock"
