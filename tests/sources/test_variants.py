from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from es_recsys.sources import ReadOptions, RejectedRows, infer_item_schema, read_items
from es_recsys.sources.row_ids import last_rows_of_groups
from es_recsys.sources.variants import VariantMerger, fill_from_group, merge_rows
from es_recsys.types import Item

WORD = st.text("abc", min_size=1, max_size=3)
CELLS: dict[str, st.SearchStrategy[Any]] = {
    "title": WORD, "description": WORD, "brand": WORD, "image": WORD, "price": st.floats(0, 9),
    "tags": st.lists(WORD, min_size=1, max_size=2, unique=True), "available": st.booleans(),
}  # fmt: skip
ROW = st.fixed_dictionaries({}, optional=CELLS)
ATTRIBUTES = st.dictionaries(st.sampled_from("xyz"), WORD | st.booleans() | st.floats(0, 9), max_size=3)

SHOPIFY = """Handle,Title,Body (HTML),Vendor,Type,Option1 Value,Variant SKU,Variant Price,Image Src
mug,Tin Mug,A mug,Kiln,Cups,Small,M-S,5,m1.jpg
mug,,,,,Large,M-L,6,m2.jpg
pan,Iron Pan,A pan,Kiln,Pans,Default Title,P-1,9,p1.jpg
mug,,,,,Huge,M-H,8,
"""
PRODUCT = {"title": "Title", "description": "Body (HTML)", "brand": "Vendor", "categories": "Type", "image": "Image Src"}


def read(path: Path, **options: Any) -> tuple[list[Item], RejectedRows]:
    with RejectedRows() as rejected:
        return list(read_items(path, ReadOptions(**options), rejected=rejected)), rejected


def csv(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "shop.csv"
    path.write_text(text)
    return path


@given(ROW, ATTRIBUTES, st.data())
def test_rows_that_share_no_cell_merge_in_any_order(
    cells: dict[str, Any], attributes: dict[str, Any], data: st.DataObject
) -> None:
    names = sorted(cells), sorted(attributes)
    first = {name: data.draw(st.booleans()) for name in (*names[0], *names[1])}
    one, other = (
        Item(
            item_id="i",
            **{name: cells[name] for name in names[0] if first[name] is side},
            attributes={name: attributes[name] for name in names[1] if first[name] is side},
        )
        for side in (True, False)
    )
    assert merge_rows(one, other) == merge_rows(other, one) == Item(item_id="i", **cells, attributes=attributes)


@given(ROW, ATTRIBUTES)
def test_a_row_that_comes_again_changes_nothing(cells: dict[str, Any], attributes: dict[str, Any]) -> None:
    item = Item(item_id="i", **cells, attributes=attributes)
    assert merge_rows(item, item) == item


@given(ROW, ROW)
def test_of_two_values_the_later_counts_and_nothing_takes_away(before: dict[str, Any], after: dict[str, Any]) -> None:
    merged = merge_rows(Item(item_id="i", **before), Item(item_id="i", **after))
    want = {**before, **after, **({"image": before["image"]} if "image" in before else {})}
    assert merged == Item(item_id="i", **want)


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from(["", "g", "h", "a"])), max_size=12), st.randoms())
def test_every_row_comes_out_once_with_what_its_group_says(rows: list[tuple[str, str]], random: Any) -> None:
    items = [Item(item_id=f"{name}{place}", group_id=group or None) for place, (name, group) in enumerate(rows)]
    titled = [item.model_copy(update={"title": "T"}) if random.random() < 0.4 else item for item in items]
    for item in titled:
        item.model_fields_set.add("title")
    joined = VariantMerger({}, last_rows_of_groups(*_hashes(titled)))
    found = [whole for place, item in enumerate(titled) for whole in joined.add(item, place)]
    assert list(joined.rest()) == []
    said = {item.group_id for item in titled if item.title}
    assert {item.item_id: item.title for item in found} == {
        item.item_id: item.title or ("T" if item.group_id is not None and item.group_id in said else "") for item in titled
    }
    assert len(found) == len(titled)


def _hashes(items: list[Item]) -> tuple[np.ndarray[Any, np.dtype[np.int64]], np.ndarray[Any, np.dtype[np.int64]]]:
    ids = np.array([hash(item.item_id) for item in items], np.int64)
    return ids, np.array([hash(item.group_id) if item.group_id else 0 for item in items], np.int64)


def test_complete_keeps_what_a_variant_says_itself() -> None:
    shared = {"title": "Mug", "tags": ("tin",), "image": "m.jpg"}
    assert fill_from_group(Item(item_id="i", title="Small mug", price=3), shared) == Item(
        item_id="i", title="Small mug", price=3, tags=("tin",), image="m.jpg"
    )


def test_rows_of_one_handle_are_one_item(tmp_path: Path) -> None:
    columns = {"item_id": "Handle", **PRODUCT, "price": "Variant Price"}
    items, rejected = read(csv(tmp_path, SHOPIFY), columns=columns)
    assert rejected.count == 0
    assert {item.item_id: item for item in items} == {
        "mug": Item(
            item_id="mug", title="Tin Mug", description="A mug", brand="Kiln", categories=("Cups",), image="m1.jpg", price=8,
            attributes={"Option1_Value": ("Small", "Large", "Huge"), "Variant_SKU": ("M-S", "M-L", "M-H")},
        ),
        "pan": Item(
            item_id="pan", title="Iron Pan", description="A pan", brand="Kiln", categories=("Pans",), image="p1.jpg", price=9,
            attributes={"Option1_Value": "Default Title", "Variant_SKU": "P-1"},
        ),
    }  # fmt: skip
    assert rejected.notes == [
        "2 rows have an item_id that came before: they are merged; of two values the later counts, and an empty cell takes"
        " nothing away."
    ]


def test_variants_have_what_the_first_row_of_their_group_says(tmp_path: Path) -> None:
    columns = {"item_id": "Variant SKU", "group_id": "Handle", **PRODUCT, "price": "Variant Price"}
    items, rejected = read(csv(tmp_path, SHOPIFY), columns=columns)
    assert [(i.item_id, i.group_id, i.title, i.description, i.brand, i.categories, i.price, i.image) for i in items] == [
        ("M-S", "mug", "Tin Mug", "A mug", "Kiln", ("Cups",), 5, "m1.jpg"),
        ("M-L", "mug", "Tin Mug", "A mug", "Kiln", ("Cups",), 6, "m2.jpg"),
        ("P-1", "pan", "Iron Pan", "A pan", "Kiln", ("Pans",), 9, "p1.jpg"),
        ("M-H", "mug", "Tin Mug", "A mug", "Kiln", ("Cups",), 8, "m1.jpg"),
    ]
    assert [item.attributes["Option1_Value"] for item in items] == ["Small", "Large", "Default Title", "Huge"]
    assert rejected.notes == ["2 items have title, texts or pictures from the first row of their group_id."]


def test_a_product_after_its_variants_is_one_of_the_group(tmp_path: Path) -> None:
    rows = "item_id,group_id,title,price\nr,shirt,,3\ns,,Sock,1\nshirt,,Shirt,\nb,shirt,,4\n"
    items, _ = read(csv(tmp_path, rows))
    assert [(item.item_id, item.group_id, item.title, item.price) for item in items] == [
        ("s", None, "Sock", 1), ("r", "shirt", "Shirt", 3), ("shirt", "shirt", "Shirt", None), ("b", "shirt", "Shirt", 4),
    ]  # fmt: skip


def test_a_row_for_each_property_makes_one_item(tmp_path: Path) -> None:
    rows = "item_id,title,colour,price\n1,Lamp,,\n2,Desk,oak,\n1,,red,\n1,,,7\n2,,,80\n"
    items, rejected = read(csv(tmp_path, rows))
    assert items == [
        Item(item_id="1", title="Lamp", price=7, attributes={"colour": "red"}),
        Item(item_id="2", title="Desk", price=80, attributes={"colour": "oak"}),
    ]
    assert rejected.count == 0


@pytest.mark.parametrize("columns", [{"item_id": "Handle"}, {"item_id": "Variant SKU", "group_id": "Handle"}])
def test_a_product_of_many_variants_loads(tmp_path: Path, columns: dict[str, str]) -> None:
    rows = ["Handle,Title,Variant SKU,Size", "mug,Tin Mug,M-0,0", *(f"mug,,M-{n},{n}" for n in range(1, 300))]
    path = csv(tmp_path, "\n".join(rows))
    with RejectedRows(max_errors=0) as rejected:
        schema = infer_item_schema(path, ReadOptions(columns={**columns, "title": "Title"}))
        items = list(read_items(path, ReadOptions(columns={**columns, "title": "Title"}), schema=schema, rejected=rejected))
    assert {item.title for item in items} == {"Tin Mug"}
    assert len(items) == (300 if "group_id" in columns else 1)


def test_rows_that_never_come_hold_nothing_back() -> None:
    items = [Item(item_id="a", title="A"), Item(item_id="b", group_id="g"), Item(item_id="c", group_id="h", title="C")]
    awaited = np.array([hash(item.group_id) if item.group_id else 0 for item in (*items, items[1], items[2])], np.int64)
    joined = VariantMerger({hash("a"): 9}, last_rows_of_groups(np.arange(5), awaited))
    assert [whole.item_id for place, item in enumerate(items) for whole in joined.add(item, place)] == ["c"]
    assert sorted(whole.item_id for whole in joined.rest()) == ["a", "b"]
    assert list(joined.rest()) == []


SHOP = """Handle,Title,Body (HTML),Vendor,Type,Tags,Published,Option1 Name,Option1 Value,Option2 Name,Option2 Value,Variant SKU,Variant Price,Image Src,Image Position
mug,Tin Mug,A mug,Kiln,Cups,"tin, cup",true,Size,Small,Colour,Red,M-S,5,m1.jpg,1
mug,,,,,,,,Large,,Red,M-L,6,m2.jpg,2
mug,,,,,,,,Large,,Blue,,7,,
mug,,,,,,,,,,,,,m3.jpg,3
pan,Iron Pan,A pan,Kiln,Pans,iron,true,Title,Default Title,,,,9,p1.jpg,1
pot,Iron Pot,A pot,Kiln,Pots,iron,true,size,Huge,,,PT-1,19,p1.jpg,1
"""  # noqa: E501


def test_an_export_of_shopify_needs_no_options(tmp_path: Path) -> None:
    items, rejected = read(csv(tmp_path, SHOP))
    assert [(i.item_id, i.group_id, i.title, i.brand, i.price, i.image, i.created_at) for i in items] == [
        ("M-S", "mug", "Tin Mug", "Kiln", 5, "m1.jpg", None),
        ("M-L", "mug", "Tin Mug", "Kiln", 6, "m2.jpg", None),
        ("mug/Large/Blue", "mug", "Tin Mug", "Kiln", 7, "m1.jpg", None),
        ("pan", "pan", "Iron Pan", "Kiln", 9, "p1.jpg", None),
        ("PT-1", "pot", "Iron Pot", "Kiln", 19, "p1.jpg", None),
    ]
    names = ("Size", "Colour")
    assert [{name: i.attributes[name] for name in names if name in i.attributes} for i in items] == [
        {"Size": "Small", "Colour": "Red"}, {"Size": "Large", "Colour": "Red"}, {"Size": "Large", "Colour": "Blue"},
        {}, {"Size": "Huge"},
    ]  # fmt: skip
    assert not {name for item in items for name in item.attributes if name.startswith("Option")}
    assert rejected.count == 0
    told = "\n".join(rejected.notes)
    assert "`Variant SKU` as item_id" in told
    assert "`Handle` as group_id" in told
    assert "1 row only has another picture of a product" in told
    assert "2 variants have no `Variant SKU`: the item_id is made of `Handle` and the options" in told


def test_an_export_of_shopify_by_handle(tmp_path: Path) -> None:
    items, rejected = read(csv(tmp_path, SHOP), columns={"item_id": "Handle", "group_id": "-"})
    assert [(i.item_id, i.group_id, i.title, i.image) for i in items] == [
        ("mug", None, "Tin Mug", "m1.jpg"), ("pan", None, "Iron Pan", "p1.jpg"), ("pot", None, "Iron Pot", "p1.jpg"),
    ]  # fmt: skip
    assert (items[0].attributes["Size"], items[0].attributes["Colour"]) == (("Small", "Large"), ("Red", "Blue"))
    assert rejected.count == 0


WOO = """ID,Type,SKU,Name,Published,Short description,Description,In stock?,Regular price,Categories,Tags,Images,Parent,Attribute 1 name,Attribute 1 value(s)
44,variable,TEE,V-neck Tee,1,,A tee,1,,"Clothing > Tees",cotton,t.jpg,,Colour,"Red, Green"
45,simple,CAP,Cap,1,,A cap,0,12,Hats,,c.jpg,,,
46,variable,,Hoodie,1,,A hoodie,1,,Clothing,,h.jpg,,Colour,Blue
47,variation,TEE-R,V-neck Tee - Red,1,,,1,20,,,,TEE,Colour,Red
48,variation,TEE-G,V-neck Tee - Green,1,,,0,21,,,,TEE,Colour,Green
49,variation,,Hoodie - Blue,1,,,1,45,,,,id:46,Colour,Blue
"""  # noqa: E501


@pytest.mark.parametrize("item_id", ["ID", "SKU"])
def test_an_export_of_woocommerce(tmp_path: Path, item_id: str) -> None:
    text = (
        WOO
        if item_id == "ID"
        else WOO.replace("46,variable,,", "46,variable,HOOD,").replace("49,variation,,", "49,variation,HOOD-B,")
    )
    text = text.replace("id:46", "HOOD") if item_id == "SKU" else text
    items, rejected = read(csv(tmp_path, text), **({} if item_id == "ID" else {"columns": {"item_id": "SKU"}}))
    tee, cap, hoodie, red, green, blue = ("44", "45", "46", "47", "48", "49")
    if item_id == "SKU":
        tee, cap, hoodie, red, green, blue = ("TEE", "CAP", "HOOD", "TEE-R", "TEE-G", "HOOD-B")
    assert {i.item_id: (i.group_id, i.title, i.description, i.price, i.image) for i in items} == {
        tee: (tee, "V-neck Tee", "A tee", None, "t.jpg"),
        cap: (None, "Cap", "A cap", 12, "c.jpg"),
        hoodie: (hoodie, "Hoodie", "A hoodie", None, "h.jpg"),
        red: (tee, "V-neck Tee - Red", "A tee", 20, "t.jpg"),
        green: (tee, "V-neck Tee - Green", "A tee", 21, "t.jpg"),
        blue: (hoodie, "Hoodie - Blue", "A hoodie", 45, "h.jpg"),
    }
    assert {i.item_id: i.attributes.get("Colour") for i in items if i.item_id in (red, blue)} == {red: "Red", blue: "Blue"}
    assert {i.created_at for i in items} == {None}
    assert rejected.count == 0


def test_an_id_of_two_products_is_one_item_and_told(tmp_path: Path) -> None:
    items, rejected = read(csv(tmp_path, "item_id,group_id,title,price\n1,a,A,3\n2,a,,4\n1,b,B,\n"))
    assert [(i.item_id, i.group_id, i.title, i.price) for i in items] == [("2", "a", "A", 4), ("1", "b", "B", None)]
    assert any(note.startswith("1 item was left out: its item_id comes again in another group_id") for note in rejected.notes)


@pytest.mark.parametrize(
    ("name", "grouped"), [("item_group_id", True), ("Parent SKU", True), ("parent_id", False), ("parent", False)]
)
def test_a_tree_is_not_taken_for_products(tmp_path: Path, name: str, grouped: bool) -> None:
    items, _ = read(csv(tmp_path, f"item_id,title,{name}\n1,One,7\n2,Two,7\n"))
    assert {item.group_id for item in items} == ({"7"} if grouped else {None})


def test_variations_that_come_before_their_product_are_of_one_group_with_it(tmp_path: Path) -> None:
    text = (
        "ID,Type,SKU,Name,Regular price,Parent,Description\n"
        "11,variation,W-R,Shirt - Red,10,W,\n10,variable,W,Shirt,,,Nice\n12,variation,W-B,Shirt - Blue,11,W,\n"
        "20,simple,S,Hat,5,,\n"
    )
    items, rejected = read(csv(tmp_path, text))
    groups = {i.item_id: i.group_id for i in items}
    assert groups.pop("20") is None
    assert groups.keys() == {"10", "11", "12"}
    assert len(set(groups.values())) == 1
    assert rejected.count == 0
