"""Folders of a version's files in the home folder: its models and its forward index."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from elasticsearch import Elasticsearch

from es_recsys.index.versions import version_numbers
from es_recsys.settings import Settings

__all__ = ["forward_index_folder", "forward_index_root", "models_folder", "models_root", "orphaned_folders", "remove_folders"]


def models_root(settings: Settings) -> Path:
    """Return the folder of the models of all versions."""
    return settings.store_home / "models"


def models_folder(settings: Settings, version: int) -> Path:
    """Return the folder of a version's models."""
    return models_root(settings) / f"{version:06d}"


def forward_index_root(settings: Settings) -> Path:
    """Return the folder of the forward indexes of all versions."""
    return settings.store_home / "forward"


def forward_index_folder(settings: Settings, version: int) -> Path:
    """Return the folder of a version's forward index."""
    return forward_index_root(settings) / f"{version:06d}"


def remove_folders(settings: Settings, version: int) -> None:
    """Remove a version's models and forward index."""
    for folder in (models_folder(settings, version), forward_index_folder(settings, version)):
        shutil.rmtree(folder, ignore_errors=True)


def orphaned_folders(client: Elasticsearch, settings: Settings, root: Path) -> list[Path]:
    """Return the folders of versions in `root` that the store lacks: another machine may have dropped them."""
    if not root.is_dir():
        return []
    numbers = {f"{number:06d}" for number in version_numbers(client, settings.index)}
    return sorted(path for path in root.iterdir() if re.fullmatch(r"\d{6,}", path.name) and path.name not in numbers)
