"""Time zones by name or offset, and whether a time names its own."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from es_recsys.values.nulls import stripped

__all__ = ["is_naive", "parse_offset", "parse_timezone"]

_OFFSET = re.compile(r"(?:UTC|GMT)?\s*([+-])(\d{1,2})(?::?(\d{2}))?", re.ASCII)
_MOST_EASTERN = timedelta(hours=14)
_ENDS_WITH_ZONE = re.compile(r"(?:[Zz]|[+-]\d{2}:?\d{2}|[+-]\d{2}|[A-Za-z]{3,5}|[\])])$", re.ASCII)
_EPOCH = re.compile(r"[+-]?\d+(?:\.\d*)?", re.ASCII)
_DATE_LENGTH = 10  # "2024-01-31" ends like an offset


def parse_timezone(text: str) -> tzinfo:
    """Parse `Asia/Tokyo`, `tokyo`, `UTC`, `+09:00`, `UTC+9`. Raises ValueError for what names no zone, or several."""
    name = stripped(text)
    if name.upper() in ("UTC", "Z", "GMT"):
        return UTC
    offset = parse_offset(name.upper())
    if offset is not None and abs(offset) <= _MOST_EASTERN:
        return timezone(offset)
    wanted = name.replace(" ", "_").lower()
    known = available_timezones()
    named = [zone for zone in known if zone.lower() == wanted] or [zone for zone in known if zone.lower().endswith(f"/{wanted}")]
    if not wanted or len(named) != 1:
        raise ValueError(f"{text!r} is no time zone; write one like Asia/Tokyo, Europe/Berlin, UTC or +09:00")
    return ZoneInfo(named[0])


def parse_offset(text: str) -> timedelta | None:
    """Parse `+09:00`, `-0530`, `UTC+9`; None for another text."""
    found = _OFFSET.fullmatch(text)
    if found is None:
        return None
    sign, hours, minutes = found.groups()
    offset = timedelta(hours=int(hours), minutes=int(minutes or 0))
    return -offset if sign == "-" else offset


def is_naive(value: Any) -> bool:
    """Return whether a time names no zone, as `2024-01-31 10:00` and a datetime without one; seconds since 1970 need none."""
    if isinstance(value, datetime):
        return value.tzinfo is None
    if not isinstance(value, str):
        return False
    text = stripped(value)
    if _EPOCH.fullmatch(text):
        return len(text) in (8, 12, 14) and text.startswith(("19", "20"))  # 20240131101500
    return len(text) <= _DATE_LENGTH or _ENDS_WITH_ZONE.search(text) is None
