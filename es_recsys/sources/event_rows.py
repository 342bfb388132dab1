"""A row of a file -> the fields of its events, and from them the events themselves."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

from pydantic import ValidationError

from es_recsys.event_columns import EventColumns
from es_recsys.event_types import EVENT_TYPES
from es_recsys.sources.actions import IGNORE, PAGE_VIEW_ACTIONS, ActionMapping
from es_recsys.sources.column_mapping import ColumnMapping, get_path
from es_recsys.sources.field_formats import FieldFormatInference, FieldFormats
from es_recsys.sources.future_times import FutureTimes
from es_recsys.sources.named_formats.ubi import from_ubi, is_ubi
from es_recsys.sources.option_pairs import quoted
from es_recsys.sources.order_lines import find_line_items, order_line_id, order_lines_of
from es_recsys.sources.plain_rows import PlainRows
from es_recsys.sources.read_options import ReadOptions
from es_recsys.sources.rejected_rows import RejectedRows
from es_recsys.sources.row_errors import InvalidValue, OnInvalidField, field_errors
from es_recsys.sources.tables import Row, note_dropped_field, reject
from es_recsys.types import Event
from es_recsys.values import TimeFormat, is_null, parse_time

__all__ = ["EVENT_FIELDS", "EventRows", "SkippedEvent"]

EVENT_FIELDS = tuple(name for name in Event.model_fields if name != "order")

_OPTIONAL = frozenset({"value", "position", "query_id", "recommendation_id"})
"""What an event is used without where it can't be read; also a query that is not searched for, and the session of a user."""

_QUANTITIES = frozenset(name for name, row in EVENT_TYPES.items() if row.value == "quantity")
_MAX_ACTION_LENGTH, _MAX_ACTIONS_REPORTED = 80, 50
_PLAN_CACHE_SIZE = 100
_SMALLEST_BLOCK = 64
"""Rows among which one that is not plain has all read one by one."""

T = TypeVar("T")


class SkippedEvent(Exception):
    """An event that is skipped without being wrong, and why."""


class EventRows:
    """Turns rows into events; remembers from one row to the next each user's count, where there are no timestamps."""

    def __init__(
        self,
        columns: ColumnMapping,
        options: ReadOptions,
        formats: FieldFormats,
        future: FutureTimes | None = None,
        *,
        has_options: bool = True,
    ) -> None:
        """Take what the rows are read with. has_options: who sends them may be told of options of the command line."""
        self._number_ids = {name: id_format for name, id_format in formats.ids.items() if id_format.numbers}
        self._time = formats.times.get("timestamp", TimeFormat())
        self._future = future
        self._timestamps = options.timestamps
        self._actions = ActionMapping(options.actions)
        self._has_options = has_options
        self._skipped_actions: set[str] = set()
        self._order: dict[tuple[bool, str], int] = {}
        self._plain = PlainRows(self._actions, formats, timestamps=options.timestamps, future=future)
        self.use(columns)

    def use(self, columns: ColumnMapping) -> None:
        """Take the columns of another file from now on."""
        fields = [field for field in EVENT_FIELDS if self._timestamps or field != "timestamp"]
        self._wanted = [(field, column) for field in fields for column in columns.columns_of(field)]
        self._renames = [(field, column) for field, column in self._wanted if field in columns.renames]
        self._constants = {field: value for field, value in columns.constants.items() if field in fields}
        self._dropped = columns.dropped
        self._ubi = "event_type" not in columns.renames
        self._plans: dict[tuple[str, ...], tuple[Sequence[tuple[str, str]], bool]] = {}
        self._plain.use(self._wanted, self._constants)

    def observe(self, rows: Sequence[Mapping[str, Any]], inference: FieldFormatInference) -> None:
        """Have the inference of formats see the fields of the rows that say something."""
        fields = self._plain.fields(rows)
        if fields is not None:
            inference.add_columns(fields)
        elif len(rows) > _SMALLEST_BLOCK:
            for half in _halves(rows):
                self.observe(half, inference)
        else:
            for values in rows:
                with suppress(InvalidValue, SkippedEvent):
                    for line in self.lines(values):
                        inference.add(line)

    def columns(
        self, rows: Sequence[Row], rejected: RejectedRows, inference: FieldFormatInference | None = None
    ) -> list[EventColumns]:
        """Return the events of the rows, in parts; rows and fields that can't be used go to `rejected`.

        inference: sees the fields, as `observe` has it.
        """
        fields = self._plain.fields([row.values for row in rows])
        plain = None if fields is None else self._plain.columns(fields)
        if fields is not None and plain is not None:
            if inference is not None:
                inference.add_columns(fields)
            return [plain if self._timestamps else self._ordered(plain)]
        if len(rows) > _SMALLEST_BLOCK:
            return [part for half in _halves(rows) for part in self.columns(half, rejected, inference)]
        return [EventColumns.of(event for row in rows for event in self.events(row, rejected, inference))]

    def events(self, row: Row, rejected: RejectedRows, inference: FieldFormatInference | None = None) -> Iterator[Event]:
        """Yield the events of one row; what can't be used goes to `rejected`."""
        try:
            lines = self.lines(row.values)
        except InvalidValue as bad:
            reject(rejected, row, bad)
            return
        except SkippedEvent as skipped:
            rejected.skip(str(skipped))
            return
        if inference is not None:
            for fields in lines:
                inference.add(fields)
        drop = partial(note_dropped_field, rejected, row)
        for fields in lines:
            try:
                yield self.event(fields, drop)
            except (InvalidValue, ValidationError) as bad:
                reject(rejected, row, bad)

    def lines(self, values: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return the fields of the row's events, one an item: n for an order of n items. Raises InvalidValue, SkippedEvent."""
        given = self._fields(values)
        for name, value in self._constants.items():
            given.setdefault(name, value)
        action = given.get("event_type")
        if action is None:
            raise InvalidValue("event_type", "is missing")
        given["event_type"] = event_type = self._event_type(action)
        if event_type == "search" or (listed := find_line_items(values, given.get("item_id"))) is None:
            if "item_id" not in given and event_type == "view" and _is_page_view(action):
                raise SkippedEvent(f"{action!r} without an item says nothing of taste")
            return [given]
        return _split_order(given, listed)

    def event(self, given: dict[str, Any], drop: OnInvalidField) -> Event:
        """Return the event of one line. drop: gets each optional field that can't be read.

        Raises InvalidValue, ValidationError.
        """
        self._check(given)
        for name, id_format in self._number_ids.items():
            if name in given:
                with suppress(ValueError):  # what can't be an id is left for the event to refuse
                    given[name] = id_format.parse(given[name])
        if "timestamp" in given:
            written = given["timestamp"]
            try:
                given["timestamp"] = moment = parse_time(written, self._time)
            except ValueError as error:
                raise InvalidValue("timestamp", str(error)) from None
            if moment is None:
                raise InvalidValue("timestamp", "is missing")
            if self._future is not None:
                self._future.add(moment.timestamp(), written)
        if self._timestamps:
            return self._validated(given, drop)
        event = self._validated({**given, "order": 0}, drop)
        # Counted only now, so that a rejected line leaves no gap.
        return event.model_copy(update={"order": self._next_order(event.user_id, event.session_id)})

    def _ordered(self, columns: EventColumns) -> EventColumns:
        return replace(columns, order=list(map(self._next_order, columns.user_id, columns.session_id)))

    def _next_order(self, user_id: str | None, session_id: str | None) -> int:
        actor = (user_id is not None, user_id or session_id or "")
        order = self._order.get(actor, 0)
        self._order[actor] = order + 1
        return order

    def _fields(self, values: Mapping[str, Any]) -> dict[str, Any]:
        given: dict[str, Any] = {}
        wanted, ubi = self._plan(values)
        if ubi and is_ubi(values):
            given = {field: value for field, value in from_ubi(values).items() if not is_null(value)}
            if not self._timestamps:
                given.pop("timestamp", None)
            for field in self._dropped:
                given.pop(field, None)
            wanted = self._renames
        for field, column in wanted:
            value = values.get(column)
            if value is None and "." in column:
                value = get_path(values, column)
            if value is not None and not is_null(value):
                given[field] = value
        return given

    def _plan(self, values: Mapping[str, Any]) -> tuple[Sequence[tuple[str, str]], bool]:
        """Return the wanted columns that a row can have, and whether it may be of UBI: once for all rows with the same names."""
        names = tuple(values)
        plan = self._plans.get(names)
        if plan is None:
            if len(self._plans) >= _PLAN_CACHE_SIZE:
                return self._wanted, self._ubi
            there = [(field, column) for field, column in self._wanted if column in values or column.split(".")[0] in values]
            plan = self._plans[names] = there, self._ubi and ("action_name" in values or "user_query" in values)
        return plan

    def _check(self, given: dict[str, Any]) -> None:
        if self._timestamps and "timestamp" not in given:
            raise InvalidValue("timestamp", "is missing (a source without time is read with --no-timestamps)")
        if "user_id" not in given and "session_id" not in given:
            raise InvalidValue("user_id", "is missing, and session_id too")
        event_type = given["event_type"]
        needed = "query" if event_type == "search" else "item_id"
        if needed not in given:
            raise InvalidValue(needed, f"is missing in an event of type {event_type}")

    def _validated(self, given: dict[str, Any], drop: OnInvalidField) -> Event:
        try:
            return Event.model_validate(given)
        except ValidationError as error:
            bad = field_errors(error)
            needless = {name for name in bad if name in _OPTIONAL}
            if given["event_type"] != "search":
                needless |= {"query"} & set(bad)
            if "user_id" in given:
                needless |= {"session_id"} & set(bad)
            if needless != set(bad):
                raise
            for name, reason in bad.items():
                drop(name, reason, None)
                del given[name]
            return Event.model_validate(given)

    def _event_type(self, action: Any) -> str:
        event_type = self._actions.event_type(action)
        if event_type:
            return event_type
        name = str(action)[:_MAX_ACTION_LENGTH]
        # Whatever comes as an action's name, the report stays short.
        if name not in self._skipped_actions and len(self._skipped_actions) >= _MAX_ACTIONS_REPORTED:
            remedy = f"; --actions NAME=TYPE or NAME={IGNORE} says what" if self._has_options else ""
            raise SkippedEvent(f"other actions that say nothing of taste or are unknown{remedy}")
        self._skipped_actions.add(name)
        if event_type is not None:
            raise SkippedEvent(f"{name!r} says nothing of taste")
        if not self._has_options:
            raise SkippedEvent(f"the action {name!r} is unknown; event_type is one of: {', '.join(EVENT_TYPES)}")
        raise SkippedEvent(
            f"the action {name!r} is unknown; say what it is: --actions {shlex.quote(quoted(name))}=like, or ={IGNORE}"
        )


def _split_order(given: Mapping[str, Any], listed: Sequence[Any]) -> list[dict[str, Any]]:
    """Return the event's fields for each item of its list: each has the time of the event, a quantity and an id of its own."""
    lines = order_lines_of(listed)
    if not lines:
        raise InvalidValue("item_id", "is a list in which no item has an id")
    amounts = given["event_type"] in _QUANTITIES
    events = []
    for item_id, quantity in lines:
        one = {**given, "item_id": item_id}
        if amounts:
            # What stands beside a list is the sum of its prices.
            one.pop("value", None)
            if quantity is not None:
                one["value"] = quantity
        if len(lines) > 1 and "event_id" in given:
            one["event_id"] = order_line_id(str(given["event_id"]), item_id)
        events.append(one)
    return events


def _halves(rows: Sequence[T]) -> tuple[Sequence[T], Sequence[T]]:
    middle = len(rows) // 2
    return rows[:middle], rows[middle:]


def _is_page_view(action: Any) -> bool:
    return re.sub(r"[\W_]+", "", str(action)).lower() in PAGE_VIEW_ACTIONS
