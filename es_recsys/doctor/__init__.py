"""Checks of everything that must be right before a search can be answered."""

from __future__ import annotations

from es_recsys.doctor.check import Check
from es_recsys.doctor.diagnose import diagnose

__all__ = ["Check", "diagnose"]
