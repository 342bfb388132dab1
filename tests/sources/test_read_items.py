"""What a value of a file means as a field of an item."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from item_files import fault, jsonl, left_out, one, read

from es_recsys.sources import RejectedRows, read_items, strip_markup
from es_recsys.types import Item

CATALOGUE = """item_id,title,categories,tags,price,created_at,available,year,code,released,vegan,mood,Screen size
1,One,Shoes|Running,"[""new"",""light""]",9.5,2026-01-01,true,1999,007,2020-01-01,true,calm|happy,5.5
2,Two,,,,1767225600,false,2000,8,,false,,6
"""


def test_csv_types(tmp_path: Path) -> None:
    path = tmp_path / "c.csv"
    path.write_text(CATALOGUE)
    items, bad, _ = read(path)
    assert not bad
    assert items[0] == Item(
        item_id="1",
        title="One",
        categories=("Shoes", "Running"),
        tags=("new", "light"),
        price=9.5,
        created_at="2026-01-01",
        attributes={
            "year": 1999,
            "code": "007",
            "released": datetime(2020, 1, 1, tzinfo=UTC),
            "vegan": True,
            "mood": ("calm", "happy"),
            "Screen_size": 5.5,
        },
    )
    assert items[1].created_at == datetime(2026, 1, 1, tzinfo=UTC)
    assert items[1].available is False
    assert items[1].attributes == {"year": 2000, "code": "8", "vegan": False, "Screen_size": 6.0}
    assert type(items[1].attributes["Screen_size"]) is float


def test_nothing_is_not_an_attribute(tmp_path: Path) -> None:
    assert one(tmp_path, a=None, b="", c=[], d=float("nan"), e={}, f=[None, ""]).attributes == {}


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (["a", " b "], ("a", "b")),
        ("a", ("a",)),
        ("a|b", ("a", "b")),
        ("Home > Kitchen > Pans", ("Home", "Kitchen", "Pans")),
        ('["a", "b"]', ("a", "b")),
        ([1, 2.0], ("1", "2")),
        ([["a", "b"], ["a", "c"]], ("a", "b", "c")),
        (7, ("7",)),
    ],
)
def test_categories(tmp_path: Path, given: Any, wanted: tuple[str, ...]) -> None:
    assert one(tmp_path, categories=given).categories == wanted


def test_a_title_that_is_a_number(tmp_path: Path) -> None:
    assert one(tmp_path, title=1917, brand=float("nan")).title == "1917"


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"item_id": "x" * 513}, "an id has 1 to 512 bytes of UTF-8, not 513"),
        ({"item_id": None}, "is missing"),
        ({"item_id": "NULL"}, "is missing"),
        ({"item_id": ["x"]}, "is not an id"),
        ({"item_id": True}, "is not an id"),
        ({"item_id": "a\0b"}, "holds a NUL character"),
    ],
)
def test_an_item_without_a_good_id_is_rejected(tmp_path: Path, row: dict[str, Any], reason: str) -> None:
    got = fault(tmp_path, **row)
    assert got[0] == "item_id"
    assert got[1].startswith(reason)


@pytest.mark.parametrize(
    ("row", "field", "reason"),
    [
        ({"price": float("inf")}, "price", "is not a finite number"),
        ({"price": -1}, "price", "is less than 0"),
        ({"price": "from 5"}, "price", "is not a number"),
        ({"price": {"amount": 5}}, "price", "is an object; name its part"),
        ({"title": ["x", "y"]}, "title", "is a list, not one text"),
        ({"title": True}, "title", "is not text"),
        ({"brand": {"name": "x"}}, "brand", "is not text"),
        ({"available": "perhaps"}, "available", "is not true or false"),
        ({"created_at": "soon"}, "created_at", "is not a time"),
        ({"created_at": "01/02/2021 CST"}, "created_at", "is not a time"),
        ({"group_id": ["x"]}, "group_id", "is not an id"),
        ({"categories": [{"a": 1}]}, "categories", "is not a list of names"),
        ({"a..b": 1}, "a..b", "is no name"),
        ({"": 1}, "", "is no name"),
        ({"size": float("inf"), "other": 1}, "size", "is not a finite number"),
    ],
)
def test_a_field_that_cannot_be_read_costs_itself_only(tmp_path: Path, row: dict[str, Any], field: str, reason: str) -> None:
    item, got, why = left_out(tmp_path, **row)
    assert got == field
    assert why.startswith(reason)
    assert (item.price, item.brand, item.created_at, item.available, item.group_id) == (None, None, None, True, None)


@pytest.mark.parametrize("word", ["N/A", "NULL", "\\N", "nan", "—", "-", "", None, float("nan")])
def test_what_means_nothing_leaves_the_field_out(tmp_path: Path, word: Any) -> None:
    fields = (
        "title",
        "description",
        "brand",
        "price",
        "currency",
        "image",
        "created_at",
        "available",
        "categories",
        "group_id",
        "x",
    )
    assert one(tmp_path, **dict.fromkeys(fields, word)) == Item(item_id="1")


def test_a_word_that_may_be_meant_is_a_text_where_it_comes_once(tmp_path: Path) -> None:
    rows = [{"item_id": 1, "title": "None", "brand": "NA", "mood": "None"}, {"item_id": 2, "title": "Dune", "brand": "Acme"}]
    items = read(jsonl(tmp_path / "c.jsonl", rows))[0]
    assert (items[0].title, items[0].brand, items[0].attributes) == ("None", "NA", {})
    more = [*rows, {"item_id": 3, "title": "None", "brand": "NA", "mood": "None"}]
    items, _, rejected = read(jsonl(tmp_path / "c.jsonl", more))
    assert (items[0].title, items[0].brand, items[0].attributes) == ("", None, {})
    assert "title: None stands for nothing." in rejected.notes


@pytest.mark.parametrize(
    ("price", "wanted"),
    [
        ("$12.99", (12.99, "$")),
        ("15.00 USD", (15.0, "USD")),
        ("€ 1.299,00", (1299.0, "EUR")),
        ([5], (5.0, None)),
        ("5", (5.0, None)),
    ],
)
def test_prices_with_a_currency(tmp_path: Path, price: Any, wanted: tuple[float, str | None]) -> None:
    item = one(tmp_path, price=price)
    assert (item.price, item.currency) == wanted
    assert one(tmp_path, price=price, currency="NOK").currency == "NOK"


def test_the_decimal_mark_is_that_of_the_column(tmp_path: Path) -> None:
    path = tmp_path / "c.csv"
    path.write_text("item_id;price\n1;3,50\n2;1.299\n3;1.299,00\n")
    assert [item.price for item in read(path)[0]] == [3.5, 1299.0, 1299.0]
    path.write_text("item_id;price\n1;1.299\n2;799\n")
    items, _, rejected = read(path)
    assert [item.price for item in items] == [1299.0, 799.0]
    assert "price: 1.299 is read as 1,299; no value of the column shows its decimal mark." in rejected.notes
    path.write_text("item_id,price\n1,1.299\n2,799\n")
    assert [item.price for item in read(path)[0]] == [1.299, 799.0]


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("1995", datetime(1995, 1, 1, tzinfo=UTC)),
        (1995, datetime(1995, 1, 1, tzinfo=UTC)),
        ("20230115", datetime(2023, 1, 15, tzinfo=UTC)),
        ("29.01.2021", datetime(2021, 1, 29, tzinfo=UTC)),
        ("2021-01-29 07:01:00 UTC", datetime(2021, 1, 29, 7, 1, tzinfo=UTC)),
        ("0000-00-00 00:00:00", None),
    ],
)
def test_dates_of_items(tmp_path: Path, given: Any, wanted: datetime | None) -> None:
    assert one(tmp_path, created_at=given).created_at == wanted


def test_dates_of_attributes(tmp_path: Path) -> None:
    rows = [
        {"item_id": 1, "seen": "03.02.2021"},
        {"item_id": 2, "seen": "25.02.2021 10:00"},
        {"item_id": 3, "seen": "0000-00-00"},
    ]
    items, bad, _ = read(jsonl(tmp_path / "c.jsonl", rows))
    assert not bad
    days = [datetime(2021, 2, 3, tzinfo=UTC), datetime(2021, 2, 25, 10, tzinfo=UTC), None]
    assert [item.attributes.get("seen") for item in items] == days
    items, _, rejected = read(jsonl(tmp_path / "c.jsonl", rows[:1]))
    assert items[0].attributes == {"seen": days[0]}
    assert any(note.startswith("seen: no date shows") for note in rejected.notes)


@pytest.mark.parametrize(
    ("flag", "wanted"), [("backorder", True), ("in_stock", True), ("out of stock", False), ("no", False), (0, False), (7, True)]
)
def test_flags(tmp_path: Path, flag: Any, wanted: bool) -> None:
    assert one(tmp_path, available=flag).available is wanted


def test_markup_is_no_content(tmp_path: Path) -> None:
    item = one(
        tmp_path,
        title="Strong Rope &amp; <b>Hook</b>",
        description="<p>Soft&nbsp;rope</p><p>a < b</p>",
        categories=["Home &amp; Garden"],
        care="<ul><li>Wash</li></ul>",
    )
    assert (item.title, item.description, item.categories) == ("Strong Rope & Hook", "Soft rope\na < b", ("Home & Garden",))
    assert item.attributes == {"care": "Wash"}


def test_items_from_memory_lose_their_markup() -> None:
    item = Item(
        item_id=1, title="A &amp; B", description="<p>x</p><p>y</p>", tags=["<b>t</b>"], attributes={"a": "<i>v</i>", "n": 1}
    )
    plain = strip_markup(item)
    assert (plain.title, plain.description, plain.tags) == ("A & B", "x\ny", ("t",))
    assert plain.attributes == {"a": "v", "n": 1}
    assert strip_markup(plain) is plain


def test_lists_of_texts_and_pictures(tmp_path: Path) -> None:
    item = one(tmp_path, title=["Cup"], description=["Good cup", None, "Blue"], image=[None, "a.jpg", "b.jpg"])
    assert (item.title, item.description, item.image) == ("Cup", "Good cup\nBlue", "a.jpg")
    assert one(tmp_path, image=[{"thumb": "t.jpg", "large": "l.jpg"}]).image == "l.jpg"
    path = tmp_path / "c.csv"
    path.write_text('item_id,description,image\n1,"[""Good"", ""Blue""]","[""a.jpg"", ""b.jpg""]"\n')
    item = read(path)[0][0]
    assert (item.description, item.image) == ("Good\nBlue", "a.jpg")


def test_ids_in_any_notation(tmp_path: Path) -> None:
    path = tmp_path / "c.csv"
    path.write_text("item_id,group_id,title\n 17 ,5.0,a\n17.0,,b\n18.0,NULL,c\n12345678901234567890.0,,d\n")
    items, bad, _ = read(path)
    assert not bad
    assert [(item.item_id, item.group_id, item.title) for item in items] == [
        ("17", "5", "b"),
        ("18", None, "c"),
        ("12345678901234567890", None, "d"),
    ]
    path.write_text("item_id,title\n17.0,a\n17,b\nx,c\n17.0,d\n")
    assert [(item.item_id, item.title) for item in read(path)[0]] == [("17", "b"), ("x", "c"), ("17.0", "d")]
    nfd = jsonl(
        tmp_path / "n.jsonl",
        [{"item_id": "cafe\u0301", "title": "a"}, {"item_id": "caf\u00e9", "title": "b"}, {"item_id": 10**25}],
    )
    assert [(item.item_id, item.title) for item in read(nfd)[0]] == [("caf\u00e9", "b"), (str(10**25), "")]


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=12)
    | st.sampled_from(["NULL", "17.0", "29.01.2021", "1.299", "<p>a</p>", "[]", '["a"]', "a|b", "\0", 10**30, 2**63]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
ROW = st.fixed_dictionaries({}, optional=dict.fromkeys([*Item.model_fields, "x", "x.y", "images", "Price"], JSON))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(ROW, min_size=1, max_size=3))
def test_any_value_of_any_field_ends_in_an_item_or_a_reject(tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    path = jsonl(tmp_path / "c.jsonl", [{"item_id": place, **row} for place, row in enumerate(rows)])
    with RejectedRows() as rejected:
        items = list(read_items(path, rejected=rejected))
    assert len(items) + rejected.count >= 1


def test_a_mistyped_value_in_a_column_of_numbers(tmp_path: Path) -> None:
    rows = [{"item_id": i, "year": 1900 + i} for i in range(150)]
    rows[7]["year"] = "soon"  # type: ignore[typeddict-item]
    items, bad, rejected = read(jsonl(tmp_path / "c.jsonl", rows))
    assert not bad
    assert dict(rejected.fields) == {("year", "is not a number, as in other lines"): 1}
    assert {type(item.attributes.get("year")) for item in items} == {int, type(None)}


def test_no_category_and_no_tag_is_none(tmp_path: Path) -> None:
    rows = [
        {"item_id": 1, "categories": "(no genres listed)", "tags": "None"},
        {"item_id": 2, "categories": ["nil", "Shoes"], "tags": ["none"]},
    ]
    items, bad, rejected = read(jsonl(tmp_path / "c.jsonl", rows))
    assert not bad
    assert not rejected.fields
    assert [(item.categories, item.tags) for item in items] == [((), ()), (("Shoes",), ())]
