"""Times in the forms that exports have."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from es_recsys.values import TimeFormat, TimeFormatInference, parse_time

MOMENT = datetime(2021, 1, 29, 7, 1, tzinfo=UTC)
DAY = datetime(2021, 1, 29, tzinfo=UTC)
SECONDS = int(MOMENT.timestamp())


@pytest.mark.parametrize(
    "value",
    [
        "2021-01-29T07:01:00Z",
        "2021-01-29 07:01",
        "2021-01-29 7:01",
        "2021-01-29 07:01:00 UTC",
        "2021-01-29 07:01:00 GMT",
        "2021-01-29 07:01:00 +0000",
        "2021-01-29 07:01:00.000000 UTC",
        "2021-01-29T08:01:00+01:00",
        "2021-01-29T08:01:00+01:00[Europe/Berlin]",
        "2021-01-29 08:01:00 Europe/Berlin",
        "2021-01-29 08:01:00 CET",
        "2021-01-28 23:01:00 PST",
        "20210129T070100Z",
        "20210129 070100",
        "202101290701",
        20210129070100,
        "2021/01/29 07:01",
        "2021.01.29 07:01",
        "29-01-2021 07:01",
        "29.01.2021 07:01",
        "29.1.2021 7.01",
        "29/01/2021 07:01",
        "01/29/2021 07:01 AM",
        "1/29/21 7:01",
        "29/Jan/2021:07:01:00 +0000",
        "29-JAN-21 07.01.00.000000 AM",
        "Jan 29, 2021 7:01 am",
        "29 Jan 2021 07:01",
        "29. Januar 2021, 07:01",
        "29 janvier 2021 07:01",
        "29 de enero de 2021 07:01",
        "Fri, 29 Jan 2021 07:01:00 +0000",
        "Fri Jan 29 07:01:00 2021",
        "Fri Jan 29 07:01:00 UTC 2021",
        "Fri Jan 29 2021 08:01:00 GMT+0100 (Central European Standard Time)",
        "2021年1月29日 07:01",
        SECONDS,
        SECONDS * 10**3,
        SECONDS * 10**6,
        SECONDS * 10**9,
        float(SECONDS),
        str(SECONDS),
        f"{SECONDS}.0",
        str(SECONDS * 10**3),
        str(SECONDS * 10**6),
        str(SECONDS * 10**9),
        Decimal(SECONDS),
        np.int64(SECONDS),
        np.datetime64("2021-01-29T07:01:00"),
        MOMENT.astimezone(timezone(timedelta(hours=9))),
        MOMENT.replace(tzinfo=None),
        " 2021-01-29T07:01:00Z ",
    ],
)
def test_one_moment(value: Any) -> None:
    assert parse_time(value) == MOMENT


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        ("1995", datetime(1995, 1, 1, tzinfo=UTC)),
        (1995, datetime(1995, 1, 1, tzinfo=UTC)),
        ("1995.0", datetime(1995, 1, 1, tzinfo=UTC)),
        (1995.0, datetime(1995, 1, 1, tzinfo=UTC)),
        ("202101", datetime(2021, 1, 1, tzinfo=UTC)),
        ("2021-01", datetime(2021, 1, 1, tzinfo=UTC)),
        ("January 2021", datetime(2021, 1, 1, tzinfo=UTC)),
        ("20210129", DAY),
        (20210129, DAY),
        (20210129.0, DAY),
        (date(2021, 1, 29), DAY),
        ("2021-1-29", DAY),
        ("2021-029", DAY),
        ("2021-W04-5", DAY),
        ("2021-01-28 24:00:00", DAY),
        ("29-Jan-2021", DAY),
        ("4th July 2021", datetime(2021, 7, 4, tzinfo=UTC)),
        (-500_000_000, datetime(1954, 2, 26, 23, 6, 40, tzinfo=UTC)),
        (978_300_760, datetime(2000, 12, 31, 22, 12, 40, tzinfo=UTC)),
        ("1611903660123456789", datetime(2021, 1, 29, 7, 1, 0, 123_456, tzinfo=UTC)),
    ],
)
def test_others(value: Any, wanted: datetime) -> None:
    assert parse_time(value) == wanted


@pytest.mark.parametrize("value", [None, "", "NULL", "NaT", "nan", "0000-00-00", "0000-00-00 00:00:00", "00/00/0000", "-"])
def test_no_time(value: Any) -> None:
    assert parse_time(value) is None


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("soon", "2021-01-29T07:01:00Z"),
        ("12:30", "2021-01-29T07:01:00Z"),
        (True, "ISO 8601"),
        ([2021], "ISO 8601"),
        (float("inf"), "ISO 8601"),
        (10**25, "ISO 8601"),
        ("2021-02-30", "day is out of range"),
        ("01/02/2021", "2021-01-02 or 2021-02-01"),
        ("2021-01-29 07:01 CST", "several meanings"),
        ("45292.5", "days of a spreadsheet"),
        (45292, "days of a spreadsheet"),
        ("2021-01-29 07:01 nonsense", "ISO 8601"),
    ],
)
def test_what_is_no_time(value: Any, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_time(value)


def decided(values: list[Any]) -> tuple[TimeFormat, str | None]:
    inference = TimeFormatInference()
    for value in values:
        inference.add(value)
    return inference.infer(), " ".join(inference.notes("timestamp")) or None


@pytest.mark.parametrize(
    ("values", "day_first", "told"),
    [
        (["01/02/2021", "25/02/2021"], True, "day comes first; 01/02/2021 is read as 1 February 2021. Say --month-first"),
        (["01/02/2021", "02/25/2021"], False, "month comes first; 01/02/2021 is read as 2 January 2021. Say --day-first"),
        (["01/02/2021", "01/03/2021 5:00 PM"], False, "2 January 2021"),
        (["01/02/2021"], True, "1 February 2021"),
        (["01/02/2021", "25/02/2021", "26/02/2021", "02/27/2021"], True, "1 have not"),
        (["05/05/2021"], None, None),
        (["2021-01-02", 1_611_903_660], None, None),
    ],
)
def test_which_comes_first(values: list[Any], day_first: bool | None, told: str | None) -> None:
    form, note = decided(values)
    assert form.day_first is day_first
    assert (note is None) if told is None else (told in (note or ""))


def test_what_a_person_says_of_dates_stands() -> None:
    for said in (True, False):
        inference = TimeFormatInference(said)
        inference.add("01/02/2021")
        assert inference.infer().day_first is said
        assert list(inference.notes("timestamp")) == []


@pytest.mark.parametrize(("first", "month"), [(True, 2), (False, 1), (None, 2)])
def test_the_form_of_a_column_settles_dates(first: bool | None, month: int) -> None:
    assert parse_time("01-02-2021", TimeFormat(day_first=first)) == datetime(2021, month, 3 - month, tzinfo=UTC)


def test_days_of_a_spreadsheet() -> None:
    form, note = decided(["45292.5", 45293, ""])
    assert form.serial
    assert "45292.5" in (note or "")
    assert parse_time("45292.5", form) == datetime(2024, 1, 1, 12, tzinfo=UTC)
    assert not decided(["45292.5", 1_611_903_660])[0].serial


def test_times_without_a_zone_are_of_the_given_one() -> None:
    form = TimeFormat(zone=ZoneInfo("Asia/Tokyo"))
    assert parse_time("2021-01-29 16:01", form) == parse_time("29.01.2021 16:01", form) == MOMENT
    assert parse_time("2021-01-29 07:01 UTC", form) == parse_time(SECONDS, form) == parse_time(MOMENT, form) == MOMENT


@given(st.integers(10**14, 4 * 10**15))
def test_no_microsecond_is_lost(micros: int) -> None:
    aware = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros)
    assert parse_time(micros) == parse_time(str(micros)) == aware
    moment = aware.replace(tzinfo=None)
    assert parse_time(moment.isoformat(" ") + " UTC") == parse_time(moment.strftime("%d.%m.%Y %H:%M:%S.%f")) == aware


@given(st.text(max_size=30) | st.integers() | st.floats() | st.text("0123456789-/.: T+ZUC", max_size=20))
def test_everything_else_is_refused_in_plain_words(value: Any) -> None:
    try:
        moment = parse_time(value)
    except ValueError as error:
        assert "time" in str(error) or "spreadsheet" in str(error)
    else:
        assert moment is None or moment.tzinfo is UTC


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ([1_611_903_660, "1611903661"], []),
        (["2021-01-29", "2021-01-30T07:01:00Z"], []),
        (["1611903660000"], ["t: 1611903660000 is read as 2021-01-29 07:01:00 (milliseconds since 1970)."]),
        ([1_611_903_660_000_000], ["t: 1611903660000000 is read as 2021-01-29 07:01:00 (microseconds since 1970)."]),
        (["20210129"], ["t: 20210129 is read as 2021-01-29 00:00:00 (digits of a date)."]),
        ([2021], ["t: 2021 is read as 2021-01-01 00:00:00 (digits of a date)."]),
        ([17], ["t: 17 is read as 1970-01-01 00:00:17 (seconds since 1970)."]),
        (
            [1_611_903_660, 1_611_903_660_000],
            [
                "t: 1611903660 is read as 2021-01-29 07:01:00 (seconds since 1970);"
                " 1611903660000 is read as 2021-01-29 07:01:00 (milliseconds since 1970)."
            ],
        ),
        ([float("inf"), "inf", "1e400", 10**30], []),
    ],
)
def test_the_unit_of_numbers_is_told(values: list[Any], told: list[str]) -> None:
    inference = TimeFormatInference()
    for value in values:
        inference.add(value)
    assert list(inference.notes("t")) == told
