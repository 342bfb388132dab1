"""Texts and pictures in one space, learned from the catalogue."""

from es_recsys.models.aligned.config import AlignedConfig
from es_recsys.models.aligned.model import IMAGE, TEXT, Aligned

__all__ = ["IMAGE", "TEXT", "Aligned", "AlignedConfig"]
