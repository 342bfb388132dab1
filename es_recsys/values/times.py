"""Times as databases, trackers, spreadsheets and people write them -> aware UTC datetimes, no digit lost above microseconds."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from decimal import Decimal
from functools import lru_cache
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from es_recsys.values.nulls import is_null, stripped
from es_recsys.values.timezones import parse_offset

__all__ = ["TimeFormat", "TimeParts", "epoch_seconds", "number_unit", "parse_time", "parse_time_parts"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SPREADSHEET_EPOCH = datetime(1899, 12, 30)  # noqa: DTZ001 (a spreadsheet's days have no zone)
_FIRST_YEAR, _LAST_YEAR = 1000, 2199
_HINT = "write it as 2021-01-29T07:01:00Z (ISO 8601) or as epoch seconds"

_NUMBER = re.compile(r"[+-]?[0-9]+(?:\.[0-9]*)?(?:[eE]\+?[0-9]{1,2})?", re.ASCII)
_ZERO_DATE = re.compile(r"0{1,4}[-/.]0{1,2}[-/.]0{1,4}(?:[T ].*)?")
_YMD = re.compile(r"(?P<y>[0-9]{4})(?P<sep>[-/.])(?P<m>[0-9]{1,2})(?:(?P=sep)(?P<d>[0-9]{1,2}))?(?![0-9])", re.ASCII)
_ORDINAL = re.compile(r"(?P<y>[0-9]{4})-(?P<n>[0-9]{3})(?![0-9])", re.ASCII)
_DMY = re.compile(r"(?P<a>[0-9]{1,2})(?P<sep>[-/.])(?P<b>[0-9]{1,2})(?P=sep)(?P<y>[0-9]{4}|[0-9]{2})(?![0-9])", re.ASCII)
_MY = re.compile(r"(?P<m>[0-9]{1,2})[-/.](?P<y>[0-9]{4})(?![0-9])", re.ASCII)
_NAMED = re.compile(
    r"(?:(?P<d1>[0-9]{1,2})(?:st|nd|rd|th|er|\.)?(?:\s+de)?[\s/-]+)?(?P<name>[^\W\d_]{3,10})\.?,?(?:\s+de)?[\s/-]+"
    r"(?(d1)|(?:(?P<d2>[0-9]{1,2})(?:st|nd|rd|th)?(?![0-9:])[\s,/-]+)?)(?:(?P<y>[0-9]{4}(?![0-9])|[0-9]{2}(?![0-9:.])))?"
)
_WEEKDAY = re.compile(r"[^\W\d_]{2,10}\.?,?\s+(?=[^\W\d_]{3}|[0-9]{1,2}[\s./-])")
_CLOCK = re.compile(
    r"(?P<h>[0-9]{1,2})(?P<c>[:.])(?P<m>[0-9]{2})(?:(?P=c)(?P<s>[0-9]{2})(?:[.,](?P<f>[0-9]{1,9}))?)?(?:\s*(?P<half>[AaPp])\.?[Mm]\.?)?",
    re.ASCII,
)
_BRACKET = re.compile(r"\s*[\[(](?P<name>[^\])]*)[\])]$")

_MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "jan january januar januari janvier janv enero ene gennaio gen janeiro",
            "feb february februar februari février févr fév fevrier febrero febbraio fevereiro fev",
            "mar march märz maart mars marzo março marco mrz mrt",
            "apr april avril avr abril abr aprile",
            "may mai mei mayo maggio mag maio",
            "jun june juni juin junio giugno giu junho",
            "jul july juli juillet juil julio luglio lug julho",
            "aug august augustus août aout agosto ago",
            "sep sept september septembre septiembre settembre set setembro",
            "oct october oktober okt octobre octubre ottobre ott outubro out",
            "nov november novembre noviembre novembro",
            "dec december dezember dez décembre déc decembre diciembre dic dicembre dezembro",
        ),
        start=1,
    )
    for name in names.split()
}
_ZONE_OFFSETS = {
    "Z": 0, "UTC": 0, "GMT": 0, "UT": 0, "WET": 0, "WEST": 1, "CET": 1, "CEST": 2, "MEZ": 1, "MESZ": 2, "EET": 2, "EEST": 3,
    "MSK": 3, "JST": 9, "KST": 9, "EST": -5, "EDT": -4, "CDT": -5, "MST": -7, "MDT": -6, "PST": -8, "PDT": -7, "AEST": 10,
    "AEDT": 11, "AWST": 8, "NZST": 12, "NZDT": 13, "BRT": -3, "HKT": 8, "SGT": 8,
}  # fmt: skip
_UNITS = {6: "seconds", 3: "milliseconds", 0: "microseconds", -3: "nanoseconds"}
_AMBIGUOUS_ZONES = frozenset({"CST", "IST", "BST", "AST", "ECT", "AMT", "SST", "GST", "PHT"})


@dataclass(frozen=True, slots=True)
class TimeFormat:
    """How the times of one column are written.

    zone: of times that name none. day_first: what 01/02/2021 is: 1 February (True), January 2 (False), or, where it is None,
    a day first with points and dashes between and no reading with strokes. serial: whether numbers are the days of a
    spreadsheet (45292.5 is 2024-01-01 12:00).
    """

    zone: tzinfo = UTC
    day_first: bool | None = None
    serial: bool = False


class TimeParts(NamedTuple):
    """A text taken apart. first, second: the two numbers that are day and month in an order to be settled."""

    year: int
    first: int
    second: int
    separator: str  # between the numbers; "" where day (first) and month (second) are known
    clock: re.Match[str] | None
    zone: str


def parse_time(value: Any, time_format: TimeFormat = TimeFormat()) -> datetime | None:
    """Return an aware UTC datetime, None where the value means nothing (0000-00-00 too).

    Numbers, also as text: seconds, milliseconds, microseconds or nanoseconds since 1970 by their size (below 1e11, 1e14,
    1e17), but a year (1995), 202301, 20230115, 202301151015 and 20230115101500 where they can be one. Texts: ISO 8601 in all
    its forms, and what databases, spreadsheets, logs, mails and browsers write. Raises ValueError.
    """
    if type(value) is datetime:
        return value if value.tzinfo is UTC else _to_utc(value, time_format)
    if isinstance(value, str):
        # Nearly all times are ISO 8601 with a year that no other form begins with.
        if value[4:5] == "-" == value[7:8] and value[0] in "12":
            try:
                return _to_utc(datetime.fromisoformat(value), time_format)
            except ValueError:
                pass
        text = stripped(value)
        if is_null(text) or _ZERO_DATE.fullmatch(text):
            return None
        if _NUMBER.fullmatch(text):
            return _to_utc(_from_number(Decimal(text), time_format), time_format)
        return _to_utc(_from_text(text, time_format), time_format)
    if isinstance(value, bool):
        raise ValueError(f"is not a time: {_HINT}")
    if is_null(value):
        return None
    if hasattr(value, "to_pydatetime"):  # a Timestamp of pandas
        value = value.to_pydatetime(warn=False)
    elif hasattr(value, "dtype") and hasattr(value, "item"):  # a scalar of numpy
        value = value.item()
    if isinstance(value, int | float | Decimal):
        return _to_utc(_from_number(Decimal(value), time_format), time_format)
    if isinstance(value, datetime):
        return _to_utc(value, time_format)
    if isinstance(value, date):
        return _to_utc(datetime(value.year, value.month, value.day), time_format)  # noqa: DTZ001
    raise ValueError(f"is not a time: {_HINT}")


def number_unit(value: Any) -> str:
    """Return what a number, also as text, counts as a time, in words. Raises ValueError."""
    try:
        number = Decimal(value)
    except ArithmeticError:
        raise ValueError(f"is not a time: {_HINT}") from None
    if number == number.to_integral_value() and _from_digits(str(int(number))) is not None:
        return "digits of a date"
    return f"{_UNITS[_digits_to_microseconds(number)]} since 1970"


def _to_utc(moment: datetime, time_format: TimeFormat) -> datetime:
    if (moment.tzinfo or time_format.zone) is UTC:
        return moment if moment.tzinfo is UTC else moment.replace(tzinfo=UTC)
    try:
        return (moment if moment.tzinfo is not None else moment.replace(tzinfo=time_format.zone)).astimezone(UTC)
    except (OverflowError, ValueError):
        raise ValueError(f"is not a time: {_HINT}") from None


def _from_number(number: Decimal, time_format: TimeFormat) -> datetime:
    if not number.is_finite() or abs(number) >= 10**20:
        raise ValueError(f"is not a time: {_HINT}")
    if time_format.serial:
        try:
            return _SPREADSHEET_EPOCH + timedelta(seconds=round(float(number) * 86_400, 3))
        except OverflowError:
            raise ValueError(f"is not a time: {_HINT}") from None
    if number == number.to_integral_value() and (digits := _from_digits(str(int(number)))) is not None:
        return digits
    size = abs(number)
    if 20_000 <= size < 80_000:
        raise ValueError("looks like the days of a spreadsheet (45292.5); export the column as a date")
    try:
        return _EPOCH + timedelta(microseconds=int(number.scaleb(_digits_to_microseconds(number))))
    except OverflowError:
        raise ValueError(f"is not a time: {_HINT}") from None


def _digits_to_microseconds(number: Decimal) -> int:
    """Return the digits between the unit of an epoch time and microseconds."""
    size = abs(number)
    return 6 if size < 10**11 else 3 if size < 10**14 else 0 if size < 10**17 else -3


def _from_digits(digits: str) -> datetime | None:
    """Return a date written in digits alone, None where they can't be one."""
    if len(digits) not in (4, 6, 8, 12, 14) or not _FIRST_YEAR <= int(digits[:4]) <= _LAST_YEAR:
        return None
    if len(digits) > 4 and int(digits[:4]) < 1900:
        return None
    parts = [int(digits[:4]), *(int(digits[start : start + 2]) for start in range(4, len(digits), 2))]
    try:
        return datetime(*(parts + [1, 1][: max(3 - len(parts), 0)]))  # type: ignore[arg-type]  # noqa: DTZ001
    except ValueError:
        return None


def _from_text(text: str, time_format: TimeFormat) -> datetime:
    try:
        if text.endswith(" UTC"):
            return datetime.fromisoformat(text[:-4]).replace(tzinfo=UTC)
        return datetime.fromisoformat(text)
    except ValueError:
        it = parse_time_parts(text)
    if it is None:
        raise ValueError(f"is not a time: {_HINT}")
    day, month = _day_and_month(it, time_format.day_first)
    hour, minute, second, micros = _time_of_day(it.clock)
    midnight = timedelta(days=1) if (hour, minute, second, micros) == (24, 0, 0, 0) else timedelta()
    try:
        moment = datetime(it.year, month, day, 0 if midnight else hour, minute, second, micros) + midnight  # noqa: DTZ001
    except (ValueError, OverflowError) as error:
        raise ValueError(f"is not a time ({error}): {_HINT}") from None
    return moment.replace(tzinfo=_parse_zone(it.zone)) if it.zone else moment


def parse_time_parts(text: str) -> TimeParts | None:
    """Return the parts of a time that is not ISO 8601, None where it has no known form."""
    text = text.replace("年", "-").replace("月", "-").replace("日", " ").strip().rstrip("-")
    zone = ""
    if (bracket := _BRACKET.search(text)) is not None:
        # Java's zone behind an offset, a browser's words for one.
        zone, text = bracket["name"], text[: bracket.start()]
    found = _date(text)
    if found is None:
        return None
    (year, first, second, separator), rest = found
    rest = rest.lstrip(" T,:").removeprefix("at ").lstrip()
    clock = _CLOCK.match(rest)
    if clock is not None:
        rest = rest[clock.end() :].strip()
    if year is None:
        # "Fri Jan 29 07:01:00 UTC 2021": the year comes last.
        head, _, tail = rest.rpartition(" ")
        if not (tail.isdigit() and len(tail) == 4):
            return None
        year, rest = int(tail), head.strip()
    if rest and parse_offset(rest) is None and not _is_zone(rest):
        return None
    return TimeParts(year, first, second, separator, clock, rest or (zone if _is_zone(zone) else ""))


def _date(text: str) -> tuple[tuple[int | None, int, int, str], str] | None:
    if (match := _ORDINAL.match(text)) and 1 <= (days := int(match["n"])) <= 366 and 0 < int(match["y"]) < 9999:
        on = date(int(match["y"]), 1, 1) + timedelta(days=days - 1)
        return (on.year, on.day, on.month, ""), text[match.end() :]
    if match := _YMD.match(text):
        return (int(match["y"]), int(match["d"] or 1), int(match["m"]), ""), text[match.end() :]
    if match := _DMY.match(text):
        if len(match["y"]) == 2 and match["sep"] == "-":
            return None
        return (_year(match["y"]), int(match["a"]), int(match["b"]), match["sep"]), text[match.end() :]
    if match := _MY.match(text):
        return (int(match["y"]), 1, int(match["m"]), ""), text[match.end() :]
    for start in (0, match.end()) if (match := _WEEKDAY.match(text)) else (0,):
        if (named := _NAMED.match(text, start)) and (month := _MONTHS.get(named["name"].lower())):
            if (day := named["d1"] or named["d2"]) is None and named["y"] is None:
                continue
            return (_year(named["y"]) if named["y"] else None, int(day or 1), month, ""), text[named.end() :]
        if start and (inner := _YMD.match(text, start) or _DMY.match(text, start)):
            return _date(text[inner.start() :])
    return None


def _year(digits: str) -> int:
    year = int(digits)
    return year if len(digits) == 4 else year + (2000 if year < 69 else 1900)  # as POSIX does


def _day_and_month(it: TimeParts, day_first: bool | None) -> tuple[int, int]:
    if not it.separator or it.first > 12 or it.first == it.second:
        return it.first, it.second
    if it.second > 12:
        return it.second, it.first
    if day_first is None:
        if it.separator == "/":
            raise ValueError(
                f"is not a time: day and month can be either way round; write it as {it.year}-{it.first:02}-{it.second:02}"
                f" or {it.year}-{it.second:02}-{it.first:02}"
            )
        day_first = True
    return (it.first, it.second) if day_first else (it.second, it.first)


def _time_of_day(clock: re.Match[str] | None) -> tuple[int, int, int, int]:
    if clock is None:
        return 0, 0, 0, 0
    hour = int(clock["h"])
    if clock["half"]:
        if not 1 <= hour <= 12:
            raise ValueError(f"is not a time: {_HINT}")
        hour = hour % 12 + (12 if clock["half"] in "pP" else 0)
    return hour, int(clock["m"]), int(clock["s"] or 0), int((clock["f"] or "").ljust(6, "0")[:6])


def _is_zone(name: str) -> bool:
    return name.upper() in _ZONE_OFFSETS or name.upper() in _AMBIGUOUS_ZONES or ("/" in name and _named_zone(name) is not None)


def _parse_zone(name: str) -> tzinfo:
    if name.upper() in _ZONE_OFFSETS:
        return timezone(timedelta(hours=_ZONE_OFFSETS[name.upper()]))
    if (offset := parse_offset(name)) is not None:
        if abs(offset) >= timedelta(days=1):
            raise ValueError(f"is not a time (its offset is {name}): {_HINT}")
        return timezone(offset)
    zone = _named_zone(name)
    if zone is None:
        raise ValueError(f"is not a time: the zone {name} has several meanings; {_HINT}")
    return zone


@lru_cache(maxsize=512)
def _named_zone(name: str) -> tzinfo | None:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # ZoneInfoNotFoundError is a KeyError
        return None


def epoch_seconds(stored: Any) -> float:
    """Return the epoch seconds of a date as Elasticsearch stores it, ISO 8601 or milliseconds; NaN where it is none."""
    try:
        return stored / 1_000.0 if isinstance(stored, int | float) else datetime.fromisoformat(stored).timestamp()
    except (TypeError, ValueError, OverflowError):
        return float("nan")
