"""Results as one self-contained HTML page."""

from __future__ import annotations

from es_recsys.evaluation.report.page import page

__all__ = ["page"]
