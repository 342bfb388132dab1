"""Why a row, or a field of it, can't be used, in plain words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from pydantic import ValidationError

__all__ = ["NOT_UTF8", "InvalidValue", "OnInvalidField", "OnRowError", "RowError", "field_errors", "first_error"]

NOT_UTF8 = "is not UTF-8"
"""Begins the reason of a line that is in another encoding."""


class RowError(NamedTuple):
    """One bad row before it is counted. raw: its text, bytes or values."""

    line: int
    field: str
    reason: str
    raw: Any


OnRowError = Callable[[RowError], None]

OnInvalidField = Callable[[str, str, Any], None]
"""Called as `drop(field, reason, value)` for a field that a line is used without; None for a value that may be personal."""


class InvalidValue(ValueError):
    """A value that its field can't take. Internal: it ends as a rejected row."""

    def __init__(self, field: str, reason: str) -> None:
        self.field = field
        self.reason = reason
        super().__init__(reason)


_REASONS = {
    "missing": "is missing",
    "float_parsing": "is not a number",
    "float_type": "is not a number",
    "int_parsing": "is not a whole number",
    "int_type": "is not a whole number",
    "int_parsing_size": "is too large a whole number",
    "int_from_float": "is not a whole number",
    "finite_number": "is not a finite number",
    "bool_parsing": "is not true or false",
    "bool_type": "is not true or false",
    "string_type": "is not text",
    "string_unicode": "is not valid Unicode text",
    "tuple_type": "is not a list",
    "datetime_type": "is not a time: ISO 8601 or epoch seconds",
}


def first_error(error: InvalidValue | ValidationError) -> tuple[str, str]:
    """Return field and reason of the first error. The value itself is not told: it may be personal."""
    if isinstance(error, InvalidValue):
        return error.field, error.reason
    return next(iter(field_errors(error).items()))


def field_errors(error: ValidationError) -> dict[str, str]:
    """Return each bad field with its reason; an attribute as `attributes.NAME`."""
    found: dict[str, str] = {}
    for each in error.errors(include_url=False, include_input=False):
        path = each["loc"][: 2 if each["loc"][:1] == ("attributes",) else 1]
        found.setdefault(".".join(map(str, path)), _reason(each["type"], each.get("ctx", {}), each["msg"]))
    return found


def _reason(kind: str, context: Mapping[str, Any], message: str) -> str:
    if kind == "value_error":
        return str(context["error"])
    if kind == "greater_than_equal":
        return f"is less than {context['ge']:g}"
    if kind == "less_than_equal":
        return f"is more than {context['le']}"
    if kind == "string_too_long":
        return f"is longer than {context['max_length']} characters"
    return _REASONS.get(kind, message)
