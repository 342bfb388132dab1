"""Why a line can't be used, in plain words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from pydantic import ValidationError

__all__ = ["BadValue", "Fault", "Report", "explain"]


class Fault(NamedTuple):
    """One bad line before it is counted. raw: its text, bytes or values."""

    line: int
    field: str
    reason: str
    raw: Any


Report = Callable[[Fault], None]


class BadValue(ValueError):
    """A value that its field can't take. Internal: it ends as a reject."""

    def __init__(self, field: str, reason: str) -> None:
        self.field = field
        self.reason = reason
        super().__init__(reason)


_WORDS = {
    "missing": "is missing",
    "float_parsing": "is not a number",
    "float_type": "is not a number",
    "int_parsing": "is not a whole number",
    "int_type": "is not a whole number",
    "int_from_float": "is not a whole number",
    "finite_number": "is not a finite number",
    "bool_parsing": "is not true or false",
    "bool_type": "is not true or false",
    "string_type": "is not text",
    "string_unicode": "is not valid Unicode text",
    "tuple_type": "is not a list",
    "datetime_type": "is not a time: ISO 8601 or epoch seconds",
}


def explain(error: ValidationError) -> tuple[str, str]:
    """Field and reason of the first error. The value itself is not told: it may be personal."""
    first = error.errors(include_url=False, include_input=False)[0]
    field = str(first["loc"][0]) if first["loc"] else ""
    context = first.get("ctx", {})
    kind = first["type"]
    if kind == "value_error":
        return field, str(context["error"])
    if kind == "greater_than_equal":
        return field, f"is less than {context['ge']:g}"
    if kind == "string_too_long":
        return field, f"is longer than {context['max_length']} characters"
    return field, _WORDS.get(kind, first["msg"])
