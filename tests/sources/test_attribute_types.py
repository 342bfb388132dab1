"""Types of attributes."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from es_recsys.sources.attribute_types import TypeInference, TypeMismatch, convert
from es_recsys.sources.attributes import attribute_name, flatten
from es_recsys.sources.list_cells import split_cell
from es_recsys.sources.row_errors import InvalidValue


def decide(values: list[Any], typed: bool) -> str:
    inference = TypeInference()
    for value in values:
        inference.add(value, typed)
    return inference.infer()


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        (["1", "2", " 30 "], "integer"),
        (["1", "2.5", "1e3"], "number"),
        (["-4", "-0.5"], "number"),
        (["007", "8"], "text"),
        (["12345678901234567890"], "text"),
        (["2020-01-01", "2020-01-02T10:00:00Z"], "date"),
        (["2020-13-01"], "text"),
        (["true", "False"], "boolean"),
        (["1", "n/a", "", "-", "NaN"], "integer"),
        (["n/a", ""], "text"),
        (["1", "two"], "text"),
        ([["1", "2"], "3"], "number"),
        ([["01", "2"]], "text"),
        ([["a"], "b"], "text"),
        (["3,5", "4"], "text"),
        (["1", "true"], "text"),
        ([], "text"),
    ],
)
def test_kinds_of_csv_columns(cells: list[Any], kind: str) -> None:
    assert decide(cells, typed=False) == kind


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([1, 2], "integer"),
        ([1, 2.0], "number"),
        ([2**63, 1], "text"),
        (["1", "2"], "text"),
        ([True, False], "boolean"),
        ([True, 1], "text"),
        (["2020-01-01"], "date"),
        ([date(2020, 1, 1), datetime(2020, 1, 1, tzinfo=UTC)], "date"),
        ([Decimal("1.5")], "number"),
        ([float("nan"), None], "text"),
        ([[1, 2], 3], "number"),
        ([["a"], []], "text"),
        ([["2020-01-01"]], "text"),
    ],
)
def test_kinds_of_typed_columns(values: list[Any], kind: str) -> None:
    assert decide(values, typed=True) == kind


@pytest.mark.parametrize(("wrong", "kind"), [(1, "integer"), (2, "text")])
def test_one_in_a_hundred_may_be_wrong(wrong: int, kind: str) -> None:
    assert decide(["5"] * (100 - wrong) + ["unknown"] * wrong, typed=False) == kind


@pytest.mark.parametrize(
    ("value", "kind", "typed", "wanted"),
    [
        ("5", "integer", False, 5),
        ("5", "number", False, 5.0),
        (5, "number", True, 5.0),
        (5.0, "integer", True, 5),
        (" 5 ", "integer", False, 5),
        ("n/a", "integer", False, None),
        ("n/a", "text", False, "n/a"),
        ("TRUE", "boolean", False, True),
        (True, "text", True, "true"),
        (5, "text", True, "5"),
        (float("nan"), "number", True, None),
        ("", "text", True, None),
        ([], "text", True, None),
        ([None, ""], "text", True, None),
        (["a", "", "b"], "text", True, ("a", "b")),
        (["a", 1], "text", True, ("a", "1")),
        ([1, 2], "number", True, (1.0, 2.0)),
        (["1", "2"], "integer", False, (1.0, 2.0)),
        ("2020-01-01", "date", False, datetime(2020, 1, 1, tzinfo=UTC)),
        ("2020-01-01T02:00:00+02:00", "date", True, datetime(2020, 1, 1, tzinfo=UTC)),
        (date(2020, 1, 1), "date", True, datetime(2020, 1, 1, tzinfo=UTC)),
        (Decimal("1.5"), "number", True, 1.5),
    ],
)
def test_converted(value: Any, kind: str, typed: bool, wanted: Any) -> None:
    got = convert(value, kind, typed)
    assert got == wanted
    assert type(got) is type(wanted)


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("five", "integer"),
        (5.5, "integer"),
        (True, "integer"),
        (2**63, "integer"),
        ("five", "number"),
        (float("inf"), "number"),
        (True, "number"),
        ("yes", "boolean"),
        (1, "boolean"),
        ("soon", "date"),
        (2020, "date"),
        (["2020-01-01"], "date"),
        (["a"], "number"),
    ],
)
def test_mismatches(value: Any, kind: str) -> None:
    with pytest.raises(TypeMismatch):
        convert(value, kind, typed=True)


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("color", "color"),
        ("Screen size (in)", "Screen_size_in"),
        ("größe", "größe"),
        ("specs.weight", "specs.weight"),
        ("attributes.color", "color"),
        ("_id", "id"),
        ("a:b*c", "a_b_c"),
        ("-x", "x"),
    ],
)
def test_names(name: str, wanted: str) -> None:
    assert attribute_name(name) == wanted


@pytest.mark.parametrize("name", ["", ".", "a.", ".a", "a..b", "***", " ", "x" * 129, ".".join("abcdefghijkl")])
def test_refused_names(name: str) -> None:
    with pytest.raises(InvalidValue):
        attribute_name(name)


def test_leaves() -> None:
    value = {"w": 1, "in": {"h": 2}, "v": [{"c": "r", "s": [1, 2]}, {"c": "b"}], "none": [], "l": ["x", "y"]}
    assert dict(flatten("s", value)) == {"s.w": 1, "s.in.h": 2, "s.v.c": ["r", "b"], "s.v.s": [1, 2], "s.l": ["x", "y"]}


@pytest.mark.parametrize(
    ("cell", "wanted"),
    [("a|b", ["a", "b"]), (" a | |b ", ["a", "b"]), ('["a", 1]', ["a", 1]), ("[a", "[a"), ("a", "a"), ('["a|b"]', ["a|b"])],
)
def test_cells(cell: str, wanted: Any) -> None:
    assert split_cell(cell) == wanted
