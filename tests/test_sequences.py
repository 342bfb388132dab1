"""Sequences are cut into windows and batches."""

from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from es_recsys.sequences import UserSequences, batches


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
