"""A look at all times of a column, for what a single one leaves open: whether days stand before months, and the unit."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, tzinfo
from typing import Any

from es_recsys.values.nulls import stripped
from es_recsys.values.times import TimeFormat, number_unit, parse_time, parse_time_parts

__all__ = ["TimeFormatInference"]

_NUMERIC_DATE = re.compile(r"[0-9]{1,2}[-/.][0-9]{1,2}[-/.][0-9]{2,4}(?![0-9])", re.ASCII)
_AM_PM = re.compile(r"[AaPp]\.?[Mm]\.?$")
_EPOCH_SECONDS_DIGITS = (9, 11)  # digits of epoch seconds from 1973 to 5138
_SPREADSHEET_DAYS = (20_000, 80_000)  # days since 1899: 1954 to 2119


class TimeFormatInference:
    """Infers how the times of one column are written, over all files.

    day_first: what a person says of dates such as 01/02/2021; None for what the column shows.
    """

    __slots__ = ("_day", "_halves", "_month", "_numbers", "_others", "_sheet", "_sizes", "_unsure", "day_first")

    def __init__(self, day_first: bool | None = None) -> None:
        self.day_first = day_first
        self._day = self._month = self._halves = 0
        self._numbers = self._others = 0
        self._sheet: str | None = None
        self._unsure: str | None = None
        self._sizes: dict[int, Any] = {}  # digits -> the first number with so many

    def add(self, value: Any) -> None:
        if isinstance(value, str):
            self._add_text(value)
        elif type(value) is int or type(value) is float:
            self._add_number(value, value)

    def add_all(self, values: Sequence[Any]) -> None:
        """Look at many values, as `add` does; most are ISO 8601 and settle nothing."""
        left = [value for value in values if type(value) is not str or value[4:5] != "-" or not value[:4].isdigit()]
        self._others += len(values) - len(left)
        for value in left:
            self.add(value)

    def _add_text(self, value: str) -> None:
        # ISO 8601 and epoch times, which are nearly all there are, settle nothing: leave early.
        if value[:4].isdigit() and (value[4:5] == "-" or (len(value) > 8 and value.isdigit())):
            self._others += 1
            if value[4:5] != "-" and len(value) not in self._sizes:
                self._sizes[len(value)] = value
            return
        text = stripped(value)
        if _NUMERIC_DATE.match(text):
            self._others += 1
            it = parse_time_parts(text)
            if it is None or not it.separator:
                return
            if it.first > 12:
                self._day += 1
            elif it.second > 12:
                self._month += 1
            elif it.first != it.second:
                if _AM_PM.search(text):
                    self._halves += 1
                if self._unsure is None or (it.separator == "/" and "/" not in self._unsure):
                    self._unsure = text
            return
        try:
            number = float(text)
        except ValueError:
            self._others += bool(text)
        else:
            self._add_number(number, text)

    def _add_number(self, number: float, shown: Any) -> None:
        if number != number:
            return
        self._numbers += 1
        if math.isfinite(number) and (size := len(str(abs(int(number))))) not in self._sizes:
            self._sizes[size] = shown
        if _SPREADSHEET_DAYS[0] <= number < _SPREADSHEET_DAYS[1]:
            self._sheet = self._sheet or str(shown)
        else:
            self._others += 1

    def infer(self, zone: tzinfo = UTC) -> TimeFormat:
        """Return the format that the values show. zone: of times that name none."""
        return TimeFormat(zone, self._day_first(), self._is_serial())

    def notes(self, name: str) -> Iterator[str]:
        """Yield what was inferred of the column `name`, a line each."""
        yield from filter(None, (self._note_of_numbers(name), self._note_of_days(name)))

    def _note_of_numbers(self, name: str) -> str | None:
        """Return how numbers are read that are no epoch seconds of our days, or not all."""
        if self._is_serial():
            return f"{name}: numbers such as {self._sheet} are read as the days of a spreadsheet."
        if all(_EPOCH_SECONDS_DIGITS[0] <= size <= _EPOCH_SECONDS_DIGITS[1] for size in self._sizes):
            return None
        units: dict[str, str] = {}
        for shown in self._sizes.values():
            try:
                moment, unit = parse_time(shown), number_unit(shown)
            except ValueError:
                continue
            if moment is not None and unit not in units:
                units[unit] = f"{shown} is read as {moment:%Y-%m-%d %H:%M:%S} ({unit})"
        return f"{name}: {'; '.join(units.values())}." if units else None

    def _note_of_days(self, name: str) -> str | None:
        """Return what dates are that can be read two ways."""
        if self.day_first is not None:
            return None
        if self._day and self._month:
            kept, odd = max(self._day, self._month), min(self._day, self._month)
            which = "days" if self._day >= self._month else "months"
            return f"{name}: {kept:,} dates have their {which} first and {odd:,} have not; those that can be either are read so."
        if self._unsure is None:
            return None
        it = parse_time_parts(self._unsure)
        if it is None:
            return None
        day, month = (it.first, it.second) if self._day_first() else (it.second, it.first)
        read = datetime(it.year, month, day, tzinfo=UTC)
        shown = "no date shows whether its day or its month comes first"
        if self._day or self._month:
            shown = f"other dates show that the {'day' if self._day else 'month'} comes first"
        return (
            f"{name}: {shown}; {self._unsure} is read as {read:%-d %B %Y}."
            f" Say --{'month' if self._day_first() else 'day'}-first where that is wrong."
        )

    def _is_serial(self) -> bool:
        return self._sheet is not None and not self._others

    def _day_first(self) -> bool | None:
        if self.day_first is not None:
            return self.day_first
        if self._day or self._month:
            return self._day >= self._month
        if self._unsure is None:
            return None
        return not self._halves
