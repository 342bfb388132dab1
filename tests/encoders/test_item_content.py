from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from es_recsys.encoders.item_content import item_content, item_text
from es_recsys.errors import EncodingError
from es_recsys.types import Item


class Stub:
    def __init__(self, content: str) -> None:
        self.content = content


def test_the_text_has_the_title_first_and_leaves_out_what_has_no_words() -> None:
    item = Item(
        item_id="1",
        title="Trail shoe",
        description="Light and  grippy.",
        categories=("Shoes", "Running"),
        tags=("red",),
        brand="Acme",
        price=10,
        attributes={
            "year": 1999,
            "weight": 280,
            "url": "https://example.org/x",
            "sku": "12-34",
            "material": "mesh",
            "colours": ("red", "blue"),
            "sizes": (40.0, 41.0),
            "sold": True,
            "since": datetime(2020, 1, 1, tzinfo=UTC),
        },
    )
    assert item_text(item) == "Trail shoe. Light and grippy. Shoes, Running. red. Acme. red, blue. mesh. 1999"


def test_no_words_give_no_text() -> None:
    assert item_text(Item(item_id="1", title="  ", attributes={"n": 5})) is None


def test_a_repeated_part_is_said_once() -> None:
    assert item_text(Item(item_id="1", title="Acme", brand="ACME", tags=("acme",))) == "Acme"


@given(st.permutations([("b", "two"), ("a", "one"), ("c", "three")]))
def test_the_order_of_columns_does_not_matter(pairs: list[tuple[str, str]]) -> None:
    assert item_text(Item(item_id="1", title="x", attributes=dict(pairs))) == "x. one. two. three"


def test_a_long_description_is_cut() -> None:
    text = item_text(Item(item_id="1", title="x", description="word " * 100_000))
    assert text is not None and len(text) <= 4_000


def test_a_picture_is_found_from_the_catalogue_s_folder(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.png").write_bytes(b"x")
    for name in ("sub/a.png", "./sub/../sub/a.png", str(tmp_path / "sub" / "a.png")):
        assert item_content(Stub("image"), Item(item_id="1", image=name), tmp_path) == (tmp_path / "sub" / "a.png").resolve()
    assert item_content(Stub("image"), Item(item_id="1"), tmp_path) is None


@pytest.mark.parametrize(
    "name",
    [
        "../secret",
        "/etc/passwd",
        "link",
        "linked/secret",
        "absent",
        "https://example.org/a.png",
        "a\0b",
        "sub",
        "loop",
        "x" * 5_000,
    ],
)
def test_a_path_that_leaves_the_folder_or_leads_nowhere_is_refused(tmp_path: Path, name: str) -> None:
    base = tmp_path / "base"
    (base / "sub").mkdir(parents=True)
    (tmp_path / "secret").write_text("secret")
    (base / "link").symlink_to(tmp_path / "secret")
    (base / "linked").symlink_to(tmp_path)
    (base / "loop").symlink_to(base / "loop")
    with pytest.raises(EncodingError) as caught:
        item_content(Stub("image"), Item(item_id="1", image=name), base)
    assert caught.value.remedy


def test_a_link_that_stays_inside_is_followed(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"x")
    (tmp_path / "b.png").symlink_to("a.png")
    assert item_content(Stub("image"), Item(item_id="1", image="b.png"), tmp_path) == (tmp_path / "a.png").resolve()


def test_an_unknown_kind_of_content_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(EncodingError):
        item_content(Stub("smell"), Item(item_id="1"), tmp_path)
