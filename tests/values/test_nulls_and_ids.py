"""What stands for nothing, and ids in every notation."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from es_recsys.values import IdFormatInference, NullWordInference, is_null, is_null_text, parse_id


@pytest.mark.parametrize(
    "value",
    [
        None,
        float("nan"),
        Decimal("NaN"),
        np.float64("nan"),
        np.datetime64("NaT"),
        "",
        " ",
        "\u00a0",
        "\ufeff",
        "NULL",
        "null",
        "nan",
        "NaN",
        "NaT",
        "\\N",
        "None",
        "none",
        "nil",
        "N/A",
        "NA",
        "#N/A",
        "<NA>",
        "undefined",
        "(not set)",
        "-",
        "–",
        "—",
        " NULL ",
    ],
)
def test_nothing(value: Any) -> None:
    assert is_null(value)
    assert parse_id(value) is None


@pytest.mark.parametrize("value", [0, 0.0, False, "0", "no", "Nancy", "nullable", [], {}, "NaN1"])
def test_something(value: Any) -> None:
    assert not is_null(value)


@pytest.mark.parametrize(
    ("text", "blank"),
    [
        ("NULL", True),
        ("nan", True),
        ("\\N", True),
        ("(not set)", True),
        ("N/A", True),
        ("—", True),
        ("None", False),
        ("NA", False),
        ("Nan", False),
        ("Null", False),
        ("Nil", False),
        ("Naan", False),
    ],
)
def test_words_that_no_text_can_be(text: str, blank: bool) -> None:
    assert is_null_text(text) is blank


def test_a_word_that_names_nothing() -> None:
    inference = NullWordInference(named=False)
    for value in ("None", "NA", "Acme"):
        inference.add(value)
    assert set(inference.infer()) == {"None"}


@pytest.mark.parametrize(
    ("column", "nothing"),
    [
        (["None", "Dune"], set()),
        (["None", "Dune", "None"], {"None"}),
        (["NA", "Acme", "NA", "Zenith"], {"NA"}),
        (["NA", "DE", "NA", "FR", "US"], set()),
        (["NULL", "NULL", "Dune"], set()),
    ],
)
def test_words_of_a_column(column: list[str], nothing: set[str]) -> None:
    inference = NullWordInference()
    for value in column:
        inference.add(value)
    assert set(inference.infer()) == nothing


def read(values: list[Any]) -> list[str | None]:
    inference = IdFormatInference()
    for value in values:
        inference.add(value)
    id_format = inference.infer()
    return [id_format.parse(value) for value in values]


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        ([17, 17.0, "17", " 17 ", "17.0", "17.", "1.7e1", "1.7E+01"], ["17"] * 8),
        (["17.0", "18", ""], ["17", "18", None]),
        (["17.0", "A-18"], ["17.0", "A-18"]),
        (["1.0", "1.0.1"], ["1.0", "1.0.1"]),
        (["007", "7.0"], ["007", "7.0"]),
        (["17.5", "17.0"], ["17.5", "17.0"]),
        (["1e5", "1e5f"], ["1e5", "1e5f"]),
        ([2**63, 2**70, "12345678901234567890123", "12345678901234567890123.0"], None),
        ([Decimal(17), np.int64(17), np.float32(17.0), Decimal("17.00")], ["17"] * 4),
        ([17.5, Decimal("17.5")], ["17.5", "17.5"]),
        ([UUID(int=5)], ["00000000-0000-0000-0000-000000000005"]),
        (["cafe\u0301-1", "caf\u00e9-1"], ["caf\u00e9-1", "caf\u00e9-1"]),
        (["\ufeff17", "17\u200b"], ["17", "17"]),
    ],
)
def test_ids(values: list[Any], wanted: list[str | None] | None) -> None:
    if wanted is None:
        wanted = [str(2**63), str(2**70), "12345678901234567890123", "12345678901234567890123"]
    assert read(values) == wanted


@pytest.mark.parametrize("value", [True, [1], {"a": 1}, float("inf"), b"x", pytest.param(10**5_000, id="long")])
def test_what_is_no_id(value: Any) -> None:
    with pytest.raises(ValueError, match="id"):
        parse_id(value)


def test_ids_that_a_spreadsheet_shortened() -> None:
    inference = IdFormatInference()
    for value in ("4006381333931", "4.00638E+12"):
        inference.add(value)
    assert "4.00638E+12 has lost digits" in next(inference.notes("item_id"))


@given(st.integers(0, 2**200))
def test_no_digit_of_a_whole_number_is_lost(number: int) -> None:
    assert read([number, str(number), f"{number}.0", f" {number} "]) == [str(number)] * 4


@given(st.text(max_size=20))
def test_reading_an_id_twice_changes_nothing(text: str) -> None:
    once = parse_id(text)
    assert once is None or parse_id(once) == once


def test_ids_that_are_read_as_numbers_are_told() -> None:
    inference = IdFormatInference()
    for value in ("17.0", "18", None, "1.9e1"):
        inference.add(value)
    assert list(inference.notes("item_id")) == ["item_id: all ids are whole numbers; 17.0 is read as 17."]
    inference.add("abc")
    assert not list(inference.notes("item_id"))
