"""Filter expressions to Elasticsearch clauses: known fields only, each by its type; values are data, never query syntax.

field:value          equal           price:10..50           a range, ends included, either end may be left out
field:a,b            one of          created_at:>2026-01-01 also >=, <, <=
-field:value         not             "a, b" in quotes       a value that holds a comma, a colon or dots

`title:"..."` is the whole title, in any case. An attribute of numbers, dates or flags may hold texts, too (sizes 42 and XL):
those are found by the very text.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

from es_recsys.errors import FilterError
from es_recsys.search.expressions import Expression, parse_expression
from es_recsys.search.query_dsl import Clause
from es_recsys.values.unicode import nfc, nfc_value
from es_recsys.vector_fields import AS_KEYWORD, AS_LONG

__all__ = ["parse_filters"]

_NUMBERS = frozenset({"double", "float", "half_float", "long", "integer", "short", "byte"})
_WHOLE = frozenset({"long", "integer", "short", "byte"})
_DATES = frozenset({"date", "date_nanos"})
_RANGED = _NUMBERS | _DATES
_DIGITS = re.compile(r"[+-]?[0-9]+")
_CODE = re.compile(r"[+-]?0[0-9]+")
# Whole numbers beyond this have neighbours that are the same double.
_EXACT, _LONGEST = 2**53, 2**63


def parse_filters(given: Sequence[str] | Mapping[str, Any], fields: Mapping[str, str]) -> list[Clause]:
    """Return clauses for the `filter` part of a bool query; all of them must hold.

    given: expressions, or a mapping field -> value, list of values (one of them), or (low, high) with None for open.
    A leading "-" negates in both forms.
    fields: path of each filterable field -> Elasticsearch type; "color" finds "attributes.color" too.
    Raises FilterError that names the expression and, for an unknown field, the nearest known names.
    """
    if isinstance(given, str):
        given = (given,)
    read = _from_mapping(given) if isinstance(given, Mapping) else [parse_expression(text) for text in given]
    return [_clause(_composed(expression), fields) for expression in read]


def _composed(expression: Expression) -> Expression:
    """Return the expression in the Unicode form that items have (NFC)."""
    return replace(expression, field=nfc(expression.field), values=nfc_value(expression.values))


def _from_mapping(given: Mapping[str, Any]) -> list[Expression]:
    found = []
    for name, value in given.items():
        negated, field = name.startswith("-"), name.removeprefix("-")
        shown = f"{name}={value!r}"
        if isinstance(value, tuple) and len(value) == 2 and _is_range(value):
            bounds = {op: end for op, end in zip(("gte", "lte"), value, strict=True) if end is not None}
            if not bounds:
                raise FilterError(f"The filter {shown} has no end.", "Give a low or a high end, or leave the filter out.")
            found.append(Expression(shown, field, negated, (), bounds))
            continue
        values = tuple(value) if isinstance(value, list | tuple | set | frozenset) else (value,)
        if not values or any(part is None for part in values):
            raise FilterError(f"The filter {shown} has no value.", "Give a value, a list of values, or (low, high).")
        found.append(Expression(shown, field, negated, values, {}))
    return found


def _is_range(value: tuple[Any, Any]) -> bool:
    """Return whether it is a range, as (None, 100) and (1, 5) are; ("a", "b") are two labels."""
    return all(end is None or (isinstance(end, int | float | date) and not isinstance(end, bool)) for end in value)


def _clause(expression: Expression, fields: Mapping[str, str]) -> Clause:
    path, kind = _field(expression, fields)
    if expression.bounds:
        if kind not in _RANGED:
            raise FilterError(
                f"The filter {expression.shown} asks a range of {expression.field}, which is not a number or a date.",
                f"Ask for values: {expression.field}:a,b.",
            )
        ends: dict[str, Any] = {op: _typed(end, kind, expression, exact=False) for op, end in expression.bounds.items()}
        clause = _range(path, ends, fields)
    elif f"{path}.{AS_KEYWORD}" in fields:
        clause = _any_of([_either(path, kind, value, expression) for value in expression.values])
    else:
        values = list(dict.fromkeys(each for value in expression.values for each in _readings(value, kind, expression)))
        clause = _equal(path, kind, values)
    return {"bool": {"must_not": [clause]}} if expression.negated else clause


def _equal(path: str, kind: str, values: list[Any]) -> Clause:
    if kind in _DATES:
        # A day without a time means the whole day, which Elasticsearch rounds to where both ends are given.
        return _any_of([{"range": {path: {"gte": value, "lte": value}}} for value in values])
    return _any_of([{"term": {path: _sent(value)}} for value in values])


def _any_of(clauses: list[Clause]) -> Clause:
    """Return the clause for any of the clauses; those that look for a value in the same field become one."""
    terms: dict[str, list[Any]] = {}
    joined: list[Clause] = []
    for clause in clauses:
        for path, value in clause.get("term", {}).items():
            terms.setdefault(path, []).append(value)
        if "term" not in clause:
            joined.append(clause)
    for path, found in terms.items():
        values = list(dict.fromkeys(found))
        joined.append({"terms": {path: values}} if len(values) > 1 else {"term": {path: values[0]}})
    return joined[0] if len(joined) == 1 else {"bool": {"should": joined, "minimum_should_match": 1}}


def _range(path: str, ends: dict[str, Any], fields: Mapping[str, str]) -> Clause:
    clause: Clause = {"range": {path: {op: _sent(end) for op, end in ends.items()}}}
    exact = f"{path}.{AS_LONG}"
    if exact in fields and any(_is_long(end) for end in ends.values()) and all(abs(end) < _LONGEST for end in ends.values()):
        return _any_of([{"range": {exact: ends}}, _unless(clause, exact)])
    return clause


def _either(path: str, kind: str, value: Any, expression: Expression) -> Clause:
    """Return the clause for items whose value is this number, date or flag, or this very text."""
    keyword = f"{path}.{AS_KEYWORD}"
    text: Clause = {"term": {keyword: _text(value, expression)}}
    if isinstance(value, str) and kind in _NUMBERS and _CODE.fullmatch(value):
        return text
    try:
        typed = _typed(value, kind, expression)
    except FilterError:
        return text
    clause = _equal(path, kind, [typed])
    if kind in _NUMBERS and _is_long(typed):
        # Items written before there were such forms have only the double.
        exact = f"{path}.{AS_LONG}" if abs(typed) < _LONGEST else keyword
        return _any_of([{"term": {exact: typed if abs(typed) < _LONGEST else str(typed)}}, _unless(clause, exact)])
    if kind == "boolean" and _text(value, expression) not in ("true", "false"):
        return _any_of([clause, text])
    return clause


def _unless(clause: Clause, path: str) -> Clause:
    return {"bool": {"filter": [clause], "must_not": [{"exists": {"field": path}}]}}


def _is_long(value: Any) -> bool:
    return isinstance(value, int) and abs(value) > _EXACT


def _sent(value: Any) -> Any:
    """Return a value that JSON can hold."""
    return float(value) if isinstance(value, int) and abs(value) >= _LONGEST else value


def _field(expression: Expression, fields: Mapping[str, str]) -> tuple[str, str]:
    for path in (expression.field, f"attributes.{expression.field}", f"{expression.field}.keyword"):
        if path in fields:
            return path, fields[path]
    forms = (f".{AS_KEYWORD}", f".{AS_LONG}")
    known = sorted({path.removeprefix("attributes.").removesuffix(".keyword") for path in fields if not path.endswith(forms)})
    near = difflib.get_close_matches(expression.field, known, n=3, cutoff=0.5)
    hint = f"Did you mean {' or '.join(near)}?" if near else f"Known fields: {', '.join(known[:20])}."
    raise FilterError(f"The filter {expression.shown} names {expression.field!r}, which is no field to filter by.", hint)


def _typed(value: Any, kind: str, expression: Expression, *, exact: bool = True) -> Any:
    """Return the value as the field's type; `exact` refuses 1.5 for a whole-number field, which could only match nothing."""
    try:
        if kind in _NUMBERS:
            return _number(value, whole=exact and kind in _WHOLE)
        if kind in _DATES:
            return _date(value)
        if kind == "boolean":
            return _boolean(value)
    except (TypeError, ValueError, OverflowError):
        wanted = "a number" if kind in _NUMBERS else "a date (ISO 8601)" if kind in _DATES else "true or false"
        raise FilterError(
            f"The filter {expression.shown} needs {wanted} for {expression.field}.", f"{value!r} is none."
        ) from None
    return _text(value, expression)


def _readings(value: Any, kind: str, expression: Expression) -> list[Any]:
    """Return the value as the field's type; a number in a field of texts in each way that it may have been written."""
    if kind not in _RANGED and kind != "boolean" and isinstance(value, float) and value.is_integer():
        return [str(int(value)), str(value)]
    return [_typed(value, kind, expression)]


def _text(value: Any, expression: Expression) -> str:
    text = ("true" if value else "false") if isinstance(value, bool) else str(value)
    if not text or "\x00" in text or len(text) > 1_024:
        raise FilterError(f"The filter {expression.shown} has a value that can't be matched.", "Give 1 to 1,024 characters.")
    return text


def _number(value: Any, *, whole: bool) -> int | float:
    if isinstance(value, bool):
        raise ValueError(value)
    if isinstance(value, str) and _DIGITS.fullmatch(value.strip()):
        value = int(value)
    if isinstance(value, int):
        # Never through a float, which would round it.
        float(value)
        return value
    number = float(value)
    if number != number or number in (float("inf"), float("-inf")):
        raise ValueError(value)
    if number.is_integer():
        return int(number)
    if whole:
        raise ValueError(value)
    return number


def _date(value: Any) -> str:
    if isinstance(value, bool):
        raise ValueError(value)
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).isoformat()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, int | float):
        return datetime.fromtimestamp(value, UTC).isoformat()
    text = str(value).strip()
    if len(text) == 4 and text.isdigit():
        return f"{text}-01-01"
    instant = datetime.fromisoformat(text)
    if len(text) <= 10:
        return instant.date().isoformat()
    return (instant if instant.tzinfo else instant.replace(tzinfo=UTC)).isoformat()


def _boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    text = str(value).strip().lower()
    if text not in ("true", "false", "yes", "no", "1", "0"):
        raise ValueError(value)
    return text in ("true", "yes", "1")
