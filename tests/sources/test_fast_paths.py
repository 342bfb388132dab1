"""Laws: the short ways that ordinary values take end where the long ones do, whatever the value."""

from __future__ import annotations

import unicodedata
from decimal import Decimal
from typing import Any

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from es_recsys.sources import FieldFormats, ReadOptions, event_rows
from es_recsys.sources.column_mapping import ColumnMapping
from es_recsys.sources.event_rows import EVENT_FIELDS, EventRows
from es_recsys.sources.item_fields import normalize_fields
from es_recsys.sources.list_cells import DEFAULT_FORMATS, parse_labels
from es_recsys.sources.order_lines import find_line_items
from es_recsys.types import Item
from es_recsys.values import (
    DecimalMarkInference,
    IdFormat,
    TimeFormat,
    is_null,
    is_null_label,
    is_null_text,
    parse_bool,
    parse_time,
)
from es_recsys.values.booleans import _FALSE_WORDS, _TRUE_WORDS
from es_recsys.values.nulls import _NULL_TEXTS, NULL_WORDS, stripped

edges = st.sampled_from(["", " ", "\t", "\n", "\u00a0", "\ufeff", "\u200b", "\u3000", "x", ".", "]"])
cases = st.sampled_from([str, str.upper, str.title])
given_words = st.sampled_from(sorted(NULL_WORDS | _NULL_TEXTS | _TRUE_WORDS | _FALSE_WORDS))
words = st.builds(lambda before, word, case, after: before + case(word) + after, edges, given_words, cases, edges)
clocks = st.from_regex(
    r"[ T][0-2][0-9]:[0-5][0-9](:[0-5][0-9](\.[0-9]{1,9})?)?(Z|[+-][01][0-9]:?[0-5][0-9]| UTC)?", fullmatch=True
)
days = st.from_regex(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", fullmatch=True) | st.dates().map(str)
times = st.builds(lambda day, clock, edge: day + clock + edge, days, st.just("") | clocks, edges)
numbers = st.from_regex(r"[+-]?[0-9]{0,20}[.,]?[0-9]{0,8}([eE][+-]?[0-9]{1,2})?", fullmatch=True)
texts = st.text(max_size=30) | words | times | numbers
ZONES = (TimeFormat(), TimeFormat(day_first=True), TimeFormat(serial=True))


def _outcome(read: Any, *args: Any) -> Any:
    try:
        found = read(*args)
    except ValueError as error:
        return str(error)
    return repr(found)


@given(texts)
def test_words_for_nothing_are_told_by_the_whole_text(text: str) -> None:
    plain = stripped(text)
    assert is_null(text) is (not plain or plain.lower() in NULL_WORDS)
    assert is_null_text(text) is (not plain or plain in _NULL_TEXTS)


@given(st.none() | st.booleans() | st.integers() | st.floats() | st.lists(st.floats()) | st.dictionaries(st.text(), st.floats()))
def test_other_values_for_nothing_are_those_unlike_themselves(value: Any) -> None:
    assert is_null(value) is is_null_text(value) is (value is None or bool(value != value))


# A blank around a value changes nothing of it, but for the way that it takes.
@given(texts, st.sampled_from(ZONES))
@example("2024-01-01T10:00:00 UTC", TimeFormat())
@example("1000-01-01T00:00:00+23:59", TimeFormat())
def test_a_time_is_read_alike_both_ways(text: str, form: TimeFormat) -> None:
    assert _outcome(parse_time, text, form) == _outcome(parse_time, f" {text}", form)


@given(texts)
def test_a_flag_is_read_alike_both_ways(text: str) -> None:
    assert _outcome(parse_bool, text) == _outcome(parse_bool, f" {text}")


@given(texts)
def test_a_number_shows_its_mark_alike_both_ways(text: str) -> None:
    inferences = DecimalMarkInference(), DecimalMarkInference()
    for inference, value in zip(inferences, (text, f" {text}"), strict=True):
        inference.assumed = "?"
        inference.add(value)
    assert inferences[0].infer() == inferences[1].infer()
    assert list(inferences[0].notes("price")) == list(inferences[1].notes("price"))


@given(st.from_regex(r"[a-z]?[0-9]{1,4}\.?[0-9]{0,3}([eE]\+?[0-9]{1,2})?", fullmatch=True))
def test_an_id_that_begins_with_no_digit_is_no_number(text: str) -> None:
    read = IdFormat(numbers=True).parse(text)
    assert read == text or (text[0].isdigit() and read is not None and int(read) == Decimal(text))


@given(texts | st.lists(st.text(max_size=5), max_size=3).map(lambda found: orjson.dumps(found).decode()))
def test_a_list_of_items_is_found_alike_both_ways(text: str) -> None:
    assert find_line_items({}, text) == find_line_items({}, f"{text} ")


@given(st.sampled_from(["categories", "tags"]), texts)
def test_names_are_read_alike_when_they_come_again(name: str, text: str) -> None:
    wanted = [each for each in parse_labels(text, name, DEFAULT_FORMATS[name]) if not is_null_label(each)]
    for _ in range(2):
        fields = normalize_fields({"item_id": "1", name: text}, FieldFormats(), DEFAULT_FORMATS, lambda *_: None)
        if not {"<", "&", "\x00"} & set(text):
            assert list(fields.get(name, ())) == wanted


@given(
    st.dictionaries(
        st.text(min_size=1, max_size=5), st.text(max_size=5) | st.floats(0, 1) | st.lists(st.text(max_size=3), min_size=1)
    )
)
def test_attributes_are_composed(attributes: dict[str, Any]) -> None:
    def composed(value: Any) -> Any:
        if isinstance(value, str):
            return unicodedata.normalize("NFC", value)
        return tuple(map(composed, value)) if isinstance(value, list | tuple) else value

    found = Item(item_id="1", attributes=attributes).attributes
    assert found == {composed(name): composed(value) for name, value in attributes.items()}


names = st.sampled_from(["event_type", "user_id", "item_id", "action_name", "user_query", "a", "a.b", "client_id", "query"])
inner = st.none() | st.sampled_from(["view", "", "NULL", 7]) | st.dictionaries(st.sampled_from(["b", "object"]), st.just("deep"))
rows = st.lists(st.dictionaries(names, inner, max_size=6), max_size=6)


@given(rows, st.sampled_from(["a.b", "a", "user_id"]))
def test_a_row_has_the_fields_that_its_columns_give_it(values: list[dict[str, Any]], theirs: str) -> None:
    columns = ColumnMapping(EVENT_FIELDS, {"user_id": theirs})
    planned, unplanned = (EventRows(columns, ReadOptions(), FieldFormats()) for _ in range(2))
    with pytest.MonkeyPatch.context() as patch:
        for row in (*values, *values):
            fields = planned._fields(row)
            patch.setattr(event_rows, "_PLAN_CACHE_SIZE", 0)
            assert unplanned._fields(row) == fields
            patch.undo()
