"""What callers give: one id is never taken apart, and what can't be read is an error of ours that names it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from es_recsys import Query
from es_recsys import arguments as module
from es_recsys.errors import EngineError, FilterError, InputError, RecsysError


class Thing:
    """What nobody expects; it looks the same in every process, so that each worker finds the same tests."""

    def __repr__(self) -> str:
        return "Thing()"


THING = Thing()
TEXTS = st.text(st.characters(blacklist_categories=["Cs", "Cc", "Zs", "Cn", "Co"]), min_size=1, max_size=40)


@pytest.mark.parametrize(
    ("given_id", "text"),
    [
        ("az", "az"),
        (17, "17"),
        (17.0, "17"),
        (np.int64(17), "17"),
        (Decimal(17), "17"),
        (UUID(int=1), str(UUID(int=1))),
        (" x ", "x"),
        ("NULL", "NULL"),
        (" nan", "nan"),
    ],
)
def test_one_id_that_stands_alone_is_a_list_of_one(given_id: Any, text: str) -> None:
    assert module.ids("item_ids", given_id) == (text,)
    assert module.ids("item_ids", [given_id]) == (text,)
    query = Query(user_id=given_id, history=given_id, exclude=given_id, ids=given_id, session_id=given_id)
    assert (query.user_id, query.session_id, Query(like=given_id).like) == (text, text, text)
    assert (query.history, query.ids, query.exclude) == ((text,), (text,), {text})


@given(TEXTS)
def test_a_text_is_never_taken_apart(text: str) -> None:
    try:
        found = module.ids("exclude", text)
    except InputError:
        return
    assert len(found) == 1 and module.ids("exclude", [text]) == found


@pytest.mark.parametrize(
    "many", [[1, "2", 3.0], (1, 2, 3), iter([1, 2, 3]), range(1, 4), np.array([1, 2, 3]), {1: "a", 2: "b", 3: "c"}.keys()]
)
def test_ids_come_in_any_iterable(many: Any) -> None:
    assert module.ids("history", many) == ("1", "2", "3")


WRONG_IDS = [
    None,
    b"az",
    bytearray(b"az"),
    {"a": 1},
    THING,
    True,
    float("nan"),
    float("inf"),
    "",
    " ",
    "\ud800",
    "x" * 600,
    "a\x00b",
]


@pytest.mark.parametrize("wrong", [*WRONG_IDS, [None], ["a", None], [b"a"], [["a"]], [True], [float("nan")]], ids=repr)
def test_what_is_no_id_is_named(wrong: Any) -> None:
    with pytest.raises(InputError, match="item_ids"):
        module.ids("item_ids", wrong)


def failing() -> Any:
    yield "a"
    raise RuntimeError("the caller's own")


def test_an_iterator_that_fails_is_told_with_its_cause() -> None:
    with pytest.raises(InputError, match="What gives history failed") as raised:
        Query(history=failing())  # type: ignore[arg-type]
    assert isinstance(raised.value.__cause__, RuntimeError)


def test_an_error_of_ours_out_of_an_iterator_stays_what_it_is() -> None:
    def missing() -> Any:
        raise EngineError("Elasticsearch is away.")
        yield

    with pytest.raises(EngineError, match="is away"):
        module.ids("item_ids", missing())


NOT_NUMBERS = [float("nan"), "0.5", [0.5], THING, True, -0.1, 1.1, float("inf")]


@pytest.mark.parametrize(
    "wrong",
    [
        *({"user_id": one} for one in WRONG_IDS if one is not None),
        *({"exclude": [one]} for one in WRONG_IDS),
        *({"history": [one]} for one in WRONG_IDS),
        *({"ids": [one]} for one in WRONG_IDS),
        *({"like": one} for one in WRONG_IDS if one is not None),
        *({name: one} for name in ("personalization", "diversity", "calibration", "explore") for one in NOT_NUMBERS),
        *({"popularity": one} for one in (*NOT_NUMBERS[:5], -1.1, 1.1)),
        *({name: one} for name in ("n", "offset") for one in (None, "10", 1.5, float("nan"), True, [1])),
        *({"text": one} for one in (None, 5, b"x", ["a"], "\ud800")),
        *({"image": one} for one in (5, ["a"], "/no/such/file", "a\x00b")),
        *({"explain": one} for one in (1, "yes", None)),
        *(
            {"filter": one}
            for one in (5, b"x", [5], [None], {5: "a"}, {"price": THING}, {"price": float("nan")}, {"a": {"b": 1}})
        ),
    ],
    ids=repr,
)
def test_a_query_of_something_else_is_an_error_of_ours(wrong: dict[str, Any]) -> None:
    with pytest.raises(RecsysError):
        Query(**wrong)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"n": 0}, "n is 0. Give 1 or more."),
        ({"offset": -1}, "offset is -1. Give 0 or more."),
        ({"n": 1_001}, "beyond the first 1,000 hits"),
        ({"offset": 995}, "beyond the first 1,000 hits"),
        ({"ids": []}, "0 items are to be ranked"),
        ({"ids": range(1_001)}, "1001 items are to be ranked"),
        ({"like": "a", "text": "shoes"}, "no words, picture, sound or ids beside it"),
        ({"text": "x" * 4_097}, "The query has 4,097 characters"),
        ({"diversity": 2}, "diversity is 2. Give a number from 0 to 1."),
        ({"popularity": -2}, "popularity is -2. Give a number from -1 to 1."),
        ({"like": b"a"}, "item_id is a bytes, which is no id"),
        ({"nonsense": 1}, "A Query has no argument 'nonsense'. It has text, image"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_a_query_that_cannot_be_answered_says_why(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Query(**wrong)


def test_a_query_equals_itself_only() -> None:
    one, other = Query(text="shoes", filter={"brand": "Acme"}), Query(text="shoes", filter={"brand": "Acme"})
    assert one != other
    assert len({one, other, one}) == 2


def test_a_query_does_not_change() -> None:
    query = Query(text="shoes")
    with pytest.raises(ValueError, match="frozen"):
        query.text = "hats"  # type: ignore[misc]


def test_filters_stay_what_they_are() -> None:
    assert Query(filter="brand:Acme").filter == ("brand:Acme",)
    assert Query(filter=["a:b", "c:d"]).filter == ("a:b", "c:d")
    ranged = {"price": (None, 100), "-brand": ["a", "b"]}
    assert Query(filter=ranged).filter == ranged
    with pytest.raises(FilterError):
        Query(filter={"price": [b"x"]})


def test_names_may_stand_alone() -> None:
    assert module.texts("models", "als") == ("als",)
    assert module.texts("models", ["als", "ease"]) == ("als", "ease")
    for wrong in (5, [5], b"als", None):
        with pytest.raises(InputError):
            module.texts("models", wrong)


def test_no_value_is_told() -> None:
    with pytest.raises(InputError) as raised:
        module.one_id("user_id", ["secret-user"])
    assert "secret-user" not in str(raised.value)
