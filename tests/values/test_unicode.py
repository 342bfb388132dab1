"""Unicode's composed form: one text is one text, however its accents were typed."""

from __future__ import annotations

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from es_recsys.search.filters import parse_filters
from es_recsys.types import Item
from es_recsys.values.unicode import nfc, nfc_value

texts = st.text(alphabet=st.characters(codec="utf-8"), max_size=40)


@given(texts)
def test_composing_is_idempotent_and_both_forms_are_one(text: str) -> None:
    assert nfc(nfc(text)) == nfc(text)
    assert nfc(unicodedata.normalize("NFD", text)) == nfc(unicodedata.normalize("NFC", text)) == nfc(text)


@given(st.lists(texts, max_size=4).map(tuple))
def test_lists_are_composed_one_by_one(values: tuple[str, ...]) -> None:
    assert nfc_value(values) == tuple(nfc(value) for value in values)


def test_an_item_and_a_filter_have_one_form() -> None:
    apart, joined = "Cafe\u0301", "Caf\u00e9"
    item = Item(
        item_id="1",
        title=apart,
        description=apart,
        categories=(apart,),
        tags=(apart,),
        brand=apart,
        attributes={apart: apart, "n": 1, "l": (apart,)},
    )
    assert (item.title, item.description, item.brand) == (joined, joined, joined)
    assert item.categories == item.tags == (joined,)
    assert item.attributes == {joined: joined, "n": 1, "l": (joined,)}
    fields = {"brand": "keyword"}
    assert parse_filters({"brand": apart}, fields) == parse_filters({"brand": joined}, fields) == [{"term": {"brand": joined}}]
    assert parse_filters([f"brand:{apart}"], fields) == [{"term": {"brand": joined}}]
