"""Which fields of an index are proposed as the fields of items."""

from __future__ import annotations

from typing import Any

import pytest
from odd_index import document

from es_recsys.sources.index_columns import propose_columns, unknown_path


def _proposed(*rows: dict[str, Any], language: str = "english") -> dict[str, str]:
    return dict(propose_columns({}, [{"_id": "1", **row} for row in rows], language).columns)


def test_objects_lists_of_objects_and_languages_are_looked_into() -> None:
    found = propose_columns({}, [{"_id": f"p{n}", **document(n)} for n in range(3)], "english")
    assert found.columns == {
        "item_id": "_id",
        "title": "name.en",
        "description": "body",
        "categories": "category.name",
        "brand": "maker",
        "price": "price.amount",
        "currency": "price.currency",
        "image": "img.url",
    }
    assert found.option.startswith("item_id=_id,title=name.en,")
    assert found.examples["category.name"] == "Shoes | Running"
    assert set(found.others) == {"sku", "name.de", "category.level", "updated_at", "embedding"}


def test_the_stores_language_decides_between_texts() -> None:
    assert _proposed(document(1), language="german")["title"] == "name.de"
    assert _proposed(document(1), language="french")["title"] in {"name.de", "name.en"}


@pytest.mark.parametrize(
    ("row", "field", "path"),
    [
        ({"product": {"title": "A", "price": 3}}, "title", "product.title"),
        ({"title": "A", "brand": {"name": "Acme"}}, "brand", "brand.name"),
        ({"title": "A", "images": [{"src": "a.png"}, {"src": "b.png"}]}, "image", "images.src"),
        ({"title": "A", "prices": {"gross": 3.0}, "productPrice": 2.5}, "price", "productPrice"),
        ({"ProductName": "A"}, "title", "ProductName"),
        ({"title": "A", "genres": ["x"]}, "categories", "genres"),
    ],
)
def test_usual_shapes(row: dict[str, Any], field: str, path: str) -> None:
    assert _proposed(row)[field] == path


def test_the_name_of_a_brand_or_category_is_no_title() -> None:
    assert "title" not in _proposed({"brand": {"name": "Acme"}, "category": {"title": "Shoes"}})


def test_an_unknown_path_names_what_is_like_it() -> None:
    error = unknown_path("products", "price.amonut", ["price.amount", "price.currency", "name.en"])
    assert "Did you mean price.amount" in error.what
    assert "name.en" in unknown_path("products", "title.en", ["name.en", "sku"]).what
