"""Columns under usual names, files without a header, and columns that are left out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import polars as pl
import pytest

from es_recsys.errors import InputError
from es_recsys.sources import ReadOptions, RejectedRows, parse_columns, read_events, read_items
from es_recsys.sources.column_aliases import EVENT_ALIASES, ITEM_ALIASES, normalize_name
from es_recsys.types import Event, Item


def table(path: Path, rows: list[dict[str, Any]], form: str) -> Path:
    path = path.with_suffix(f".{form}")
    if form == "jsonl":
        path.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    elif form == "csv":
        pl.DataFrame(rows).write_csv(path)
    else:
        pl.DataFrame(rows).write_parquet(path)
    return path


def items(path: Path, text: str = "", **options: Any) -> tuple[list[Item], list[str]]:
    if text:
        path.write_text(text)
    with RejectedRows(write=False) as rejected:
        found = list(read_items(path, ReadOptions(**options), rejected=rejected))
    assert rejected.first == []
    return found, rejected.notes


def events(path: Path, text: str = "", **options: Any) -> tuple[list[Event], list[str]]:
    if text:
        path.write_text(text)
    with RejectedRows(write=False) as rejected:
        found = list(read_events(path, ReadOptions(**options), rejected=rejected))
    assert rejected.first == []
    return found, rejected.notes


# Usual names


@pytest.mark.parametrize("form", ["jsonl", "csv", "parquet"])
def test_a_header_in_capitals(tmp_path: Path, form: str) -> None:
    path = table(tmp_path / "f", [{"ID": "1", "Title": "Pan", "Price": 30.0, "Brand": "Acme", "Colour": "red"}], form)
    [item], notes = items(path)
    assert (item.item_id, item.title, item.price, item.brand) == ("1", "Pan", 30.0, "Acme")
    assert item.attributes == {"Colour": "red"}
    assert notes == [f"{path}: read `ID` as item_id, `Title` as title, `Brand` as brand, `Price` as price; --columns changes it."]


@pytest.mark.parametrize(
    ("header", "field"),
    [
        ("Name", "title"),
        ("product_name", "title"),
        ("Body (HTML)", "description"),
        ("Vendor", "brand"),
        ("Variant Price", "price"),
        ("image_link", "image"),
        ("product_type", "categories"),
        ("Product Category", "categories"),
        ("releaseDate", "created_at"),
        ("item_group_id", "group_id"),
        ("Tags", "tags"),
        ("prod_name", "title"),
        ("google_product_category", "categories"),
        ("currencyCode", "currency"),
        ("Désignation", "title"),
        ("Catégorie", "categories"),
        ("Währung", "currency"),
        ("Verfügbar", "available"),
        ("Disponibilité", "available"),
    ],
)
def test_usual_names_of_items(tmp_path: Path, header: str, field: str) -> None:
    value = {"price": "3.5", "created_at": "2020-01-02", "available": "oui"}.get(field, "abc")
    [item], _ = items(tmp_path / "f.csv", f"sku,{header}\n1,{value}\n")
    assert getattr(item, field)
    assert item.attributes == {}


@pytest.mark.parametrize(
    "header",
    ["sku", "SKU", "handle", "ASIN", "movieId", "Product ID", "Id", "item-id", "isbn13", "Artikel-Nr.", "Référence", "Código"],
)
def test_usual_names_of_ids(tmp_path: Path, header: str) -> None:
    [item], _ = items(tmp_path / "f.csv", f"{header},title\nX1,Pan\n")
    assert item.item_id == "X1"


def test_an_exact_name_beats_a_spelling_beats_a_usual_name(tmp_path: Path) -> None:
    [item], _ = items(tmp_path / "a.csv", "item_id,title,Title,name\n1,a,b,c\n")
    assert (item.title, item.attributes) == ("a", {"Title": "b", "name": "c"})
    [item], _ = items(tmp_path / "b.csv", "item_id,Title,name\n1,b,c\n")
    assert (item.title, item.attributes) == ("b", {"name": "c"})
    [item], _ = items(tmp_path / "c.csv", "id,SKU,name\n1,S1,c\n")
    assert (item.item_id, item.title, item.attributes) == ("1", "c", {"SKU": "S1"})


def test_two_that_fit_are_told_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "f.csv"
    [item], notes = items(path, "item_id,Title,TITLE\n1,a,b\n")
    assert (item.title, item.attributes) == ("", {"Title": "a", "TITLE": "b"})
    assert notes[0] == f"{path}: title could be `Title` or `TITLE`, and is left empty; --columns title=Title says which."


def test_a_name_that_means_other_things_stays_an_attribute_besides(tmp_path: Path) -> None:
    [item], _ = items(tmp_path / "movies.csv", "movieId,title,genres\n1,Toy Story,Animation|Comedy\n")
    assert item.categories == ("Animation", "Comedy")
    assert item.attributes == {"genres": ("Animation", "Comedy")}


def test_what_is_said_is_not_guessed(tmp_path: Path) -> None:
    [item], _ = items(tmp_path / "f.csv", "id,Name,Label\n1,a,b\n", columns={"title": "Label", "item_id": "id"})
    assert (item.title, item.attributes) == ("b", {"Name": "a"})
    [item], _ = items(tmp_path / "f.csv", "id,Vendor\n1,a\n", constants={"brand": "Acme"})
    assert (item.brand, item.attributes) == ("Acme", {"Vendor": "a"})


def test_an_object_under_a_usual_name_is_no_field(tmp_path: Path) -> None:
    path = table(tmp_path / "f", [{"id": 1, "name": {"en": "Pan"}, "image": None}], "jsonl")
    [item], _ = items(path)
    assert (item.title, item.attributes) == ("", {"name.en": "Pan"})


def test_a_guess_from_the_first_lines_does_not_hide_the_field_in_later_ones(tmp_path: Path) -> None:
    path = table(tmp_path / "f", [*({"id": i, "Name": "a"} for i in range(150)), {"id": 150, "title": "b"}], "jsonl")
    found, _ = items(path)
    assert [item.title for item in found] == ["a"] * 150 + ["b"]


def test_each_file_has_its_own_names(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("ID,Title\n1,Pan\n")
    (tmp_path / "b.csv").write_text("sku,name,Title\n2,Pot,Mr\n")
    with RejectedRows(write=False) as rejected:
        found = {item.item_id: item.title for item in read_items([tmp_path / "a.csv", tmp_path / "b.csv"], rejected=rejected)}
    assert found == {"1": "Pan", "2": "Mr"}
    assert len(rejected.notes) == 2


def test_names_stand_in_one_tier_of_a_field() -> None:
    for usual in (ITEM_ALIASES, EVENT_ALIASES):
        for ours, tiers in usual.items():
            names = [normalize_name(ours), *(name for tier in tiers for name in tier.removeprefix("+").split())]
            assert len(names) == len(set(names)), ours
            assert all(name == normalize_name(name) for name in names), ours


@pytest.mark.parametrize(
    ("header", "line"),
    [
        ("visitorid,itemid,event,timestamp", "u,i,view,1433221332117"),
        ("event_time,event_type,product_id,user_id,user_session", "2019-10-01 00:00:00,view,i,u,s"),
        ("userId,movieId,event_name,ts", "u,i,view,1433221332"),
        ("reviewerID,asin,action,unixReviewTime", "u,i,view,1433221332"),
        ("User,Item,Action,Time", "u,i,view,1433221332"),
        ("user_id:token,item_id:token,event_type:token,timestamp:float", "u,i,view,1433221332"),
        ("reviewerID,asin,action,unixReviewTime,reviewTime", 'u,i,view,1433221332,"09 13, 2009"'),
    ],
)
def test_usual_names_of_events(tmp_path: Path, header: str, line: str) -> None:
    [event], notes = events(tmp_path / "f.csv", f"{header}\n{line}\n")
    assert (event.user_id, event.item_id, event.event_type) == ("u", "i", "view")
    assert any("--columns changes it" in note for note in notes)


def test_a_file_of_ratings(tmp_path: Path) -> None:
    path = tmp_path / "ratings.csv"
    [event], notes = events(path, "userId,movieId,rating,timestamp\n1,31,2.5,1260759144\n")
    assert (event.user_id, event.item_id, event.event_type, event.value) == ("1", "31", "rating", 2.5)
    assert notes == [
        f"{path}: read `userId` as user_id, `movieId` as item_id, `rating` as value, each line as a rating; --columns changes it."
    ]


def test_a_number_of_lines_is_nobody(tmp_path: Path) -> None:
    text = "id,session_id,item_id,event_type,timestamp\n1,s,i,view,1260759144\n2,s,j,view,1260759145\n"
    found, notes = events(tmp_path / "f.csv", text)
    assert [(event.user_id, event.session_id) for event in found] == [(None, "s"), (None, "s")]
    assert notes == []


def test_an_action_in_a_file_without_a_header_is_told(tmp_path: Path) -> None:
    (tmp_path / "f.csv").write_text("1,2268318,2520377,pv,1511544070\n")
    with pytest.raises(InputError, match="no header line, it seems") as caught:
        list(read_events(tmp_path / "f.csv"))
    assert caught.value.remedy.endswith("--no-header --columns user_id=1,item_id=2,event_type=4,timestamp=5")


def test_a_constant_is_not_overridden_by_a_guess(tmp_path: Path) -> None:
    [event], _ = events(tmp_path / "f.csv", "user,item,type,time\nu,i,shoe,1260759144\n", constants={"event_type": "view"})
    assert (event.event_type, event.item_id) == ("view", "i")


def test_what_trackers_put_into_objects(tmp_path: Path) -> None:
    line = {"event": "view", "anonymousId": "s", "timestamp": 1260759144, "properties": {"product_id": "i", "name": "Pan"}}
    [event], _ = events(table(tmp_path / "f", [line], "jsonl"))
    assert (event.session_id, event.item_id) == ("s", "i")
    [event], _ = events(table(tmp_path / "g", [{"event": "view", "user": {"id": 7}, "product": {"id": 8}, "ts": 12}], "jsonl"))
    assert (event.user_id, event.item_id) == ("7", "8")


def test_an_event_with_a_list_of_items_is_no_document(tmp_path: Path) -> None:
    line = {"event_date": "20200101", "event_timestamp": 1577836800000000, "event_name": "view_item", "user_pseudo_id": "x.1"}
    [event], _ = events(table(tmp_path / "f", [{**line, "items": [{"item_id": "p1"}]}], "jsonl"))
    assert (event.session_id, event.item_id, event.event_type) == ("x.1", "p1", "view")


def test_ratings_without_times_are_told_what_to_say(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no column timestamp") as caught:
        events(tmp_path / "f.csv", "user_id,book_id,rating\n1,258,5\n")
    assert "--no-timestamps" in caught.value.remedy


@pytest.mark.parametrize(
    ("header", "missing"),
    [
        ("Customer,Ware,What,When", ["event_type", "timestamp", "item_id or query"]),
        ("Customer,Ware,action,time", ["item_id or query"]),
        ("What,action,time", ["user_id or session_id", "item_id or query"]),
    ],
)
def test_all_columns_that_are_missing_are_told_at_once(tmp_path: Path, header: str, missing: list[str]) -> None:
    with pytest.raises(InputError, match=f"no column {missing[0]}; it has") as caught:
        events(tmp_path / "f.csv", f"{header}\n" + ",".join("x" * 4)[: 2 * header.count(",") + 1] + "\n")
    assert caught.value.remedy.endswith(f"Missing too: {', '.join(missing[1:])}.") == (len(missing) > 1)


@pytest.mark.parametrize("column", ["items", "properties.product_id", "query"])
def test_an_event_needs_no_item_id_where_its_items_or_words_stand_elsewhere(tmp_path: Path, column: str) -> None:
    kind = "search" if column == "query" else "purchase"
    [event], _ = events(tmp_path / "f.csv", f"user_id,event_type,timestamp,{column}\nu,{kind},2026-01-01,shoes\n")
    assert "shoes" in (event.item_id, event.query)


def test_the_merchant_s_own_categories_come_before_a_taxonomy(tmp_path: Path) -> None:
    [item], _ = items(tmp_path / "f.tsv", "id\tgoogle_product_category\tproduct_type\n1\tHome > Tables\tA > B\n")
    assert item.categories == ("A", "B")


# What is left out


def test_a_field_and_its_column_are_left_out(tmp_path: Path) -> None:
    text = "item_id,title,price,colour\n1,Pan,15.00 USD,red\n"
    [item], notes = items(tmp_path / "f.csv", text, columns={"price": "-"})
    assert (item.price, item.title, item.attributes, notes) == (None, "Pan", {"colour": "red"}, [])
    [item], _ = items(tmp_path / "f.csv", text, columns={"price": "-", "price_text": "price", "colour": "-"})
    assert (item.price, item.attributes) == (None, {"price_text": "15.00 USD"})


def test_a_guessed_column_is_left_out_by_the_field(tmp_path: Path) -> None:
    [item], notes = items(tmp_path / "f.csv", "id,Title,Price\n1,Pan,3\n", columns={"title": "-"})
    assert (item.title, item.price, item.attributes) == ("", 3.0, {})
    assert "title" not in notes[0]


@pytest.mark.parametrize("form", ["jsonl", "csv", "parquet"])
def test_columns_are_left_out_by_pattern(tmp_path: Path, form: str) -> None:
    row = {"item_id": "1", "title": "Pan", **{f"nutrient_{n}": n for n in range(210)}}
    path = table(tmp_path / "f", [row], form)
    with pytest.raises(InputError, match="more than 200 attributes") as caught:
        items(path)
    assert "--columns 'nutrient_*=-'" in caught.value.remedy
    [item], _ = items(path, columns={"nutrient_*": "-"})
    assert item.attributes == {}


def test_objects_are_left_out(tmp_path: Path) -> None:
    path = table(tmp_path / "f", [{"item_id": 1, "specs": {"cm": 3, "kg": 4}, "more": {"cm": 5, "kg": 6}}], "jsonl")
    [item], _ = items(path, columns={"specs": "-", "more.k*": "-"})
    assert item.attributes == {"more.cm": 5}


def test_a_pattern_that_fits_nothing_is_told(tmp_path: Path) -> None:
    path = tmp_path / "f.csv"
    _, notes = items(path, "item_id,title\n1,Pan\n", columns={"nutrient_*": "-"})
    assert notes == [f"{path} has no column 'nutrient_*' to leave out."]


def test_what_is_required_can_not_be_left_out(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no column item_id"):
        items(tmp_path / "f.csv", "item_id,title\n1,Pan\n", columns={"item_id": "-"})


def test_an_event_field_is_left_out(tmp_path: Path) -> None:
    text = "user_id,item_id,event_type,timestamp,value\nu,i,view,1260759144,oops\n"
    [event], _ = events(tmp_path / "f.csv", text, columns={"value": "-"})
    assert event.value is None
    ubi = {"action_name": "view", "user_id": "u", "client_id": "c", "timestamp": 1260759144}
    path = table(tmp_path / "g", [{**ubi, "event_attributes": {"object": {"object_id": "i"}}}], "jsonl")
    [event], _ = events(path, columns={"user_id": "-"})
    assert (event.user_id, event.session_id, event.item_id) == (None, "c", "i")


# Odd names


@pytest.mark.parametrize(
    ("texts", "pairs"),
    [
        (['price="Price, EUR"'], {"price": "Price, EUR"}),
        (["price=Price, EUR"], {"price": "Price, EUR"}),
        (['item_id=id,price="Price, EUR",title=name'], {"item_id": "id", "price": "Price, EUR", "title": "name"}),
        (["item_id=id", "price=Price, EUR"], {"item_id": "id", "price": "Price, EUR"}),
        (['price="a=b, c"'], {"price": "a=b, c"}),
        (['"a=b"=-'], {"a=b": "-"}),
        (['"a, b"=-,title=name'], {"a, b": "-", "title": "name"}),
        (['price="5"" screen"'], {"price": '5" screen'}),
    ],
)
def test_names_with_commas_and_equals_signs(texts: list[str], pairs: dict[str, str]) -> None:
    assert parse_columns(texts) == pairs


def test_a_column_with_a_comma_in_its_name(tmp_path: Path) -> None:
    [item], _ = items(tmp_path / "f.csv", 'item_id,"Price, EUR"\n1,3\n', columns=parse_columns('price="Price, EUR"'))
    assert (item.price, item.attributes) == (3.0, {})


# Without a header


@pytest.mark.parametrize(
    ("name", "text", "remedy"),
    [
        ("f.dat", "1::Toy Story (1995)::Comedy\n2::Heat::Action\n", "--no-header --separator :: --columns item_id=1,title=2"),
        ("f.csv", "1001,Oak table,15.0\n1002,Chair,12.5\n", "--no-header --columns item_id=1,title=2"),
        ("f.tsv", "7\tPan\n8\tPot\n", "--columns item_id=1,title=2"),
    ],
)
def test_a_catalogue_without_a_header_says_what_to_write(tmp_path: Path, name: str, text: str, remedy: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match="no header line, it seems") as caught:
        list(read_items(tmp_path / name))
    assert remedy in caught.value.remedy


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("1::1193::5::978300760\n1::661::3::978302109\n", "user_id=1,item_id=2,value=3,timestamp=4 --constant event_type=rating"),
        ("0\t2010-10-19T23:55:27Z\t30.235\t-97.795\t22847\n", "user_id=1,item_id=5,timestamp=2 --constant event_type=view"),
        ("5,5,978300760\n5,7,978300761\n", "user_id=1,item_id=2,timestamp=3 --constant event_type=view"),
        ("7,2014-04-07T10:51:09.277Z,214536502,0\n", "user_id=1,item_id=3,timestamp=2 --constant event_type=view"),
        (
            "470\t49bbd6c\tArts\t40.7\tTue Apr 03 18:00:09 +0000 2012\n",
            "user_id=1,item_id=2,timestamp=5 --constant event_type=view",
        ),
    ],
)
def test_events_without_a_header_say_what_to_write(tmp_path: Path, text: str, remedy: str) -> None:
    (tmp_path / "f.dat").write_text(text)
    with pytest.raises(InputError, match="no header line, it seems") as caught:
        list(read_events(tmp_path / "f.dat"))
    assert remedy in caught.value.remedy
    columns = parse_columns(remedy.partition(" ")[0])
    constants = dict([remedy.rpartition(" ")[2].split("=")])
    found, _ = events(tmp_path / "f.dat", header=False, columns=columns, constants=constants)
    assert len(found) == text.count("\n")


@pytest.mark.parametrize("columns", [{"item_id": "1", "title": "2"}, {"item_id": "column1", "title": "column2"}])
def test_columns_without_a_header_are_named_by_number(tmp_path: Path, columns: dict[str, str]) -> None:
    found, _ = items(tmp_path / "f.dat", "1::Toy Story::x\n2::Heat::y\n", header=False, columns=columns)
    assert [(item.item_id, item.title, item.attributes) for item in found] == [
        ("1", "Toy Story", {"column3": "x"}),
        ("2", "Heat", {"column3": "y"}),
    ]


def test_without_a_header_a_column_must_be_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no column item_id; it has: column1, column2") as caught:
        items(tmp_path / "f.dat", "1::Toy Story\n", header=False)
    assert "--columns item_id=1" in caught.value.remedy


def test_the_guessed_separator_is_told_where_a_column_lacks(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="taken to be separated by ';'"):
        items(tmp_path / "f.csv", "foo;bar\nx;y\n")


@pytest.mark.parametrize("text", ['{"items": [{"item_id": 1}]}', '{\n "products": [{"item_id": 1}], "next": null}'])
def test_a_json_document_says_how_to_take_it_apart(tmp_path: Path, text: str) -> None:
    path = tmp_path / "f.json"
    path.write_text(text)
    with pytest.raises(InputError, match="one JSON document") as caught:
        list(read_items(path))
    assert "jq -c '." in caught.value.remedy
