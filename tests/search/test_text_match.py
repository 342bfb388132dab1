"""How a question's words resemble a title's."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from es_recsys.search.text_match import match_text, numbers_in, split_words, value_overlap


@pytest.mark.parametrize(
    ("question", "title", "expected"),
    [
        ("alien 3 trailer", "Alien 3", {"covered": 2 / 3, "asked": 1, "leading": 1, "whole": 1, "same": 0, "number": 1}),
        ("alien", "Alien 3", {"covered": 1, "asked": 0.5, "leading": 0.5, "whole": 0, "number": 0}),
        ("rocky 4", "Rocky 2", {"covered": 0.5, "number": -1, "run": 0.5}),
        ("Amélie", "amelie", {"same": 1, "letters_covered": 1}),
        ("ocean's eleven", "Oceans Eleven", {"same": 1}),
        ("the dark night", "The Dark Knight", {"covered": 2 / 3, "run": 2 / 3}),
        ("night dark", "dark night", {"covered": 1, "run": 0.5, "leading": 0, "same": 0}),
    ],
)
def test_compare(question: str, title: str, expected: dict[str, float]) -> None:
    found = match_text(split_words(question), split_words(title))
    assert {aspect: found[aspect] for aspect in expected} == pytest.approx(expected)


def test_letters_forgive_spelling() -> None:
    asked = split_words("interstelar")
    right, wrong = (match_text(asked, split_words(title)) for title in ("Interstellar", "Inception"))
    assert right["covered"] == wrong["covered"] == 0
    assert right["letters_covered"] > 0.7 > wrong["letters_covered"] + 0.3


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
        assert found["same"] == found["covered"] == found["asked"] == found["leading"] == found["whole"] == 1.0
