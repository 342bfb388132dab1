from __future__ import annotations

import json
from datetime import UTC, datetime

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from es_recsys.errors import InputError
from es_recsys.index.documents import check_vector, content_digest, from_document, to_document
from es_recsys.types import Item
from es_recsys.values import parse_id

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
NUMBER = st.floats(allow_nan=False, allow_infinity=False)
MOMENT = st.datetimes(min_value=datetime(1000, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
VALUE = st.one_of(
    TEXT,
    st.booleans(),
    st.integers(-(2**53), 2**53),
    NUMBER,
    MOMENT,
    st.lists(TEXT, max_size=3).map(tuple),
    st.lists(NUMBER, min_size=1, max_size=3).map(tuple),
)
# A NUL is in no id, and blanks or a word that means nothing are none.
ids = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=100).filter(parse_id)
ITEMS = st.builds(
    Item,
    item_id=ids,
    group_id=st.none() | ids,
    title=TEXT,
    description=TEXT,
    categories=st.lists(TEXT, max_size=3).map(tuple),
    tags=st.lists(TEXT, max_size=3).map(tuple),
    brand=st.none() | TEXT,
    price=st.none() | st.floats(0, 1e12),
    currency=st.none() | TEXT,
    image=st.none() | TEXT,
    audio=st.none() | TEXT,
    created_at=st.none() | MOMENT,
    available=st.booleans(),
    attributes=st.dictionaries(TEXT, VALUE, max_size=4),
)


@given(ITEMS)
def test_an_item_comes_back_from_its_document_as_json(given_item: Item) -> None:
    source = json.loads(orjson.dumps(to_document(given_item, digest="d")))
    back = from_document(source)
    assert back == given_item
    assert {k: type(v) for k, v in back.attributes.items()} == {k: type(v) for k, v in given_item.attributes.items()}


@given(ITEMS, ITEMS)
def test_digests_are_equal_where_items_are(one: Item, other: Item) -> None:
    assert content_digest(one, {"v": "f"}) == content_digest(one.model_copy(), {"v": "f"})
    assert (content_digest(one, {}) == content_digest(other, {})) == (to_document(one) == to_document(other))
    assert content_digest(one, {"v": "f"}) != content_digest(one, {"v": "g"})


def test_numbers_that_may_be_years_become_text() -> None:
    attributes = {
        "year": 1979,
        "again": 1979.0,
        "votes": 12,
        "share": 1979.5,
        "released": datetime(1980, 5, 1, tzinfo=UTC),
        "seen": True,
    }
    assert to_document(Item(item_id="1", attributes=attributes))["all_text"] == ["1979", "1980"]
    assert "all_text" not in to_document(Item(item_id="1", attributes={"votes": 3}))


def test_vectors_stay_arrays_and_missing_ones_are_left_out() -> None:
    vector = np.ones(3, np.float32)
    found = to_document(Item(item_id="1"), {"text_vector": vector, "image_vector": None})
    assert found["text_vector"] is vector
    assert "image_vector" not in found


@pytest.mark.parametrize("value", [float("nan"), float("inf"), (1.0, float("nan"))])
def test_a_number_that_json_cant_hold_is_refused_by_name(value: float | tuple[float, ...]) -> None:
    with pytest.raises(InputError, match=r"attributes\.weight"):
        to_document(Item(item_id="1", attributes={"weight": value}))


@pytest.mark.parametrize(
    ("vector", "reason"),
    [
        ([1.0, float("nan"), 0.0], "NaN"),
        ([1.0, float("inf"), 0.0], "infinite"),
        ([1e39, 0.0, 0.0], "infinite"),
        ([0.0, 0.0, 0.0], "zeros"),
        ([1.0, 2.0], "shape"),
        ([[1.0, 2.0, 3.0]], "shape"),
    ],
)
def test_bad_vectors_are_refused_by_field(vector: list[float], reason: str) -> None:
    with pytest.raises(InputError, match=rf"text_vector: .*{reason}"):
        check_vector("text_vector", vector, 3)


@pytest.mark.parametrize("vector", [[1e30, 1e30, 1e30], [1e-30, 0.0, 0.0], [3, 4, 0]])
def test_huge_and_tiny_vectors_are_not_taken_for_bad_ones(vector: list[float]) -> None:
    assert check_vector("v", vector, 3).tolist() == np.asarray(vector, np.float32).tolist()


def test_texts_of_attributes_with_a_dot_are_searched_too() -> None:
    made = to_document(
        Item(item_id="a", attributes={"size": "XL", "size.unit": "letters", "made.of": ("wool", "silk"), "x.y": 3})
    )
    assert made["all_text"] == ["letters", "wool", "silk"]


def test_whole_numbers_beyond_64_bits_are_their_digits() -> None:
    made = to_document(Item(item_id="a", attributes={"code": 10**25, "id": 2**63 - 1, "low": -(2**63), "lower": -(2**63) - 1}))
    assert made["attributes"] == {"code": str(10**25), "id": 2**63 - 1, "low": -(2**63), "lower": "-9223372036854775809"}
