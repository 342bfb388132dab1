"""Early fusion: masked, whitened, weighted; and what a question becomes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from es_recsys.dataset import History, Interactions, ItemTable
from es_recsys.errors import ModelError
from es_recsys.models.base import unit
from es_recsys.models.fused import Fused, FusedConfig

NONE = Interactions(
    np.zeros(0, np.str_), np.zeros(0, np.str_), np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros(0, np.float32), np.zeros(0)
)


def table(**vectors: np.ndarray) -> ItemTable:
    n = len(next(iter(vectors.values())))
    empty, nothing = [""] * n, np.full(n, np.nan)
    ids = np.array([f"i{place:03}" for place in range(n)])
    return ItemTable(ids, empty, empty, [()] * n, empty, nothing, nothing, vectors)


def some(n: int, d: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return unit(rng.normal(0.3, 1.0, (n, d)) * np.linspace(0.2, 1.5, d))


def fused(items: ItemTable, **config: object) -> Fused:
    return Fused(replace(FusedConfig(), **config)).fit(NONE, np.random.default_rng(0), items)


def test_full_whitening_makes_all_directions_alike() -> None:
    text, image = some(400, 12, 1), some(400, 8, 2)
    model = fused(table(text_vector=text, image_vector=image), dims=15, whitening=1.0)
    x = sum(
        (rows - model._arrays[f"mean.{name}"]) @ model._arrays[f"of.{name}"]
        for name, rows in (("text_vector", text), ("image_vector", image))
    )
    np.testing.assert_allclose(x.T @ x / 400, np.eye(15), atol=1e-3)
    np.testing.assert_allclose(model.item_vectors, unit(x), atol=1e-4)


def test_what_an_item_lacks_says_nothing() -> None:
    text, image = some(200, 12, 1), some(200, 8, 2)
    image[:50] = 0.0
    text[10] = image[10] = 0.0
    model = fused(table(text_vector=text, image_vector=image), dims=10)
    alone = (text[:50] - model._arrays["mean.text_vector"]) @ model._arrays["of.text_vector"]
    alone[10] = 0.0
    np.testing.assert_allclose(model.item_vectors[:50], unit(alone), atol=1e-5)
    assert not model.item_vectors[10].any()


def test_a_field_counts_by_its_weight_and_not_by_its_spread() -> None:
    text, image = some(300, 10, 1), some(300, 10, 2)
    narrow = unit(image + 20.0)  # the same differences, in a narrow cone

    def share(model: Fused, name: str, rows: np.ndarray) -> float:
        part = (rows - model._arrays[f"mean.{name}"]) @ model._arrays[f"of.{name}"]
        return float((part**2).sum())

    even = fused(table(text_vector=text, image_vector=narrow), dims=20, whitening=0.0)
    assert share(even, "image_vector", narrow) == pytest.approx(share(even, "text_vector", text), rel=0.05)
    heavy = fused(table(text_vector=text, image_vector=narrow), dims=20, whitening=0.0, weights=(("image_vector", 3.0),))
    assert share(heavy, "image_vector", narrow) == pytest.approx(9.0 * share(heavy, "text_vector", text), rel=0.05)


def test_a_question_lies_where_an_item_of_its_content_does() -> None:
    text, image = some(60, 12, 1), some(60, 8, 2)
    image[7] = 0.0
    model = fused(table(text_vector=text, image_vector=image), dims=10)
    both = model.query_vector("words", {"text_vector": text[3], "image_vector": image[3]})
    np.testing.assert_allclose(both, model.item_vectors[3], atol=1e-5)
    np.testing.assert_allclose(model.query_vector("words", {"text_vector": text[7]}), model.item_vectors[7], atol=1e-5)
    assert model.query_vector("words") is None and model.query_vector("", {"sound_vector": text[3]}) is None


def test_a_user_is_the_decayed_signed_mean() -> None:
    model = fused(table(text_vector=some(30, 12, 1)), dims=6, half_life=1.0)
    vectors = model.item_vectors
    history = History(("i001", "i002", "i003"), np.array([1.0, -1.0, 2.0], np.float32), np.array([2.0, 1.0, 0.0]))
    expected = (0.25 * vectors[1] - 0.5 * vectors[2] + 2.0 * vectors[3]) / 2.75
    np.testing.assert_allclose(model.user_vector(history), expected, atol=1e-6)


def test_an_item_with_events_alone_has_no_place() -> None:
    data = replace(
        NONE,
        user_ids=np.array(["u"]),
        item_ids=np.array(["a"]),
        users=np.zeros(1, np.int32),
        items=np.zeros(1, np.int32),
        weights=np.ones(1, np.float32),
        times=np.zeros(1),
    )
    model = Fused().fit(data, np.random.default_rng(0), table(text_vector=some(30, 12, 1)))
    assert model.item_ids[0] == "a" and not model.item_vectors[0].any()
    assert model.user_vector(History.of(["a"])) is None


@pytest.mark.parametrize("items", [None, table(text_vector=np.zeros((5, 3), np.float32))], ids=["no items", "no vectors"])
def test_without_content_vectors_it_says_what_to_do(items: ItemTable | None) -> None:
    with pytest.raises(ModelError, match=r"no content vectors.*encoder"):
        Fused().fit(NONE, np.random.default_rng(0), items)


@pytest.mark.parametrize("n", [1, 7])
def test_contents_that_are_all_alike_are_refused(n: int) -> None:
    """They tell no item from another, and vectors without a dimension can't be indexed."""
    with pytest.raises(ModelError, match=r"all alike.*encoder"):
        Fused().fit(NONE, np.random.default_rng(0), table(text_vector=np.repeat(some(1, 12, 1), n, axis=0)))


def test_a_vector_of_another_encoder_says_nothing() -> None:
    """Items encoded anew since the training: a search does without, rather than fail."""
    model = fused(table(text_vector=some(60, 12, 1), image_vector=some(60, 8, 2)))
    assert model.query_vector("words", {"text_vector": some(1, 16, 3)[0]}) is None
    image = some(1, 8, 4)[0]
    np.testing.assert_array_equal(
        model.query_vector("words", {"text_vector": some(1, 16, 3)[0], "image_vector": image}),
        model.query_vector("", {"image_vector": image}),
    )
