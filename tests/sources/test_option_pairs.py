"""--columns, --constant and --actions have one grammar."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from es_recsys.errors import InputError
from es_recsys.sources import ReadOptions, parse_actions, parse_columns, parse_constants
from es_recsys.sources.option_pairs import parse_pairs, quoted


def pairs(texts: str | list[str], *, at_last: bool = False) -> dict[str, str]:
    return dict(parse_pairs(texts, "--option", "KEY=VALUE", "a=b", at_last=at_last))


@pytest.mark.parametrize("at_last", [False, True])
@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("a=b", {"a": "b"}),
        (" a = b ,c=d,", {"a": "b", "c": "d"}),
        ('"x, y"=b', {"x, y": "b"}),
        ('a="x, y",c=d', {"a": "x, y", "c": "d"}),
        ('"x=y"=b', {"x=y": "b"}),
        ('a="x=y"', {"a": "x=y"}),
        ('a="5"" screen"', {"a": '5" screen'}),
        (r'a="5\" screen"', {"a": '5" screen'}),
        (r'"5\" screen, new"=a', {'5" screen, new': "a"}),
        ('a=5" screen', {"a": '5" screen'}),
        ("'x'=b", {"x": "b"}),
        ("a='x'", {"a": "x"}),
        (r"a=C:\x", {"a": r"C:\x"}),
        ("a=x, y", {"a": "x, y"}),
        ("a=-", {"a": "-"}),
    ],
)
def test_forms_that_every_option_takes(text: str, wanted: dict[str, str], at_last: bool) -> None:
    assert pairs(text, at_last=at_last) == wanted


def test_an_equals_sign_without_quotes_is_of_the_side_that_may_have_one() -> None:
    assert pairs("a=b=c") == {"a": "b=c"}
    assert pairs("a=b=c", at_last=True) == {"a=b": "c"}
    assert parse_columns("item_id=a=b") == {"item_id": "a=b"}
    assert parse_actions("q=r=view") == {"q=r": "view"}


def test_the_options_read_one_text_alike() -> None:
    text = r'"say ""hi"", or \"bye\""=view'
    name = 'say "hi", or "bye"'
    assert parse_columns(text) == parse_constants(text) == parse_actions(text) == {name: "view"}
    assert parse_constants("query=a, b=c, d") == {"query": "a, b=c, d"}


@pytest.mark.parametrize("text", ["a", "=b", "a=", '""=b', 'a=""', "=", "'x'"])
def test_what_is_no_pair_is_told_with_a_good_use(text: str) -> None:
    with pytest.raises(InputError, match=r"--option .* is not KEY=VALUE") as caught:
        pairs(text)
    assert caught.value.remedy == "Write --option a=b."


_TEXT = st.text(min_size=1, max_size=20).filter(lambda text: text.strip() == text and "\\" not in text)


@given(_TEXT, _TEXT, st.booleans())
def test_what_is_quoted_comes_back(key: str, value: str, at_last: bool) -> None:
    assert pairs(f"{quoted(key)}={quoted(value)},z=1", at_last=at_last) == {key: value, "z": "1"} | (
        {"z": "1"} if key == "z" else {}
    )


@pytest.mark.parametrize(
    ("options", "what"),
    [({"separator": '"'}, "separator"), ({"encoding": "klingon"}, "encoding"), ({"timezone": "Atlantis"}, "--timezone")],
)
def test_options_that_cannot_be_meant_are_refused_at_once(options: dict[str, str], what: str) -> None:
    with pytest.raises(InputError, match=what):
        ReadOptions(**options)  # type: ignore[arg-type]
