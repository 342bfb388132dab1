"""One form of Unicode for each text: "é" may be written as one character or as e and an accent, as a Mac's file names are."""

from __future__ import annotations

import unicodedata
from typing import Any

__all__ = ["composed", "composed_value"]


def composed(text: str) -> str:
    """The text in Unicode's composed form (NFC)."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def composed_value(value: Any) -> Any:
    """The same of a text or of the texts of a tuple; another value as it is."""
    if isinstance(value, str):
        return composed(value)
    return tuple(map(composed_value, value)) if isinstance(value, tuple) else value
