"""What is left to chance in an answer: the same for all pages of a question, another draw for another asker or hour."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from es_recsys.errors import InputError
from es_recsys.index_metadata import IndexMetadata
from es_recsys.search.rerank.exploration import explore
from es_recsys.serving.ranking_policy import ranking_policy, with_exploration
from es_recsys.serving.snapshot import ServingSnapshot
from es_recsys.settings import Settings
from es_recsys.types import Query

NOON = 1_700_000_000.0


@pytest.fixture
def snapshot(tmp_path: Path) -> ServingSnapshot:
    return ServingSnapshot(Settings(home=tmp_path), IndexMetadata("shop", 1), b"s" * 32, encoder=None)  # type: ignore[arg-type]


def order(snapshot: ServingSnapshot, answer_id: str, now: float = NOON, **asked: Any) -> list[int]:
    """The order in which thirty near-equal items are shown."""
    query = Query(explore=1.0, **asked)
    exploration = with_exploration(ranking_policy(snapshot), snapshot, query, now, answer_id).exploration
    assert exploration is not None
    scores = [1.0 - place / 1_000 for place in range(29)] + [0.0]
    return explore(exploration, [f"i{place}" for place in range(30)], scores, query.offset, query.offset + query.n).order


@pytest.mark.parametrize("who", [{"user_id": "u"}, {"session_id": "s"}])
def test_pages_of_one_question_are_cut_from_one_order(snapshot: ServingSnapshot, who: dict[str, str]) -> None:
    first = order(snapshot, "a", text="shoes", **who)
    assert order(snapshot, "b", text="shoes", offset=10, now=NOON + 60, **who) == first
    assert order(snapshot, "c", text=" Shoes ", offset=20, n=5, **who) == first


def test_another_asker_question_or_hour_draws_anew(snapshot: ServingSnapshot) -> None:
    orders = [
        order(snapshot, "a", text="shoes", user_id="u"),
        order(snapshot, "a", text="shoes", user_id="v"),
        order(snapshot, "a", text="hats", user_id="u"),
        order(snapshot, "a", user_id="u"),
        order(snapshot, "a", text="shoes", user_id="u", now=NOON + 3_600),
        order(snapshot, "a", text="shoes", user_id="u", filter=("brand:x",)),
    ]
    assert len({tuple(one) for one in orders}) == len(orders)


def test_for_nobody_in_particular_each_answer_draws_anew(snapshot: ServingSnapshot) -> None:
    assert order(snapshot, "a", text="shoes") == order(snapshot, "a", text="shoes") != order(snapshot, "b", text="shoes")


def test_nothing_is_left_to_chance_unless_it_is_asked_for(snapshot: ServingSnapshot) -> None:
    policy = ranking_policy(snapshot)
    assert with_exploration(policy, snapshot, Query(), NOON, "a").exploration is None
    assert with_exploration(policy, snapshot, Query(explore=1.0, ids=("a", "b")), NOON, "a").exploration is None
    with pytest.raises(InputError, match=r"explore is 1\.5"):
        Query(explore=1.5)
