from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

from es_recsys.values.timezones import is_naive, parse_timezone


@pytest.mark.parametrize(
    ("text", "hours"),
    [
        ("UTC", 0),
        ("z", 0),
        ("Asia/Tokyo", 9),
        ("asia/tokyo", 9),
        ("Tokyo", 9),
        ("+09:00", 9),
        ("UTC+5:30", 5.5),
        ("-0800", -8),
        ("+9", 9),
    ],
)
def test_zones(text: str, hours: float) -> None:
    assert datetime(2024, 1, 1, tzinfo=parse_timezone(text)).utcoffset() == timedelta(hours=hours)


def test_a_named_zone_knows_summer() -> None:
    assert parse_timezone("new york") == ZoneInfo("America/New_York")


@pytest.mark.parametrize("text", ["", "Mars/Base", "+25:00", "tokio", "+09:00:00"])
def test_what_is_no_zone(text: str) -> None:
    with pytest.raises(ValueError, match="no time zone"):
        parse_timezone(text)


@pytest.mark.parametrize(
    ("value", "local"),
    [
        ("2024-01-31T10:00:00", True),
        ("2024-01-31 10:00", True),
        ("2024-01-31", True),
        ("31/01/2024", True),
        ("20240131101500", True),
        ("2024-01-31T10:00:00.123", True),
        ("2024-01-31T10:00:00Z", False),
        ("2024-01-31T10:00:00+09:00", False),
        ("2024-01-31 10:00:00-0800", False),
        ("2024-01-31 10:00:00 UTC", False),
        ("Wed, 31 Jan 2024 10:00:00 GMT", False),
        ("2024-01-31T10:00:00+09:00[Asia/Tokyo]", False),
        ("1706695200", False),
        (1_706_695_200, False),
        (datetime(2024, 1, 31), True),  # noqa: DTZ001
        (datetime(2024, 1, 31, tzinfo=UTC), False),
        (datetime(2024, 1, 31, tzinfo=timezone(timedelta(hours=9))), False),
        (None, False),
    ],
)
def test_times_that_name_no_zone(value: object, local: bool) -> None:
    assert is_naive(value) is local
