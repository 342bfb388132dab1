from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from es_recsys.models.vocabulary import Vocabulary, tokens


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Red running-shoes, size 42!", ["red", "running", "shoes", "size", "42"]),
        ("a 7 b", ["7"]),
        ("STRASSE Straße", ["strasse", "strasse"]),
        ("ﬁne ５ ｷﾞｬ", ["fine", "5", "ギャ"]),
        ("cafe\u0301 café", ["café", "café"]),
        ("हिन्दी की किताब", ["हिन्दी", "की", "किताब"]),
        ("مَدْرَسَة", ["مَدْرَسَة"]),
        ("赤い靴", ["赤い", "い靴"]),
        ("靴 x", ["靴"]),
        ("iPhone用ケース", ["iphone", "用ケ", "ケー", "ース"]),
        ("รองเท้า", ["รอ", "อง", "งเ", "เท", "ท้", "้า"]),
        ("под водой", ["под", "водой"]),
        ("snake_case", ["snake", "case"]),
        ("... _ \u0301 ", []),
    ],
)
def test_words_of_many_scripts(text: str, words: list[str]) -> None:
    assert tokens(text) == words


@given(st.text(max_size=60))
def test_any_text_has_words_and_its_words_stay(text: str) -> None:
    words = tokens(text)
    assert all(word and word == word.casefold() for word in words)
    assert tokens(text.upper()) == tokens(text.upper().casefold())


TEXTS = [tokens(text) for text in ("red shoe", "red red hat", "blue hat", "red scarf", "blue coat zip")]


def test_words_that_are_rare_or_everywhere_are_left_out() -> None:
    assert list(Vocabulary.of(TEXTS, min_df=2, max_df=0.5).words) == ["blue", "hat"]
    assert list(Vocabulary.of(TEXTS, min_df=2, max_df=1.0).words) == ["blue", "hat", "red"]
    assert list(Vocabulary.of(TEXTS, min_df=1, max_df=1.0, size=3).words) == ["blue", "hat", "red"]
    assert len(Vocabulary.of([])) == 0


def test_weights_are_those_of_the_formula() -> None:
    vocabulary = Vocabulary.of(TEXTS, min_df=2, max_df=1.0)
    places, weights = vocabulary.row("Hat, RED red unheard")
    expected = np.array([np.log(6 / 3) + 1, (1 + np.log(2)) * (np.log(6 / 4) + 1)])
    assert places.tolist() == [1, 2]
    np.testing.assert_allclose(weights, expected / np.linalg.norm(expected))
    starts, columns, all_weights = vocabulary.rows(TEXTS)
    assert starts.tolist() == [0, 1, 3, 5, 6, 7]
    np.testing.assert_allclose(all_weights[1:3], vocabulary.row("red red hat")[1])
    assert columns[1:3].tolist() == [1, 2]
    assert vocabulary.row("nothing known")[0].tolist() == []


def test_kept_in_flat_arrays() -> None:
    vocabulary = Vocabulary.of(TEXTS, min_df=1, max_df=1.0)
    again = Vocabulary.from_arrays(vocabulary.arrays())
    assert list(again.words) == list(vocabulary.words)
    np.testing.assert_array_equal(again.row("blue coat")[1], vocabulary.row("blue coat")[1])
