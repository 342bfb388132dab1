"""Ids are texts, whatever wrote them: 17, 17.0 and "17" are one, and no digit is lost."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

from es_recsys.values.nulls import is_null, stripped
from es_recsys.values.unicode import nfc

__all__ = ["IdFormat", "IdFormatInference", "parse_id"]

_WHOLE = re.compile(r"([0-9]+)\.0*", re.ASCII)
_SCIENTIFIC = re.compile(r"([0-9])(?:\.([0-9]+))?[eE]\+?([0-9]{1,2})", re.ASCII)
_DIGITS = re.compile(r"0|[1-9][0-9]*", re.ASCII)


def parse_id(value: Any) -> str | None:
    """Return the id as text, None where it means nothing.

    Without blanks around it, its letters in Unicode's composed form (NFC), a whole number without a decimal point. Raises
    ValueError for what can't be an id.
    """
    if isinstance(value, str):
        text = value.strip()
        if not text.isascii():
            text = stripped(nfc(text))
        return None if is_null(text) else text
    if type(value) is int:
        return _int_text(value)
    if is_null(value):
        return None
    if hasattr(value, "dtype") and hasattr(value, "item"):  # a number of numpy
        value = value.item()
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal | UUID):
        raise ValueError("is not an id: a text or a number")
    if isinstance(value, float | Decimal):
        if value in (float("inf"), float("-inf")):
            raise ValueError("is not an id: a text or a number")
        return _int_text(int(value)) if value == int(value) else str(value)
    return str(value)


def _int_text(value: int) -> str:
    if value.bit_length() > 4_096:
        raise ValueError("an id has 1 to 512 bytes of UTF-8")
    return str(value)


@dataclass(frozen=True, slots=True)
class IdFormat:
    """How the ids of one column are written. numbers: whether all of them are numbers, so that the text 17.0 is 17."""

    numbers: bool = False

    def parse(self, value: Any) -> str | None:
        """Return the id as `parse_id` does, in the format of this column."""
        text = parse_id(value)
        if self.numbers and text is not None and isinstance(value, str):
            return _whole_number(text) or text
        return text


class IdFormatInference:
    """Infers how the ids of one column are written, over all files. One text that is no number makes all of them texts."""

    __slots__ = ("_numbers", "_rewritten", "_shortened")

    def __init__(self) -> None:
        self._numbers = True
        self._rewritten: tuple[str, str] | None = None  # the first id that is written otherwise than its digits
        self._shortened: str | None = None

    def add(self, value: Any) -> None:
        if not self._numbers or not isinstance(value, str):
            return
        # Most ids have digits alone, and a 0 before them makes a code.
        if value.isdigit() and value.isascii() and (value[0] != "0" or value == "0"):
            return
        text = parse_id(value)
        if text is None:
            return
        whole = _whole_number(text)
        if whole is None:
            self._numbers = False
        elif whole != text:
            self._rewritten = self._rewritten or (text, whole)
            if _lost_digits(text):
                self._shortened = self._shortened or text

    def add_all(self, values: Iterable[Any]) -> None:
        """Look at many ids, each once, as a repeated one tells nothing new."""
        if self._numbers:
            for value in dict.fromkeys(values):
                self.add(value)

    def infer(self) -> IdFormat:
        """Return the format that all values fit."""
        return IdFormat(self._numbers and self._rewritten is not None)

    def notes(self, name: str) -> Iterator[str]:
        """Yield what a person should know of the column `name`."""
        if not self._numbers or self._rewritten is None:
            return
        if self._shortened is not None:
            yield (
                f"{name}: {self._shortened} has lost digits, as a spreadsheet shows long numbers; export the column as text,"
                " or different ids are one."
            )
        else:
            yield f"{name}: all ids are whole numbers; {self._rewritten[0]} is read as {self._rewritten[1]}."


def _whole_number(text: str) -> str | None:
    """Return a number written in any way, as its digits alone; None for a text that is no whole number, or a code (007)."""
    if not text[:1].isdigit():  # most ids that are no number
        return None
    if _DIGITS.fullmatch(text):
        return text
    digits = None
    if match := _WHOLE.fullmatch(text):
        digits = match[1]
    elif match := _SCIENTIFIC.fullmatch(text):
        tail, power = match[2] or "", int(match[3])
        if not tail[power:].strip("0"):
            digits = match[1] + tail[:power].ljust(power, "0")
    return digits if digits is not None and _DIGITS.fullmatch(digits) else None


def _lost_digits(text: str) -> bool:
    match = _SCIENTIFIC.fullmatch(text)
    return match is not None and len(match[2] or "") < min(int(match[3]), 14) and int(match[3]) > 9
