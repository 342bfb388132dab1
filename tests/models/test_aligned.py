"""Alignment: words find pictures that were not learned from."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from es_recsys.dataset import Interactions, ItemTable
from es_recsys.errors import MissingExtra, ModelError
from es_recsys.models.aligned import IMAGE, TEXT, Aligned, AlignedConfig
from es_recsys.models.base import unit

SMALL = AlignedConfig(dims=16, epochs=20, batch_size=64, patience=30)
NONE = Interactions(
    np.zeros(0, np.str_), np.zeros(0, np.str_), np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros(0, np.float32), np.zeros(0)
)


def sides(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Text (n, 20) and picture (n, 30) vectors of things with six hidden properties, and noise."""
    rng = np.random.default_rng(1)
    hidden = rng.normal(size=(n, 6))
    noise = 0.3
    text = hidden @ rng.normal(size=(6, 20)) + noise * rng.normal(size=(n, 20)) + 2.0
    image = hidden @ rng.normal(size=(6, 30)) + noise * rng.normal(size=(n, 30)) - 1.0
    return unit(text), unit(image)


def table(text: np.ndarray, image: np.ndarray) -> ItemTable:
    n = len(text)
    empty, nothing = [""] * n, np.full(n, np.nan)
    ids = np.array([f"i{place:04}" for place in range(n)])
    return ItemTable(ids, empty, empty, [()] * n, empty, nothing, nothing, {TEXT: text, IMAGE: image})


def test_words_find_pictures_that_were_not_learned_from() -> None:
    text, image = sides(700)
    model = Aligned(SMALL).fit(NONE, np.random.default_rng(0), table(text[:600], image[:600]))
    words = np.stack([model.query_vector("words", {TEXT: row}) for row in text[600:]])
    seen = np.stack([model.query_vector("", {IMAGE: row}) for row in image[600:]])
    nearest = np.argsort(-(words @ seen.T), axis=1)[:, :10]
    assert (nearest == np.arange(100)[:, None]).any(axis=1).mean() > 0.9  # .1 by chance


def test_an_item_lies_at_its_picture_or_else_at_its_text() -> None:
    text, image = sides(200)
    image[5], text[6] = 0.0, 0.0
    text[7] = image[7] = 0.0
    model = Aligned(SMALL).fit(NONE, np.random.default_rng(0), table(text, image))
    np.testing.assert_allclose(model.item_vectors[4], model.query_vector("", {IMAGE: image[4]}), atol=1e-5)
    np.testing.assert_allclose(model.item_vectors[5], model.query_vector("words", {TEXT: text[5]}), atol=1e-5)
    np.testing.assert_allclose(model.item_vectors[6], model.query_vector("", {IMAGE: image[6]}), atol=1e-5)
    assert not model.item_vectors[7].any()


def test_words_are_never_taken_for_a_picture() -> None:
    text, image = sides(100)
    model = Aligned(SMALL).fit(NONE, np.random.default_rng(0), table(text, image))
    assert model.query_vector("words", {IMAGE: image[0]}) is None
    assert model.query_vector("", {TEXT: text[0]}) is None
    assert model.query_vector("words", {TEXT: text[0][:7]}) is None


def test_too_few_pairs_are_refused() -> None:
    text, image = sides(60)
    image[19:] = 0.0
    with pytest.raises(ModelError, match=r"19 items have both a text and a picture.*takes 20"):
        Aligned(SMALL).fit(NONE, np.random.default_rng(0), table(text, image))
    with pytest.raises(ModelError, match="0 items have both"):
        Aligned(SMALL).fit(NONE, np.random.default_rng(0))


def test_without_torch_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "es_recsys.models.aligned.train", None)
    with pytest.raises(MissingExtra, match="torch"):
        Aligned(SMALL).fit(NONE, np.random.default_rng(0), table(*sides(60)))
