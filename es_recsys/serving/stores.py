"""Drop a store as a whole."""

from __future__ import annotations

import shutil

from es_recsys.errors import StoreNotFound
from es_recsys.index import versions
from es_recsys.serving.workspace import Workspace

__all__ = ["drop_store"]


def drop_store(work: Workspace) -> None:
    """Delete all versions, models, popularity and the answer log.

    The events stay: they are the truth, and another load of the items brings everything back.
    """
    try:
        with work.translating_errors():
            versions.drop_store(work.job_es, work.settings.index)
    except StoreNotFound:
        if not work.settings.store_home.exists():
            raise
    shutil.rmtree(work.settings.store_home, ignore_errors=True)
    work.snapshots.invalidate()
