"""What is left to chance in an answer: the same for all pages of a question, another draw for another asker or hour."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from es_recsys.errors import InputError
from es_recsys.index_metadata import StoreMeta
from es_recsys.search.context import Context
from es_recsys.search.explore import explore
from es_recsys.serving.answering import exploring
from es_recsys.serving.snapshot import View
from es_recsys.settings import Settings
from es_recsys.types import Query

NOON = 1_700_000_000.0


@pytest.fixture
def view(tmp_path: Path) -> View:
    return View(Settings(home=tmp_path), StoreMeta("shop", 1), b"s" * 32, encoder=None)  # type: ignore[arg-type]


def order(view: View, answer_id: str, now: float = NOON, **asked: Any) -> list[int]:
    """The order in which thirty near-equal items are shown."""
    query = Query(explore=1.0, **asked)
    context = Context(meta=view.meta, now=now, text=query.text, n=query.n, offset=query.offset, exclude=query.exclude)
    exploration = exploring(view, query, context, answer_id).exploration
    assert exploration is not None
    scores = [1.0 - place / 1_000 for place in range(29)] + [0.0]
    return explore(exploration, [f"i{place}" for place in range(30)], scores, query.offset, query.offset + query.n).order


@pytest.mark.parametrize("who", [{"user_id": "u"}, {"session_id": "s"}])
def test_pages_of_one_question_are_cut_from_one_order(view: View, who: dict[str, str]) -> None:
    first = order(view, "a", text="shoes", **who)
    assert order(view, "b", text="shoes", offset=10, now=NOON + 60, **who) == first
    assert order(view, "c", text=" Shoes ", offset=20, n=5, **who) == first


def test_another_asker_question_or_hour_draws_anew(view: View) -> None:
    orders = [
        order(view, "a", text="shoes", user_id="u"),
        order(view, "a", text="shoes", user_id="v"),
        order(view, "a", text="hats", user_id="u"),
        order(view, "a", user_id="u"),
        order(view, "a", text="shoes", user_id="u", now=NOON + 3_600),
        order(view, "a", text="shoes", user_id="u", filter=("brand:x",)),
    ]
    assert len({tuple(one) for one in orders}) == len(orders)


def test_for_nobody_in_particular_each_answer_draws_anew(view: View) -> None:
    assert order(view, "a", text="shoes") == order(view, "a", text="shoes") != order(view, "b", text="shoes")


def test_nothing_is_left_to_chance_unless_it_is_asked_for(view: View) -> None:
    context = Context(meta=view.meta, now=NOON)
    assert exploring(view, Query(), context, "a").exploration is None
    assert exploring(view, Query(explore=1.0, ids=("a", "b")), context, "a").exploration is None
    with pytest.raises(InputError, match=r"explore is 1\.5"):
        exploring(view, Query(explore=1.5), context, "a")
