"""The segments of users that were made with a version."""

from __future__ import annotations

from pathlib import Path

from es_recsys.models.segments import SEGMENTS, Segments
from es_recsys.serving.snapshot_cache import models_folder
from es_recsys.settings import Settings

__all__ = ["load_segments", "segments_folder"]


def segments_folder(settings: Settings, version: int) -> Path:
    """Return where the segments of a version lie."""
    return models_folder(settings, version) / SEGMENTS


def load_segments(settings: Settings, version: int) -> Segments | None:
    """Return the segments of a version, None where it has none. Raises ModelError."""
    folder = segments_folder(settings, version)
    return Segments.load(folder) if folder.exists() else None
