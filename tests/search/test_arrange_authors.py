"""The authors of a page."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from es_recsys.search.rerank.authors import arrange_authors

authors = st.lists(st.sampled_from(["a", "b", "c", "d", "e", None]), max_size=40)


@given(authors, st.integers(1, 10), st.integers(0, 4), st.floats(0, 1))
def test_every_row_once(rows: list[str | None], page: int, most: int, share: float) -> None:
    assert sorted(arrange_authors(rows, {"a", "b"}, page, most, share)) == list(range(len(rows)))


def test_without_a_bound_the_order_stays() -> None:
    assert arrange_authors(["a", "a", None, "b"], {"a"}, 2) == [0, 1, 2, 3]


def test_at_most_two_of_an_author_while_there_are_others() -> None:
    assert arrange_authors(["a", "a", "a", "a", "b", None, None, "c"], (), 4, 2) == [0, 1, 4, 5, 2, 3, 6, 7]
    assert arrange_authors(["a"] * 5, (), 3, 2) == [0, 1, 2, 3, 4]
    order = arrange_authors(["a"] * 9 + ["b", "c", "d"] * 3, (), 6, 2)
    assert Counter((["a"] * 9 + ["b", "c", "d"] * 3)[row] for row in order[:6])["a"] == 2


def test_the_last_places_are_for_who_is_not_known() -> None:
    rows = ["a", "b", "a", "b", "x", "y", "a"]
    assert arrange_authors(rows, {"a", "b"}, 4, 0, 0.5) == [0, 1, 4, 5, 2, 3, 6]
    assert arrange_authors(["a", "a", "y", "x"], {"a"}, 2, 0, 0.5) == [0, 2, 1, 3]
    assert arrange_authors(["a", "a", "x"], {"a"}, 3, 0, 1.0) == [0, 1, 2]
