from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from es_recsys.dataset import History, Interactions, ItemTable
from es_recsys.errors import ModelError
from es_recsys.models.lsa import LSA, LSAConfig
from es_recsys.models.types import HistoryBatch

WORDS = {
    "a1": "trail running shoe with grip",
    "a2": "running shoe for the road",
    "a3": "sneaker for running on the trail",
    "b1": "espresso coffee machine",
    "b2": "coffee grinder for espresso beans",
    "b3": "beans of coffee",
    "b4": "machine, espresso only",
    "": "",
}


def trained(make: Callable[..., Interactions], config: LSAConfig) -> LSA:
    ids = sorted(WORDS)
    n = len(ids)
    items = ItemTable(np.array(ids), [WORDS[i] for i in ids], ids, [()] * n, [""] * n, np.full(n, np.nan), np.full(n, np.nan))
    return LSA(config).fit(make({"u": ["a1", "gone"]}), np.random.default_rng(0), items)


@pytest.fixture(scope="module")
def model(interactions: Callable[..., Interactions]) -> LSA:
    return trained(interactions, LSAConfig(dims=4, max_df=0.6, half_life=2.0))


def test_items_without_events_are_there_and_items_without_texts_have_no_vector(model: LSA) -> None:
    assert list(model.item_ids) == sorted({*WORDS, "gone"})
    lengths = dict(zip(model.item_ids, np.linalg.norm(model.item_vectors, axis=1), strict=True))
    assert lengths.pop("") == lengths.pop("gone") == 0.0
    assert list(lengths.values()) == pytest.approx([1.0] * 7, abs=1e-6)


def test_an_item_lies_where_its_text_as_a_question_lies(model: LSA) -> None:
    for item_id, text in WORDS.items():
        if text:
            np.testing.assert_allclose(model.query_vector(text), model.item_vectors[model.item_ids.find([item_id])[0]], atol=1e-5)
    assert model.query_vector("") is None and model.query_vector("unheard-of") is None


def test_what_is_never_said_with_a_word_is_found_by_it(interactions: Callable[..., Interactions]) -> None:
    """No text with "machine" has "beans"; both kinds have "coffee" or "espresso"."""
    model = trained(interactions, LSAConfig(dims=2, max_df=0.6, power=1.0))
    question = model.query_vector("machine")
    assert question is not None
    found = model.item_vectors @ question
    by_id = dict(zip(model.item_ids, found.tolist(), strict=True))
    assert min(by_id[i] for i in ("b1", "b2", "b3")) > max(by_id[i] for i in ("a1", "a2", "a3"))


def test_searches_move_a_user_as_reading_does(model: LSA) -> None:
    searched = History(queries=("coffee",))
    assert [item for item, _ in model.recommend(searched, 3)] and {i for i, _ in model.recommend(searched, 3)} == {
        "b1",
        "b2",
        "b3",
    }
    np.testing.assert_allclose(model.user_vector(searched), model.query_vector("coffee"), atol=1e-6)
    assert model.user_vector(History(queries=("unheard-of",))) is None
    both = History(("a1",), np.ones(1, np.float32), np.zeros(1), ("coffee",))
    expected = model.item_vectors[model.item_ids.find(["a1"])[0]] + 0.5 * model.query_vector("coffee")
    np.testing.assert_allclose(model.user_vector(both), expected / 1.5, atol=1e-6)


def test_later_searches_count_more(model: LSA) -> None:
    coffee, shoe = ("coffee", "running"), ("running", "coffee")
    assert model.score(History(queries=shoe), ["b1"])[0] > model.score(History(queries=coffee), ["b1"])[0]


def test_a_batch_with_searches_equals_its_parts(model: LSA) -> None:
    histories = [
        History(("a1",), np.ones(1, np.float32), np.zeros(1), ("coffee", "beans")),
        History(queries=("running",)),
        History.of(["b1", "a2"]),
        History(),
    ]
    batch = HistoryBatch.of(histories, model.item_ids)
    for user, (places, scores) in enumerate(model.recommend_idx(batch, 4, [np.zeros(0, np.int64)] * 4)):
        single = model.recommend(histories[user], 4)
        assert model.item_ids.take(places) == [item for item, _ in single]
        np.testing.assert_allclose(scores, [score for _, score in single], rtol=1e-5)
    part = batch.some(1, 3)
    assert [part.searched(user) for user in range(2)] == [("running",), ()]


def test_a_config_of_asking_needs_no_new_training(model: LSA) -> None:
    deaf = model.with_config(LSAConfig(dims=4, max_df=0.6, query_weight=0.0))
    assert deaf.user_vector(History(queries=("coffee",))) is None
    assert deaf.item_vectors is model.item_vectors


def test_without_texts_there_is_nothing_to_learn(interactions: Callable[..., Interactions]) -> None:
    with pytest.raises(ModelError, match=r"no texts.*titles"):
        LSA().fit(interactions({"u": ["a"]}), np.random.default_rng(0))
