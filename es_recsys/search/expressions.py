"""The syntax of one filter expression, without knowing the fields."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from es_recsys.errors import FilterError

__all__ = ["Expression", "parse_expression"]

_NAME = re.compile(r"(-?)([^\s:\"]+?)\s*:\s*", re.UNICODE)
_OPERATORS = (("gte", ">="), ("lte", "<="), ("gt", ">"), ("lt", "<"))
_HELP = 'Write field:value, field:a,b, field:10..50, field:>10 or -field:value; quote "a, b" where a value has a comma.'


@dataclass(frozen=True, slots=True)
class Expression:
    """One condition: `values` (any of them) or `bounds` (gte, gt, lte, lt -> end). `shown` is for messages."""

    shown: str
    field: str
    negated: bool
    values: tuple[Any, ...]
    bounds: Mapping[str, Any]


def parse_expression(text: str) -> Expression:
    """Parse `field:value` and its other forms. Raises FilterError that shows the expression."""
    start = _NAME.match(text.strip())
    if start is None:
        raise FilterError(f"The filter {text!r} can't be read.", _HELP)
    negated, field, rest = bool(start[1]), start[2], text.strip()[start.end() :].strip()
    shown = repr(text)
    for op, sign in _OPERATORS:
        if rest.startswith(sign):
            return Expression(shown, field, negated, (), {op: _end(rest[len(sign) :], shown)})
    if '"' not in rest and rest.count("..") == 1:
        low, high = (end.strip() for end in rest.split(".."))
        bounds = {op: end for op, end in (("gte", low), ("lte", high)) if end}
        if not bounds:
            raise FilterError(f"The filter {shown} has no end.", _HELP)
        return Expression(shown, field, negated, (), bounds)
    return Expression(shown, field, negated, _values(rest, shown), {})


def _end(rest: str, shown: str) -> str:
    [*values] = _values(rest.strip(), shown)
    if len(values) != 1:
        raise FilterError(f"The filter {shown} compares with {len(values)} values.", _HELP)
    return values[0]


def _values(rest: str, shown: str) -> tuple[str, ...]:
    """Split at commas outside quotes; a doubled or backslashed quote inside quotes is a quote."""
    values: list[str] = []
    at = 0
    while True:
        value, at = _quoted(rest, at, shown) if rest.startswith('"', at) else _bare(rest, at)
        if not value:
            raise FilterError(f"The filter {shown} has an empty value.", _HELP)
        values.append(value)
        while at < len(rest) and rest[at].isspace():
            at += 1
        if at >= len(rest):
            return tuple(values)
        if rest[at] != ",":
            raise FilterError(f"The filter {shown} goes on after a closing quote.", _HELP)
        at += 1
        while at < len(rest) and rest[at].isspace():
            at += 1


def _bare(rest: str, at: int) -> tuple[str, int]:
    end = rest.find(",", at)
    end = len(rest) if end < 0 else end
    return rest[at:end].strip(), end


def _quoted(rest: str, at: int, shown: str) -> tuple[str, int]:
    out: list[str] = []
    at += 1
    while at < len(rest):
        char, following = rest[at], rest[at + 1 : at + 2]
        if (char == "\\" and following in ('"', "\\")) or (char == '"' and following == '"'):
            out.append(following)
            at += 2
        elif char == '"':
            return "".join(out), at + 1
        else:
            out.append(char)
            at += 1
    raise FilterError(f"The filter {shown} has a quote that is not closed.", _HELP)
