from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from search_inputs import Inputs, changed, inputs

from es_recsys.dataset import History, Taste
from es_recsys.index_metadata import IndexMetadata, VectorMetadata
from es_recsys.search.request import situation
from es_recsys.search.retriever_weights import (
    PERSONAL_SHARE,
    breadth,
    damped_weights,
    damping,
    largest_weights,
    retriever_weights,
    search_kind,
    search_table,
)
from es_recsys.search.retrievers import active_retrievers
from es_recsys.settings import FusionWeights, SearchSettings

UNIT = np.array([1.0, 0.0], np.float32)
META = IndexMetadata(
    store="s",
    version=1,
    vectors={"text_vector": VectorMetadata(2, "f", "m"), "als_vector": VectorMetadata(2, "f", "als", "max_inner_product")},
    fields={"created_at": "date"},
)


def known(**changes: Any) -> Inputs:
    given_values: dict[str, Any] = {
        "metadata": META,
        "now": 0.0,
        "text": "red shoe",
        "vectors": {"text_vector": UNIT},
        "tastes": {"text_vector": Taste(UNIT, None)},
        "factors": {"als": UNIT},
        "neighbours": {"covisitation": [("a", 2.0)]},
        "popularity": [("b", 1.0)],
        "strength": 20.0,
    }
    return inputs(**{**given_values, **changes})


def weights(given: Inputs, scores: list[float] | None = None) -> dict[str, float]:
    able = [retriever for retriever in active_retrievers(*given) if retriever.build_query(*given) is not None]
    return damped_weights(*given, retriever_weights(*given, able), able, scores or [])


def test_situations() -> None:
    def of(given: Inputs) -> str:
        return situation(given.request, given.user)

    assert of(known()) == "query"
    assert of(known(text="", vectors={})) == "no_query"
    assert of(inputs(metadata=META, now=0.0)) == "new_user"
    assert of(inputs(metadata=META, now=0.0, tastes={"text_vector": Taste(None, None)})) == "new_user"


scores_strategy = st.lists(st.floats(0.01, 100), min_size=1, max_size=50).map(lambda found: sorted(found, reverse=True))


@given(scores_strategy, st.floats(0, 1e6))
def test_damping_is_bounded(scores: list[float], strength: float) -> None:
    assert 0.0 <= breadth(scores, 50) <= 1.0
    assert 0.0 <= damping(breadth(scores, 50), strength) <= 1.0


@given(scores_strategy, st.floats(0, 100), st.floats(0, 100))
def test_damping_grows_with_evidence_and_breadth(scores: list[float], low: float, more: float) -> None:
    assert damping(breadth(scores, 50), low + more) >= damping(breadth(scores, 50), low)
    # Another hit as good as the best makes the question broader.
    assert breadth([scores[0], *scores], 60) >= breadth(scores, 60)
    # A better best hit makes it more precise.
    assert breadth([scores[0] * 2, *scores[1:]], 60) <= breadth(scores, 60) + 1e-12


def test_breadth_at_its_ends() -> None:
    assert breadth([9.0], 200) == 0.0
    assert breadth([9.0] * 200, 200) == pytest.approx(1.0)
    assert breadth([9.0, 4.0, 3.0], 200) < 0.01
    assert breadth([], 200) == 0.5


@given(scores_strategy, st.floats(0, 1000), st.floats(0, 1), st.floats(0, 5))
def test_profile_never_weighs_more_than_its_share(
    scores: list[float], strength: float, personalization: float, taste: float
) -> None:
    table = FusionWeights(query={**FusionWeights().query, "taste_text": taste})
    found = weights(known(strength=strength, personalization=personalization, settings=SearchSettings(weights=table)), scores)
    personal = found.get("taste_text", 0) + found.get("als", 0) + found.get("covisitation", 0)
    assert personal <= PERSONAL_SHARE * (found["lexical"] + found["text_vector"]) * personalization + 1e-9


KINDS = {"query_kind": {"lexical": 1.0, "covisitation": 3.0, "text_vector": 0.1}, "query_vague": {"als": 2.0}}
ALIKE = {"query_item": [9.0, 1.0], "query_kind": [9.0] * 3, "query_vague": [9.0] * 150}


def test_a_kind_of_searches_with_a_table_has_its_weights() -> None:
    given = known(metadata=replace(META, retriever_weights=KINDS), strength=0.5, personalization=0.5)
    usual = known(strength=0.5, personalization=0.5)
    assert {kind: search_kind(breadth(scores, 200)) for kind, scores in ALIKE.items()} == {kind: kind for kind in ALIKE}
    assert weights(given, ALIKE["query_item"]) == weights(usual, ALIKE["query_item"])
    kind = weights(given, ALIKE["query_kind"])
    # Where weights are chosen half is known of who did next to nothing, and half of that is wanted.
    assert (kind["lexical"], kind["text_vector"], kind["covisitation"]) == (1.0, 0.1, pytest.approx(0.75))
    vague = weights(given, ALIKE["query_vague"])
    assert vague["lexical"] == FusionWeights().query["lexical"]
    assert vague["als"] == pytest.approx(0.5)


def test_a_picture_is_of_no_kind() -> None:
    picture = {"text": "", "strength": 5.0}
    given = known(metadata=replace(META, retriever_weights=KINDS), **picture)
    assert weights(given) == weights(known(**picture))


@given(scores_strategy, st.floats(0, 1000), st.floats(0, 1), st.sampled_from([{}, KINDS]))
def test_no_search_weighs_anything_more_than_the_largest(
    scores: list[float], strength: float, personalization: float, tables: dict[str, dict[str, float]]
) -> None:
    case = known(metadata=replace(META, retriever_weights=tables), strength=strength, personalization=personalization)
    able = [retriever for retriever in active_retrievers(*case) if retriever.build_query(*case) is not None]
    table = search_table(case.request, case.policy, scores)
    largest = largest_weights(*case, retriever_weights(*case, able), able, table)
    assert all(weight <= largest.get(name, 0.0) + 1e-12 for name, weight in weights(case, scores).items())


def test_no_personalization_leaves_the_neutral_weights() -> None:
    for asked in ({}, {"text": "", "vectors": {}}, {"metadata": replace(META, retriever_weights=KINDS)}):
        personal = known(personalization=0.0, **asked)
        neutral = changed(personal, tastes={}, factors={}, neighbours={}, strength=0.0, personalization=1.0)
        assert weights(personal) == weights(neutral)


def test_personalization_moves_between_neutral_and_personal() -> None:
    half = weights(known(text="", vectors={}, personalization=0.5))
    table = FusionWeights()
    assert half["covisitation"] == pytest.approx(table.no_query["covisitation"] / 2)
    assert half["popularity"] == pytest.approx((table.no_query["popularity"] + table.new_user["popularity"]) / 2)


def test_trained_weights_decide_for_models_without_a_query() -> None:
    trained = replace(META, retriever_weights={"no_query": {"covisitation": 1.0}})
    found = weights(known(metadata=trained, text="", vectors={}))
    assert found == {"covisitation": 1.0, "taste_text": FusionWeights().no_query["taste_text"]}


def _after(events: int, **tables: dict[str, float]) -> dict[str, float]:
    trained = replace(META, retriever_weights={"no_query": {"covisitation": 0.5, "als": 1.5, "popularity": 0.1}, **tables})
    seen = History.of([f"i{place}" for place in range(events)])
    return weights(known(metadata=trained, text="", vectors={}, history=seen, tastes={}))


def test_after_a_first_event_other_shares_count_and_each_further_one_leaves_less_of_them() -> None:
    first = {"covisitation": 0.25, "als": 0.0, "popularity": 0.75}
    usual = {"covisitation": 0.5, "als": 1.5, "popularity": 0.1}
    # Together they weigh what models and popularity weigh otherwise.
    assert _after(1, first_event=first) == pytest.approx({"covisitation": 0.525, "popularity": 1.575})
    assert _after(2, first_event=first) == pytest.approx({"covisitation": 0.5125, "als": 0.75, "popularity": 0.8375})
    third = {"covisitation": 0.5 + 0.025 / 3, "als": 1.0, "popularity": 0.1 + 1.475 / 3}
    assert _after(3, first_event=first) == pytest.approx(third)
    for events in (0, 4):
        assert _after(events, first_event=first) == usual
    assert _after(1) == usual


def test_trained_models_share_a_fixed_part_of_a_search() -> None:
    trained = replace(META, retriever_weights={"no_query": {"covisitation": 3.0, "als": 1.0}})
    found = weights(known(metadata=trained, strength=1e9), [1.0] * 200)
    assert found["covisitation"] == pytest.approx(3 * found["als"])


def test_tuned_weights_go_before_the_settings() -> None:
    tuned = replace(META, retriever_weights={"query": {"lexical": 0.6, "text_vector": 0.4}})
    found = weights(known(metadata=tuned))
    assert (found["lexical"], found["text_vector"]) == (0.6, 0.4)
    assert found["popularity"] == FusionWeights().query["popularity"]
