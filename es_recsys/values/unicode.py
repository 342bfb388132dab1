"""One form of Unicode for each text: "é" may be written as one character or as e and an accent, as a Mac's file names are."""

from __future__ import annotations

import unicodedata
from typing import Any

__all__ = ["nfc", "nfc_value"]


def nfc(text: str) -> str:
    """Return the text in Unicode's composed form (NFC)."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def nfc_value(value: Any) -> Any:
    """Return the same of a text or of the texts of a tuple; another value as it is."""
    if isinstance(value, str):
        return nfc(value)
    return tuple(map(nfc_value, value)) if isinstance(value, tuple) else value
