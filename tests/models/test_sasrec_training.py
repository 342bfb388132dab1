"""What SASRec learns from, and where its item embeddings begin."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from es_recsys.dataset import Interactions
from es_recsys.models.sasrec.train import content_projection, initial_vectors, training_sequences

Make = Callable[..., Interactions]


def test_sequences_have_what_was_liked_in_order(interactions: Make) -> None:
    data = interactions({"u": ["b", "a", ("c", -1.0), "a", ("d", 4.0)], "v": [("a", -1.0)], "w": ["c"]})
    every = training_sequences(data, True, np.random.default_rng(0))
    assert every.starts.tolist() == [0, 3, 3, 4]
    assert every.items.tolist() == [1, 0, 3, 2]
    assert every.strengths.tolist() == [1, 1, 2, 1]
    assert every.popularity.tolist() == [1, 1, 1, 1]


def test_where_order_tells_nothing_each_sequence_is_shuffled(interactions: Make) -> None:
    names = [f"i{place:02}" for place in range(30)]
    data = interactions({"u": names, "v": names[:5]})
    every = training_sequences(data, False, np.random.default_rng(0))
    assert every.starts.tolist() == [0, 30, 35]
    assert sorted(every.items[:30].tolist()) == list(range(30)) != every.items[:30].tolist()
    assert sorted(every.items[30:].tolist()) == list(range(5))


@pytest.mark.parametrize("ordered", [True, False])
def test_items_begin_near_what_they_stand_near(interactions: Make, ordered: bool) -> None:
    rng = np.random.default_rng(3)
    halves = {f"u{user}": [f"i{item:02}" for item in rng.permutation(10) + 10 * (user % 2)] for user in range(30)}
    every = training_sequences(interactions(halves), ordered, rng)
    every = replace(every, popularity=np.append(every.popularity, [0.0, 0.0]))
    vectors = initial_vectors(every, 8, ordered, np.random.default_rng(0))
    assert vectors.shape == (22, 8) and vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, rtol=1e-5)
    alike = vectors @ vectors.T
    assert alike[:10, :10].mean() > 0.5 + alike[:10, 10:20].mean()
    # Of the last two nothing is known.
    assert abs(alike[20:, :20]).max() < 0.95
    np.testing.assert_array_equal(vectors, initial_vectors(every, 8, ordered, np.random.default_rng(0)))


def test_content_is_projected_to_where_known_items_are() -> None:
    rng = np.random.default_rng(1)
    content = rng.normal(size=(200, 6)).astype(np.float32)
    true = rng.normal(size=(4, 6)).astype(np.float32)
    vectors = content @ true.T
    known = np.arange(200) < 150
    vectors[~known] = 99.0
    found = content_projection(vectors, content, known)
    assert found.shape == (4, 6) and found.dtype == np.float32
    # A tenth of a column's variance shrinks it by a tenth.
    np.testing.assert_allclose(found, true / 1.1, atol=0.1)
    assert not content_projection(vectors, np.zeros((200, 3), np.float32), known).any()
    assert content_projection(vectors, np.zeros((200, 0), np.float32), known).shape == (4, 0)
