"""Models loaded without what their libraries say meanwhile."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["without_logging"]


@contextmanager
def without_logging() -> Iterator[None]:
    """Silence the libraries' warnings about themselves and their progress bars."""
    loggers = [logging.getLogger(name) for name in ("sentence_transformers", "transformers", "torch.onnx")]
    levels = [logger.level for logger in loggers]
    try:
        from transformers.utils import logging as bars

        shown = bars.is_progress_bar_enabled()
        bars.disable_progress_bar()  # type: ignore[no-untyped-call]
    except (ImportError, AttributeError):
        shown = False
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
        if shown:
            bars.enable_progress_bar()  # type: ignore[no-untyped-call]
