"""Files -> Events."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, tzinfo
from functools import partial
from typing import Any

from pydantic import ValidationError

from es_recsys.event_types import EVENT_TYPES
from es_recsys.sources.actions import IGNORE, PAGE_VIEW_ACTIONS, ActionMapping
from es_recsys.sources.column_mapping import ColumnMapping, get_path, resolve_columns
from es_recsys.sources.event_schema import EventSchema, EventSchemaInference
from es_recsys.sources.future_times import FutureTimes
from es_recsys.sources.input_files import Paths, Progress, as_paths
from es_recsys.sources.order_lines import find_line_items, order_line_id, order_lines_of
from es_recsys.sources.rejected_rows import RejectedRows
from es_recsys.sources.row_errors import InvalidValue, OnInvalidField, field_errors, first_error
from es_recsys.sources.tables import Dialect, note_dropped_field, open_tables
from es_recsys.sources.ubi import from_ubi, is_ubi
from es_recsys.types import Event
from es_recsys.values import is_null, parse_id, parse_time

__all__ = ["EVENT_FIELDS", "infer_event_schema", "read_events"]

EVENT_FIELDS = tuple(name for name in Event.model_fields if name != "order")

_ACTOR_FIELDS = ("user_id", "session_id")
_OPTIONAL = frozenset({"value", "position", "query_id", "recommendation_id"})
"""What an event is used without where it can't be read; also a query that is not searched for, and the session of a user."""

_QUANTITIES = frozenset(name for name, row in EVENT_TYPES.items() if row.value == "quantity")
_MAX_ACTION_LENGTH, _MAX_ACTIONS_REPORTED = 80, 50
_PLAN_CACHE_SIZE = 100


class _SkippedEvent(Exception):
    """An event that is left out, and why."""


class _RowReader:
    """Rows -> events, with what has to be remembered from one to the next: each user's count, without timestamps."""

    def __init__(
        self,
        columns: ColumnMapping,
        timestamps: bool,
        actions: ActionMapping,
        schema: EventSchema,
        future: FutureTimes | None = None,
    ) -> None:
        self._survey = schema
        self._ahead = future
        self._numbers = [name for name, form in schema.ids.items() if form.numbers]
        self._timestamps = timestamps
        self._actions = actions
        self._left_out: set[str] = set()
        self._order: dict[tuple[bool, str], int] = {}
        self.use(columns)

    def use(self, columns: ColumnMapping) -> None:
        """Take the columns of another file from now on."""
        fields = [ours for ours in EVENT_FIELDS if self._timestamps or ours != "timestamp"]
        self._wanted = [(ours, theirs) for ours in fields for theirs in columns.places(ours)]
        self._renames = [(ours, theirs) for ours, theirs in self._wanted if ours in columns.renames]
        self._constants = {ours: value for ours, value in columns.constants.items() if ours in fields}
        self._dropped = columns.dropped
        self._ubi = "event_type" not in columns.renames
        self._plans: dict[tuple[str, ...], tuple[Sequence[tuple[str, str]], bool]] = {}

    def lines(self, values: Mapping[str, Any]) -> list[dict[str, Any]]:
        """What the row says, an item each: of an event with n items n times. Raises BadValue, _Silent."""
        given = self._fields(values)
        for name, value in self._constants.items():
            given.setdefault(name, value)
        action = given.get("event_type")
        if action is None:
            raise InvalidValue("event_type", "is missing")
        given["event_type"] = event_type = self._translated(action)
        if event_type == "search" or (listed := find_line_items(values, given.get("item_id"))) is None:
            if "item_id" not in given and event_type == "view" and _is_page_view(action):
                raise _SkippedEvent(f"{action!r} without an item says nothing of taste")
            return [given]
        return _split_order(given, listed)

    def event(self, given: dict[str, Any], drop: OnInvalidField) -> Event:
        """The event of one line. drop: gets each field that can't be read and isn't needed. Raises BadValue, ValidationError."""
        self._check(given)
        for name in self._numbers:
            if name in given:
                with suppress(ValueError):  # what can't be an id is left for the event to refuse
                    given[name] = self._survey.ids[name].read(given[name])
        if "timestamp" in given:
            written = given["timestamp"]
            try:
                given["timestamp"] = moment = parse_time(written, self._survey.time)
            except ValueError as error:
                raise InvalidValue("timestamp", str(error)) from None
            if moment is None:
                raise InvalidValue("timestamp", "is missing")
            if self._ahead is not None:
                self._ahead.add(moment.timestamp(), written)
        event = self._validated(given, drop)
        if not self._timestamps:
            # Counted only now, so that a rejected line leaves no gap.
            who = (event.user_id is not None, event.user_id or event.session_id or "")
            self._order[who] = event.order + 1 if event.order is not None else 0
        return event

    def _fields(self, values: Mapping[str, Any]) -> dict[str, Any]:
        given: dict[str, Any] = {}
        wanted, ubi = self._plan(values)
        if ubi and is_ubi(values):
            given = {ours: value for ours, value in from_ubi(values).items() if not is_null(value)}
            if not self._timestamps:
                given.pop("timestamp", None)
            for ours in self._dropped:
                given.pop(ours, None)
            wanted = self._renames
        for ours, theirs in wanted:
            value = values.get(theirs)
            if value is None and "." in theirs:
                value = get_path(values, theirs)
            if value is not None and not is_null(value):
                given[ours] = value
        return given

    def _plan(self, values: Mapping[str, Any]) -> tuple[Sequence[tuple[str, str]], bool]:
        """Which wanted columns a row can have, and whether it may be of UBI: decided once for all rows of the same names."""
        names = tuple(values)
        plan = self._plans.get(names)
        if plan is None:
            if len(self._plans) >= _PLAN_CACHE_SIZE:
                return self._wanted, self._ubi
            there = [(ours, theirs) for ours, theirs in self._wanted if theirs in values or theirs.split(".")[0] in values]
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
        if not self._timestamps:
            given["order"] = self._next(given)
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

    def _translated(self, action: Any) -> str:
        event_type = self._actions.of(action)
        if event_type:
            return event_type
        name = str(action)[:_MAX_ACTION_LENGTH]
        # Whatever comes as an action's name, the report stays short.
        if name not in self._left_out and len(self._left_out) >= _MAX_ACTIONS_REPORTED:
            raise _SkippedEvent(
                f"other actions that say nothing of taste or are unknown; --actions NAME=TYPE or NAME={IGNORE} says what"
            )
        self._left_out.add(name)
        if event_type is not None:
            raise _SkippedEvent(f"{name!r} says nothing of taste")
        raise _SkippedEvent(f"the action {name!r} is unknown; say what it is: --actions {_quoted(name)}=like, or ={IGNORE}")

    def _next(self, given: Mapping[str, Any]) -> int:
        user = given.get("user_id")
        try:
            who = parse_id(user if user is not None else given.get("session_id"))
        except ValueError:
            who = None  # the event is about to be rejected
        return self._order.get((user is not None, who or ""), 0)


def read_events(
    paths: Paths,
    *,
    columns: Mapping[str, str] | None = None,
    constants: Mapping[str, Any] | None = None,
    separator: str | None = None,
    header: bool = True,
    encoding: str | None = None,
    timestamps: bool = True,
    actions: Mapping[str, str] | None = None,
    schema: EventSchema | None = None,
    future: FutureTimes | None = None,
    rejected: RejectedRows | None = None,
    progress: Progress | None = None,
) -> Iterator[Event]:
    """Events of one or more files, in their order.

    columns: our field -> column of the file, also a dotted path; constants: field -> value where a line has none;
    separator, header, encoding: how the files are written (`Dialect`). UBI 1.3 documents are read as they are (renames still
    count), unless event_type is renamed.
    Names of actions are known in the usual trackers' spellings ("add_to_cart", "Product Viewed"); an unknown one is
    left out and counted by its name in `rejected.skipped`. An event with a list of items is one event an item. Other columns
    are left out.
    actions: name of an action in any spelling -> event type, or "ignore"; before those that are known.
    timestamps: False for a source whose order is each user's order: `timestamp` is None and `order` counts from 0 a user
    (a session, where there is no user), over all the files; memory is then O(users), else flat.
    schema: what `infer_event_schema` found in the same files; made here where it is not given, which reads them once more.
    future: gets the times, to see whether they lie in the future.
    rejected: gets the bad lines, and the fields that lines are used without; without it they are passed over and written to
    FILE.rejected.jsonl.

    Raises InputError for a file that can't be read or lacks a column, TooManyErrors from `rejected`.
    """
    paths = as_paths(paths)
    if schema is None:
        schema = infer_event_schema(
            paths,
            columns=columns,
            constants=constants,
            separator=separator,
            header=header,
            encoding=encoding,
            timestamps=timestamps,
            actions=actions,
        )
    plan = _event_columns(columns or {}, constants or {}, timestamps)
    reader = _RowReader(plan, timestamps, ActionMapping(actions), schema, future)
    own = rejected is None
    rejected = RejectedRows() if rejected is None else rejected
    for remark in schema.notes:
        rejected.note(remark)
    try:
        for table in open_tables(paths, Dialect(separator, header, encoding), rejected, progress):
            found, rows = resolve_columns(table, plan, rejected)
            reader.use(found)
            for row in rows:
                drop = partial(note_dropped_field, rejected, row)
                try:
                    lines = reader.lines(row.values)
                except InvalidValue as bad:
                    rejected.add(row.file, row.line, bad.field, bad.reason, row.values)
                    continue
                except _SkippedEvent as silent:
                    rejected.skip(str(silent))
                    continue
                for given in lines:
                    try:
                        event = reader.event(given, drop)
                    except InvalidValue as bad:
                        rejected.add(row.file, row.line, bad.field, bad.reason, row.values)
                    except ValidationError as error:
                        rejected.add(row.file, row.line, *first_error(error), row.values)
                    else:
                        yield event
    finally:
        if own:
            rejected.close()


def infer_event_schema(
    paths: Paths,
    *,
    columns: Mapping[str, str] | None = None,
    constants: Mapping[str, Any] | None = None,
    separator: str | None = None,
    header: bool = True,
    encoding: str | None = None,
    timestamps: bool = True,
    actions: Mapping[str, str] | None = None,
    zone: tzinfo = UTC,
    day_first: bool | None = None,
    progress: Progress | None = None,
) -> EventSchema:
    """Read files of events once, to know what `read_events` needs: what only all lines together show. Memory is flat.

    zone: of times that name none. day_first: whether 01/02/2021 is in February, None for what the files show. The other options
    are those of `read_events`.
    """
    plan = _event_columns(columns or {}, constants or {}, timestamps)
    reader = _RowReader(plan, timestamps, ActionMapping(actions), EventSchema())
    tallies = EventSchemaInference(day_first)
    for table in open_tables(as_paths(paths), Dialect(separator, header, encoding), RejectedRows(write=False), progress):
        found, rows = resolve_columns(table, plan)
        reader.use(found)
        for row in rows:
            try:
                lines = reader.lines(row.values)
            except (InvalidValue, _SkippedEvent):
                continue
            for given in lines:
                tallies.add(given)
    return tallies.decide(zone)


def _event_columns(columns: Mapping[str, str], constants: Mapping[str, Any], timestamps: bool) -> ColumnMapping:
    required: tuple[tuple[str, ...], ...] = (("event_type",), _ACTOR_FIELDS)
    if timestamps:
        required = (*required, ("timestamp",))
    return ColumnMapping(EVENT_FIELDS, columns, constants, required)


def _split_order(given: Mapping[str, Any], listed: Sequence[Any]) -> list[dict[str, Any]]:
    """One event's fields for each item of its list. Each has the time of the event, an amount and an id of its own."""
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


def _is_page_view(action: Any) -> bool:
    return re.sub(r"[\W_]+", "", str(action)).lower() in PAGE_VIEW_ACTIONS


def _quoted(name: str) -> str:
    """A name as a shell takes it."""
    return shlex.quote(f'"{name}"' if "," in name else name)
