"""Who makes a version of a store this moment, and what those left behind who were stopped while they made one."""

from __future__ import annotations

import hashlib
import platform
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from es_recsys.engine.locks import file_lock, try_file_lock
from es_recsys.settings import Settings

if TYPE_CHECKING:
    from elasticsearch import Elasticsearch

    from es_recsys.index.versions import Unfinished

__all__ = ["abandoned", "clear", "clear_if_free", "draft_folder", "drafts", "is_free", "maker", "making", "stale_folders"]

# Indices of a version are made within seconds of each other; none is filled for longer than a day.
_HALF_S, _WHOLE_S = 600.0, 86_400.0
_DRAFT = ".building"


def maker(settings: Settings) -> str:
    """Who makes versions with these settings on this machine: what `making` locks, as a mark that tells no names."""
    place = f"{platform.node()}\0{settings.store_home.resolve()}"
    return hashlib.blake2b(place.encode(), digest_size=8).hexdigest()


@contextmanager
def making(settings: Settings) -> Iterator[None]:
    """While the block lasts, nobody else with these settings makes a version; waits for who does."""
    with file_lock(_lock(settings)):
        yield


def abandoned(client: Elasticsearch, settings: Settings, now: float, *, free: bool) -> list[Unfinished]:
    """Unfinished versions that nobody makes any more. free: whether nobody holds `making`, or the caller does.

    Those of other machines can't be asked; they count as abandoned after ten minutes without one of their indices, or a day.
    """
    from es_recsys.index.versions import unfinished

    own = maker(settings)
    found = []
    for one in unfinished(client, settings.index):
        old = one.since is not None and now - one.since > (_HALF_S if one.half else _WHOLE_S)
        if old or (free and one.maker in ("", own)):
            found.append(one)
    return found


def draft_folder(models: Path) -> Path:
    """Where the models of a version lie until it goes into service."""
    return models.with_name(models.name + _DRAFT)


def drafts(settings: Settings) -> list[Path]:
    """Models that are being written, or were never finished."""
    return sorted((settings.store_home / "models").glob(f"*{_DRAFT}"))


def stale_folders(client: Elasticsearch, settings: Settings) -> list[Path]:
    """Folders of models whose version isn't there."""
    from es_recsys.index.versions import version_numbers

    root = settings.store_home / "models"
    if not root.is_dir():
        return []
    numbers = {f"{number:06d}" for number in version_numbers(client, settings.index)}
    return sorted(path for path in root.iterdir() if re.fullmatch(r"\d{6,}", path.name) and path.name not in numbers)


def clear(client: Elasticsearch, settings: Settings) -> list[int]:
    """Removes abandoned versions with their models, and models that were never finished; -> the versions' numbers.

    The caller holds `making`.
    """
    from es_recsys.index.versions import drop_unfinished

    found = [one.version for one in abandoned(client, settings, time.time(), free=True)]
    for version in found:
        # The models first: a version without any is removed by the next run, models without a version by nobody.
        shutil.rmtree(settings.store_home / "models" / f"{version:06d}", ignore_errors=True)
        drop_unfinished(client, settings.index, version)
    for folder in drafts(settings):
        shutil.rmtree(folder, ignore_errors=True)
    return found


def clear_if_free(client: Elasticsearch, settings: Settings) -> list[int]:
    """The same where nobody makes a version this moment; else nothing."""
    with try_file_lock(_lock(settings)) as free:
        return clear(client, settings) if free else []


def is_free(settings: Settings) -> bool:
    """Whether nobody with these settings makes a version this moment; leaves nothing behind."""
    if not _lock(settings).exists():
        return True
    with try_file_lock(_lock(settings)) as free:
        return free


def _lock(settings: Settings) -> Path:
    return settings.store_home / "making.lock"
