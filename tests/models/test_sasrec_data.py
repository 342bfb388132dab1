"""UserSequences cut into windows and batches, and where the item embeddings begin."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from es_recsys.dataset import Interactions
from es_recsys.models.cooccurrence import UserSequences
from es_recsys.models.sasrec.data import batches, content_projection, initial_vectors, training_sequences

Make = Callable[..., Interactions]


def of_lengths(lengths: list[int]) -> UserSequences:
    """Users with so many events, every event on an item of its own."""
    items = np.arange(sum(lengths), dtype=np.int64)
    users = np.repeat(np.arange(len(lengths)), lengths)
    strengths = (items % 7 + 1).astype(np.float32)
    return UserSequences(users, items, strengths, np.zeros(len(items)), np.array(lengths, np.int64), np.ones(len(items)))


@given(
    lengths=st.lists(st.integers(0, 40), max_size=20),
    max_length=st.integers(1, 12),
    batch_events=st.integers(1, 60),
    seed=st.integers(0, 99),
)
@settings(max_examples=80, deadline=None)
def test_every_event_but_the_first_is_a_target_once(lengths: list[int], max_length: int, batch_events: int, seed: int) -> None:
    every = of_lengths(lengths)
    seen: Counter[int] = Counter()
    for items, strengths in batches(every, max_length, batch_events, np.random.default_rng(seed)):
        assert items.shape == strengths.shape and 2 <= items.shape[1] <= max_length + 1
        for row, weights in zip(items, strengths, strict=True):
            inside = row[row >= 0]
            # One piece of one sequence, filled up behind its end.
            assert (row[len(inside) :] == -1).all() and (weights[len(inside) :] == 0).all()
            np.testing.assert_array_equal(inside, np.arange(inside[0], inside[0] + len(inside)))
            np.testing.assert_array_equal(weights[: len(inside)], inside % 7 + 1)
            assert np.searchsorted(every.starts, inside[0], "right") == np.searchsorted(every.starts, inside[-1], "right")
            seen.update(inside[1:].tolist())
    firsts = {int(start) for start in every.starts[:-1]}
    assert seen == Counter(item for item in range(len(every.items)) if item not in firsts)


def test_windows_of_one_batch_are_about_as_long_as_each_other() -> None:
    every = of_lengths([3, 30] * 200)
    widths = [items.shape for items, _ in batches(every, 50, 300, np.random.default_rng(0))]
    filled = sum((items >= 0).sum() for items, _ in batches(every, 50, 300, np.random.default_rng(0)))
    assert filled / sum(rows * columns for rows, columns in widths) > 0.9
    assert max(rows * columns for rows, columns in widths) <= 2 * 300


def test_long_sequences_are_cut_elsewhere_every_time() -> None:
    every = of_lengths([40])
    cuts = {
        tuple(sorted(int(row[0]) for items, _ in batches(every, 10, 999, np.random.default_rng(seed)) for row in items))
        for seed in range(9)
    }
    assert len(cuts) > 4


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
