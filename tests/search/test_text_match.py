"""How a question's words resemble a title's."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from es_recsys.search.text_match import match_text, numbers_in, split_words, value_overlap


@pytest.mark.parametrize(
    ("question", "title", "expected"),
    [
        (
            "alien 3 trailer",
            "Alien 3",
            {"query_coverage": 2 / 3, "text_coverage": 1, "shared_prefix": 1, "contained": 1, "equal": 0, "number": 1},
        ),
        ("alien", "Alien 3", {"query_coverage": 1, "text_coverage": 0.5, "shared_prefix": 0.5, "contained": 0, "number": 0}),
        ("rocky 4", "Rocky 2", {"query_coverage": 0.5, "number": -1, "longest_run": 0.5}),
        ("Amélie", "amelie", {"equal": 1, "trigram_query_coverage": 1}),
        ("ocean's eleven", "Oceans Eleven", {"equal": 1}),
        ("the dark night", "The Dark Knight", {"query_coverage": 2 / 3, "longest_run": 2 / 3}),
        ("night dark", "dark night", {"query_coverage": 1, "longest_run": 0.5, "shared_prefix": 0, "equal": 0}),
    ],
)
def test_compare(question: str, title: str, expected: dict[str, float]) -> None:
    found = match_text(split_words(question), split_words(title))
    assert {aspect: found[aspect] for aspect in expected} == pytest.approx(expected)


def test_letters_forgive_spelling() -> None:
    asked = split_words("interstelar")
    right, wrong = (match_text(asked, split_words(title)) for title in ("Interstellar", "Inception"))
    assert right["query_coverage"] == wrong["query_coverage"] == 0
    assert right["trigram_query_coverage"] > 0.7 > wrong["trigram_query_coverage"] + 0.3


def test_nothing_to_compare() -> None:
    assert match_text(split_words(""), split_words("a")) == match_text(split_words("a"), split_words("...")) == {}
    assert value_overlap(split_words(""), ["a"]) == (0.0, 0.0)


def test_said_by_values_together_and_by_one_whole() -> None:
    asked = split_words("tom hanks war movie")
    assert value_overlap(asked, ["Tom Hanks", "Matt Damon"]) == (0.5, 1.0)
    assert value_overlap(asked, ["Tom Sizemore", "War Horse"]) == (0.5, 0.0)
    assert value_overlap(asked, []) == (0.0, 0.0)


def test_numbers() -> None:
    assert numbers_in(split_words("top 10 films of 1994")) == {10.0, 1994.0}
    assert numbers_in(split_words("9" * 12)) == frozenset()


@given(st.text(max_size=40), st.text(max_size=40))
def test_shares_are_shares(question: str, title: str) -> None:
    found = match_text(split_words(question), split_words(title))
    assert all(-1.0 <= value <= 1.0 for aspect, value in found.items() if aspect != "words")
    if found and split_words(question).words == split_words(title).words:
        assert (
            found["equal"]
            == found["query_coverage"]
            == found["text_coverage"]
            == found["shared_prefix"]
            == found["contained"]
            == 1.0
        )
