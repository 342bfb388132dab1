"""The short way from rows to events: columns of ordinary values, each distinct value checked once.

Ordinary are texts and numbers in one level, one item an event, and an action that is known. What is not is declined, and read row
by row (event_rows.py), with which this agrees to the last value.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import TypeAdapter, ValidationError

from es_recsys.event_columns import EventColumns
from es_recsys.sources.actions import ActionMapping
from es_recsys.sources.column_mapping import get_path
from es_recsys.sources.field_formats import FieldFormats
from es_recsys.sources.future_times import FutureTimes
from es_recsys.types import Event
from es_recsys.values import TimeFormat, is_null, parse_time

__all__ = ["PlainRows"]

_ORDINARY = frozenset({str, int, float, type(None)})
_TEXTS = frozenset({str, type(None)})
_TEXT_FIELDS = frozenset({"event_type", "query"})
_CACHE_SIZE = 10_000
_DIGITS = frozenset("0123456789")
_SECONDS = range(10**8, 10**11)
_VALIDATORS: Mapping[str, Callable[[Any], Any]] = {
    name: TypeAdapter(Annotated[(field.annotation, *field.metadata)]).validate_python  # type: ignore[arg-type]
    for name, field in Event.model_fields.items()
    if name not in ("event_type", "timestamp", "order")
}


class _NotPlain(Exception):
    """The rows are not all ordinary."""


class PlainRows:
    """Reads blocks of rows as columns, or declines to (None). formats: as `EventRows` has them."""

    def __init__(self, actions: ActionMapping, formats: FieldFormats, *, timestamps: bool, future: FutureTimes | None) -> None:
        self._actions = actions
        self._ids = {name: id_format for name, id_format in formats.ids.items() if id_format.numbers}
        self._time = formats.times.get("timestamp", TimeFormat())
        self._timestamps, self._future = timestamps, future
        self._known: dict[str, dict[Any, Any]] = {name: {} for name in _VALIDATORS}
        self._wanted: Sequence[tuple[str, str]] = ()
        self._constants: Mapping[str, Any] = {}

    def use(self, wanted: Sequence[tuple[str, str]], constants: Mapping[str, Any]) -> None:
        """Take the columns of another file: (field, column) pairs, of which the last that is filled counts, and constants."""
        self._wanted, self._constants = wanted, constants

    def fields(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]] | None:
        """Return field -> its values in the rows, None for what stands for nothing; None where the rows are declined."""
        try:
            return self._fields(rows)
        except _NotPlain:
            return None

    def columns(self, fields: Mapping[str, list[Any]]) -> EventColumns | None:
        """Return the events of rows with these fields, one each and without their order; None where the rows are declined."""
        try:
            found = {name: self._checked(name, column) for name, column in fields.items() if name in _VALIDATORS}
            written = fields.get("timestamp")
            times = self._times(written) if self._timestamps else None
        except _NotPlain:
            return None
        nothing: list[Any] = [None] * len(fields["event_type"])
        users, sessions, items, queries = (found.get(name, nothing) for name in ("user_id", "session_id", "item_id", "query"))
        if (None in users and None in map(_either, users, sessions)) or (None in items and None in map(_either, items, queries)):
            return None
        if self._future is not None and times is not None and written is not None:
            self._future.add_all(times, written)
        absent = {name: nothing for name in _VALIDATORS if name not in found}
        timestamps: list[Any] = times or nothing
        return EventColumns(event_type=fields["event_type"], timestamp=timestamps, order=nothing, **{**found, **absent})

    def _fields(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
        there = set[str]().union(*rows)
        if "action_name" in there or "user_query" in there:  # of UBI
            raise _NotPlain
        fields: dict[str, list[Any]] = {}
        for field, column in self._wanted:
            if "." in column and (column in there or column.split(".")[0] in there):
                values = [get_path(row, column) for row in rows]
            elif column in there:
                values = [row.get(column) for row in rows]
            else:
                continue
            values = self._without_nulls(field, values)
            fields[field] = list(map(_either, values, fields[field])) if field in fields else values
        for field, constant in self._constants.items():
            filled = [constant if value is None else value for value in fields.get(field, [None] * len(rows))]
            fields[field] = _ordinary(field, filled)
        fields["event_type"] = self._event_types(fields.get("event_type"))
        self._check_items(fields)
        return fields

    def _without_nulls(self, field: str, values: list[Any]) -> list[Any]:
        """Return the values, None for those that mean nothing. Raises _NotPlain for values of other types."""
        _ordinary(field, values)
        if field == "timestamp" and all(value[:1] in _DIGITS for value in values if type(value) is str):
            return values  # nothing that begins so means nothing
        # What was checked before means something.
        nulls = set(filter(is_null, set(values).difference(self._known.get(field, ()), (None,))))
        return [None if value in nulls else value for value in values] if nulls else values

    def _event_types(self, actions: list[Any] | None) -> list[str]:
        if actions is None:
            raise _NotPlain
        found = {action: self._actions.event_type(action) for action in set(actions) if action is not None}
        if None in actions or not all(found.values()):
            raise _NotPlain
        return [found[action] for action in actions]  # type: ignore[misc]

    def _check_items(self, fields: Mapping[str, list[Any]]) -> None:
        """Raise _NotPlain where a row names its item otherwise than by one id, or a search has no query."""
        items = fields.get("item_id")
        if items is None:
            items = [None] * len(fields["event_type"])
        for item in set(items):
            if type(item) is str and not item[-1:].isalnum() and "]" in item:
                raise _NotPlain
        if None in items and any(
            item is None and event_type != "search" for item, event_type in zip(items, fields["event_type"], strict=True)
        ):
            raise _NotPlain
        if "search" in fields["event_type"]:
            queries = fields.get("query")
            if queries is None or any(
                query is None and event_type == "search" for query, event_type in zip(queries, fields["event_type"], strict=True)
            ):
                raise _NotPlain

    def _checked(self, field: str, values: list[Any]) -> list[Any]:
        """Return the values as the field of an event takes them. Raises _NotPlain where it doesn't."""
        known, validate, id_format = self._known[field], _VALIDATORS[field], self._ids.get(field)
        if len(known) > _CACHE_SIZE:
            known.clear()
        try:
            for value in set(values).difference(known):
                if value is None:
                    known[value] = None
                    continue
                parsed = value
                if id_format is not None:
                    with suppress(ValueError):
                        parsed = id_format.parse(value)
                known[value] = validate(parsed)
        except ValidationError:
            raise _NotPlain from None
        return list(map(known.__getitem__, values))

    def _times(self, values: list[Any] | None) -> list[datetime]:
        """Return the times that were written. Raises _NotPlain where one is missing or can't be read."""
        if values is None or None in values:
            raise _NotPlain
        types = set(map(type, values))
        try:
            if types == {str}:
                moments = _iso_times(values)
                zones = {moment.tzinfo for moment in moments}
                # What names its zone is no number. Else nearly all times have a year that no other form begins with.
                if zones == {UTC}:
                    return moments
                dashed = zones == {None} and all(value[4:5] == "-" == value[7:8] and value[0] in "12" for value in values)
                if dashed and self._time.zone is UTC:
                    return [moment.replace(tzinfo=UTC) for moment in moments]
            elif types == {int} and not self._time.serial and all(value in _SECONDS for value in values):
                return [datetime.fromtimestamp(value, UTC) for value in values]
            parsed = [parse_time(value, self._time) for value in values]
        except (ValueError, OverflowError):
            raise _NotPlain from None
        if None in parsed:
            raise _NotPlain
        return parsed  # type: ignore[return-value]


def _iso_times(values: Sequence[str]) -> list[datetime]:
    """Return the times as ISO 8601 has them; none where one of them is otherwise."""
    try:
        return list(map(datetime.fromisoformat, values))
    except ValueError:
        return []


def _ordinary(field: str, values: list[Any]) -> list[Any]:
    """Return the values where equal ones mean the same and each can be told from nothing. Raises _NotPlain."""
    types = set(map(type, values))
    if not types <= (_TEXTS if field in _TEXT_FIELDS else _ORDINARY):
        raise _NotPlain
    if float in types and any(value != value or (value == 0.0 and str(value) == "-0.0") for value in values):
        raise _NotPlain
    return values


def _either(first: Any, second: Any) -> Any:
    return second if first is None else first
