"""How a store ranks: by itself, for products and similar items, and with chance, which is one for all pages of a query."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from es_recsys.errors import InputError
from es_recsys.index_metadata import IndexMetadata
from es_recsys.query import Query
from es_recsys.search.exploration import explore
from es_recsys.serving.ranking_policy import for_query, for_similar_items, ranking_policy, with_exploration
from es_recsys.serving.snapshot import ServingSnapshot
from es_recsys.serving.user_profiles import profile_keys
from es_recsys.settings import SearchSettings, Settings

NOON = 1_700_000_000.0


@pytest.fixture
def snapshot(tmp_path: Path) -> ServingSnapshot:
    return ServingSnapshot(Settings(home=tmp_path), IndexMetadata("shop", 1), b"s" * 32, encoder=None)  # type: ignore[arg-type]


def order(snapshot: ServingSnapshot, answer_id: str, now: float = NOON, **asked: Any) -> list[int]:
    """The order in which thirty near-equal items are shown."""
    query = Query(explore=1.0, **asked)
    exploration = with_exploration(
        ranking_policy(snapshot), snapshot, query, profile_keys(snapshot, query), now, answer_id
    ).exploration
    assert exploration is not None
    scores = [1.0 - place / 1_000 for place in range(29)] + [0.0]
    return explore(exploration, [f"i{place}" for place in range(30)], scores, query.offset, query.offset + query.n).order


@pytest.mark.parametrize("who", [{"user_id": "u"}, {"session_id": "s"}])
def test_pages_of_one_question_are_cut_from_one_order(snapshot: ServingSnapshot, who: dict[str, str]) -> None:
    first = order(snapshot, "a", text="shoes", **who)
    assert order(snapshot, "b", text="shoes", offset=10, now=NOON + 60, **who) == first
    assert order(snapshot, "c", text=" Shoes ", offset=20, n=5, **who) == first


def test_a_search_for_words_is_deep_where_models_may_lift_what_matches_less(snapshot: ServingSnapshot) -> None:
    def depth(**changes: Any) -> int:
        policy = replace(ranking_policy(snapshot), **changes)
        return for_query(policy, Query(text="shoes")).settings.depth

    trained = IndexMetadata("shop", 1, models=("als",))
    assert (depth(), depth(metadata=trained), depth(rankers={"query": None})) == (50, 100, 100)
    assert depth(settings=SearchSettings(text_depth=80)) == 80 == depth(settings=SearchSettings(text_depth=80), metadata=trained)
    assert depth(settings=SearchSettings(depth=30)) == 30
    assert for_query(ranking_policy(snapshot), Query(user_id="u")).settings.depth == 200


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
    assert with_exploration(policy, snapshot, Query(), (), NOON, "a").exploration is None
    assert with_exploration(policy, snapshot, Query(explore=1.0, ids=("a", "b")), (), NOON, "a").exploration is None
    with pytest.raises(InputError, match=r"explore is 1\.5"):
        Query(explore=1.5)


def test_a_store_ranks_by_its_metadata_and_settings(tmp_path: Path) -> None:
    metadata = IndexMetadata("shop", 1, retriever_weights={"no_query": {"als": 1.0}})
    settings = Settings(home=tmp_path, search=SearchSettings(depth=70))
    snapshot = ServingSnapshot(settings, metadata, b"s", None, popularity=[("a", 1.0)], rankers={"query": None})  # type: ignore[arg-type]
    policy = ranking_policy(snapshot)
    assert (policy.metadata, policy.settings, policy.retriever_weights) == (metadata, settings.search, metadata.retriever_weights)
    assert (policy.popularity, policy.rankers, policy.logs_answers) == ([("a", 1.0)], {"query": None}, True)
    silent = replace(snapshot, settings=Settings(home=tmp_path, answer_log_mib=0))
    assert not ranking_policy(silent).logs_answers


def test_variants_collapse_where_there_are_any_and_ids_are_not_given(snapshot: ServingSnapshot) -> None:
    plain = ranking_policy(snapshot)
    assert for_query(plain, Query()) is plain
    variants = replace(plain, metadata=replace(plain.metadata, notes={"variants": 2.5}))
    assert not for_query(variants, Query(ids=("a",))).collapse
    collapsed = for_query(variants, Query())
    assert collapsed.collapse and collapsed.settings.depth == 500
    assert (
        for_query(replace(variants, metadata=replace(plain.metadata, notes={"variants": 99.0})), Query()).settings.depth == 1_000
    )


def test_content_leads_among_similar_items(snapshot: ServingSnapshot) -> None:
    given = {"no_query": {"als": 1.0, "taste_text": 0.1}, "first_event": {"popularity": 1.0}, "query": {"lexical": 1.0}}
    metadata = replace(snapshot.metadata, models=("als",))
    policy = for_similar_items(
        replace(ranking_policy(snapshot), metadata=metadata, retriever_weights=given, rankers={"no_query": None})
    )
    table = policy.retriever_weights["no_query"]
    assert table["taste_text"] > table["als"] > table["popularity"] > 0.0
    assert policy.retriever_weights["query"] == given["query"] and not policy.rankers
    # The item is all of the history, but not a user's first event.
    assert "first_event" not in policy.retriever_weights
