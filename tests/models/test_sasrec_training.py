"""What SASRec learns from, and where its item embeddings begin."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from es_recsys.dataset import Interactions
from es_recsys.models.sasrec import SASRecConfig
from es_recsys.models.sasrec import train as module
from es_recsys.models.sasrec.network import sequence_states
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


def trained(interactions: Make, **changes: Any) -> module._Training:
    """Return a training of twelve items, of which none is dropped out."""
    import torch

    rng = np.random.default_rng(2)
    data = interactions({f"u{user}": [f"i{item:02}" for item in rng.permutation(12)] for user in range(9)})
    config = replace(SASRecConfig(dims=8, max_length=5, dropout=0.0, id_dropout=0.0), **changes)
    return module._Training(config, data, np.zeros((12, 0), np.float32), 3, torch.device("cpu"))


def test_the_loss_is_that_of_the_candidates_corrected_by_their_chance(interactions: Make) -> None:
    training = trained(interactions, negatives=4)
    items, strengths = np.array([[0, 1, 2], [3, 4, -1]]), np.array([[1.0, 1.0, 2.0], [1.0, 3.0, 0.0]], np.float32)
    found, weight = training._loss(items, strengths, np.random.default_rng(5))
    pool, in_batch, drawn = training._candidates(np.array([1, 2, 4]), np.random.default_rng(5))
    assert {1, 2, 4} <= set(pool.tolist()) and (in_batch, drawn, weight) == (3, 4, 6.0)
    learned = training._learned(0)
    chance = 1.0 - np.exp(-(in_batch / 12 + drawn / 12))
    expected = 0.0
    for known, wanted, strength, window in [([0], 1, 1.0, {0, 1, 2}), ([0, 1], 2, 2.0, {0, 1, 2}), ([3], 4, 3.0, {3, 4})]:
        h = sequence_states(learned.encoder, 2, learned.vectors, [np.array(known)])[0]
        scores = np.exp(2.3) * learned.vectors @ h - np.log(chance)
        others = [scores[item] for item in pool if item not in window]
        expected += strength * np.log(1.0 + np.exp(others - scores[wanted]).sum())
    assert found.item() == pytest.approx(expected / 6.0, rel=1e-4)


def test_of_few_items_few_are_candidates(interactions: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_FEW_CANDIDATES", 2)
    training = trained(interactions)
    pool, in_batch, drawn = training._candidates(np.arange(12), np.random.default_rng(0))
    assert (in_batch, drawn) == (2, 2) and 2 <= len(pool) <= 4
    monkeypatch.setattr(module, "_ITEMS_PER_CANDIDATE", 2)
    assert training._candidates(np.arange(12), np.random.default_rng(0))[1:] == (6, 6)


def test_what_was_learned_is_a_mean_that_leans_towards_the_end(interactions: Make) -> None:
    import torch

    network = trained(interactions)._network
    mean = module._Mean(network)
    for value in (1.0, 2.0, 6.0):
        with torch.no_grad():
            network.sharpness.fill_(value)
        mean.count(network)
    # Of the first two the second counts nine tenths, of the third nine elevenths more.
    assert mean.network.sharpness.item() == pytest.approx(1.9 * 2 / 11 + 6.0 * 9 / 11)
    assert mean.network.items.content is network.items.content
