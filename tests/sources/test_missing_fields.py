"""Warnings where no item has a title or a price although a column looks like it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from es_recsys.sources import ReadOptions, RejectedRows, read_items


def notes(path: Path, text: str, **options: Any) -> list[str]:
    path.write_text(text)
    with RejectedRows(write=False) as rejected:
        assert list(read_items(path, ReadOptions(**options), rejected=rejected))
    return [note for note in rejected.notes if "says so" in note]


@pytest.mark.parametrize(
    ("text", "note"),
    [
        (
            "item_id,Artikeltitel\n1,Pfanne\n",
            "No item has a title. Is it in `Artikeltitel` (such as 'Pfanne')? --columns 'title=Artikeltitel'",
        ),
        ("item_id,colour,the name\n1,red,Pan\n", "Is it in `the name` (such as 'Pan')? --columns 'title=the name'"),
        ("item_id,a,b\n1,17,Pan\n", "Is it in `b` (such as 'Pan')? --columns 'title=b'"),
        (
            'item_id,title,"Price (EUR), net"\n1,Pan,3\n',
            "Is it in `Price (EUR), net` (such as '3')? --columns 'price=\"Price (EUR), net\"'",
        ),
        (
            "item_id;title;Verkaufspreis\n1;Pan;1.299,00\n",
            "No item has a price. Is it in `Verkaufspreis` (such as '1.299,00')? --columns 'price=Verkaufspreis'",
        ),
        ("item_id,title,worth\n1,Pan,15.00 USD\n2,Pot,$3\n", "Is it in `worth` (such as '15.00 USD')? --columns 'price=worth'"),
        (
            "item_id,title,price,cost\n1,Pan,,3\n2,Pot,,4\n3,Cup,1,5\n",
            "Only 1 of 3 items have a price. Is it in `cost` (such as '3')?",
        ),
    ],
)
def test_a_column_that_looks_like_it_is_named(tmp_path: Path, text: str, note: str) -> None:
    assert any(note in one for one in notes(tmp_path / "f.csv", text))


@pytest.mark.parametrize(
    "text",
    [
        "item_id,title,price,cost\n1,Pan,3,2\n2,Pot,4,1\n",
        "item_id,title,size\n1,Pan,3\n",
        "item_id,title,costume\n1,Pan,wide\n",
        "item_id,year\n1,2001\n",
        "item_id,link\n1,https://example.org/x\n",
    ],
)
def test_nothing_is_said_without_a_reason(tmp_path: Path, text: str) -> None:
    assert notes(tmp_path / "f.csv", text) == []


def test_what_was_left_out_is_not_asked_for(tmp_path: Path) -> None:
    assert notes(tmp_path / "f.csv", "item_id,title,our cost\n1,Pan,3\n", columns={"price": "-"}) == []
    assert notes(tmp_path / "f.csv", "item_id,colour\n1,red\n", columns={"title": "-"}) == []
