"""What type an attribute has: one for a whole catalogue, because Elasticsearch keeps one type a field.

Kinds are "boolean", "integer", "number", "date" and "text". A kind is decided from all the values of a name: it is
what at least 99 in 100 of them are, otherwise text, which takes everything. The few values that don't fit are left out. In
CSV, where all is text, numbers and dates are recognised by their form; digits that begin with 0 are a code, and
make the whole column text.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from es_recsys.types import AttributeValue
from es_recsys.values import TimeFormat, TimeFormatInference, is_null, parse_time

__all__ = ["ATTRIBUTE_TYPES", "TypeInference", "TypeMismatch", "convert"]

ATTRIBUTE_TYPES = ("boolean", "integer", "number", "date", "text")

_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,17})")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,3})?")
_CODE = re.compile(r"[+-]?(?:0[0-9]+|[0-9]{19,})")
_DATE = re.compile(r"(?:[0-9]{4}([-/.])[0-9]{1,2}\1[0-9]{1,2}|[0-9]{1,2}([-/.])[0-9]{1,2}\2[0-9]{4})(?:[T ,].+)?", re.ASCII)
_TOLERANCE = 0.01
_CACHED_LENGTH, _CACHE_SIZE = 40, 250
_EXACT_FLOAT = 2**53
_UTC = TimeFormat()
_DAY_FIRST = TimeFormat(day_first=True)


class TypeMismatch(ValueError):
    """A value that is not of its attribute's kind; the text says in what way."""


class TypeInference:
    """Counts what the values of one attribute look like."""

    __slots__ = ("_seen", "counts", "dates")

    def __init__(self, day_first: bool | None = None) -> None:
        self.counts: dict[str, int] = {}
        self.dates = TimeFormatInference(day_first)
        self._seen: tuple[dict[str, str | None], dict[str, str | None]] = ({}, {})  # untyped, typed

    def add(self, value: Any, typed: bool) -> None:
        kind = self._kind(value, typed) if type(value) is str and len(value) <= _CACHED_LENGTH else _type_of(value, typed)
        if kind is not None:
            self.counts[kind] = self.counts.get(kind, 0) + 1
            if kind == "date":
                self.dates.add(value)

    def _kind(self, text: str, typed: bool) -> str | None:
        # Many attributes have few values: each is looked at once.
        seen = self._seen[typed]
        if text in seen:
            return seen[text]
        kind = _type_of_text(text, typed)
        if len(seen) < _CACHE_SIZE:
            seen[text] = kind
        return kind

    @property
    def total(self) -> int:
        return sum(self.counts.values())

    def infer(self) -> str:
        counts, total = self.counts, self.total
        if not total or "code" in counts:
            return "text"
        numbers = counts.get("integer", 0) + counts.get("number", 0)
        fits = {"boolean": counts.get("boolean", 0), "date": counts.get("date", 0), "number": numbers}
        best = max(fits, key=lambda kind: fits[kind])
        if total - fits[best] > _TOLERANCE * total:
            return "text"
        return "integer" if best == "number" and "number" not in counts else best


def convert(value: Any, kind: str, typed: bool, dates: TimeFormat = _UTC) -> AttributeValue | None:
    """Return the value as its attribute's type has it, None where it means nothing.

    dates: how dates are written. Raises TypeMismatch.
    """
    like = type(value)
    if like is str and kind == "text":
        return value or None
    if like is int and kind == "integer" and -(2**63) <= value < 2**63:
        return value  # type: ignore[no-any-return]
    if like is list or like is tuple:
        return _convert_list(value, kind, typed)
    if value is None or value == "" or (isinstance(value, float) and math.isnan(value)):
        return None
    if kind == "text":
        return _to_text(value)
    if isinstance(value, str):
        value = value.strip()
        if is_null(value):
            return None
    return _to_date(value, dates) if kind == "date" else _CONVERTERS[kind](value)


def _type_of(value: Any, typed: bool) -> str | None:
    """Return the kind of one value; None where it says nothing.

    "code": digits that must not be read as a number.
    """
    if isinstance(value, str):
        return _type_of_text(value, typed)
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "integer" if -(2**63) <= value < 2**63 else "code"
    if isinstance(value, float | Decimal):
        return None if math.isnan(value) else "number"
    if isinstance(value, date):  # a datetime is a date too
        return "date"
    if isinstance(value, list | tuple):
        if typed and set(map(type, value)) == {str}:
            return "text"
        kinds = {kind for each in value if each != "" and (kind := _type_of(each, typed)) is not None}
        if not kinds:
            return None
        return "number" if kinds <= {"integer", "number"} else "code" if "code" in kinds else "text"
    return None if value is None else "text"


def _type_of_text(value: str, typed: bool) -> str | None:
    text = value.strip()
    if not text:
        return None
    start = text[0]
    if start.isdigit() or start in "+-":
        if start != "0" and len(text) <= 18 and text.isdigit() and text.isascii():  # nearly all numbers
            return "text" if typed else "integer"
        if _DATE.fullmatch(text):
            return _date_or_text(text)
        if not typed:
            if _CODE.fullmatch(text):
                return "code"
            if _INTEGER.fullmatch(text):
                return "integer"
            if _NUMBER.fullmatch(text):
                return "number"
    if is_null(text):
        return None
    return "boolean" if not typed and text.lower() in {"true", "false"} else "text"


def _date_or_text(text: str) -> str | None:
    try:
        return None if parse_time(text, _DAY_FIRST) is None else "date"
    except ValueError:
        return "text"


def _convert_list(values: list[Any] | tuple[Any, ...], kind: str, typed: bool) -> AttributeValue | None:
    if kind == "text" and set(map(type, values)) == {str}:
        return tuple(filter(None, values)) or None
    if kind in {"boolean", "date"}:
        if all(_type_of(each, typed) is None for each in values):
            return None
        raise TypeMismatch(f"is a list, in other lines {_TYPE_WORDS[kind]}")
    each_kind = "number" if kind == "integer" else kind
    read = [(each, one) for each in values if (one := convert(each, each_kind, typed)) is not None]
    if not read:
        return None
    if kind == "text":
        return tuple(str(found) for _, found in read)
    return tuple(_exact_number(each, found) for each, found in read if isinstance(found, int | float))


def _exact_number(value: Any, number: float) -> int | float:
    """Return the number; to the last digit where it is a whole one that a float would round."""
    if abs(number) <= _EXACT_FLOAT or isinstance(value, float | Decimal):
        return float(number)
    text = str(value).strip()
    return int(text) if _INTEGER.fullmatch(text) else float(number)


def _to_text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, date):
        return value.isoformat()
    return str(value)


def _to_boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in {"true", "false"}:
        return value.lower() == "true"
    raise TypeMismatch("is not true or false, as in other lines")


def _to_number(value: Any) -> float:
    if isinstance(value, str) and not _NUMBER.fullmatch(value):
        raise TypeMismatch("is not a number, as in other lines")
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal | str):
        raise TypeMismatch("is not a number, as in other lines")
    number = float(value)
    if not math.isfinite(number):
        raise TypeMismatch("is not a finite number")
    return number


def _to_integer(value: Any) -> int:
    number = int(value) if isinstance(value, str) and _INTEGER.fullmatch(value) else value
    if not isinstance(number, int) or isinstance(number, bool):
        whole = _to_number(value)
        if not whole.is_integer():
            raise TypeMismatch("is not a whole number, as in other lines")
        number = int(whole)
    if not -(2**63) <= number < 2**63:
        raise TypeMismatch("is too large a whole number")
    return number


def _to_date(value: Any, form: TimeFormat) -> datetime | None:
    if not isinstance(value, date) and not (isinstance(value, str) and _DATE.fullmatch(value)):
        raise TypeMismatch("is not a date (ISO 8601), as in other lines")
    try:
        return parse_time(value, form)
    except ValueError as error:
        raise TypeMismatch(str(error)) from None


_CONVERTERS: Mapping[str, Callable[[Any], AttributeValue]] = {
    "boolean": _to_boolean,
    "integer": _to_integer,
    "number": _to_number,
}
_TYPE_WORDS: Mapping[str, str] = {"boolean": "true or false", "date": "a date"}
