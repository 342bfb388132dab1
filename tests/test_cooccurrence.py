"""Counting against a count by loops."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from es_recsys import cooccurrence
from es_recsys.cooccurrence import CooccurrenceConfig, count, prune
from es_recsys.dataset import Interactions
from es_recsys.linear_algebra import CSR
from es_recsys.sequences import UserSequences, user_sequences

N = 6
Log = list[list[tuple[int, float, float]]]
events = st.tuples(st.integers(0, N - 1), st.sampled_from([0.25, 1.0, 4.0]), st.sampled_from([0.0, 1.0, 7.5]))
logs = st.lists(st.lists(events, max_size=8), max_size=5)
ways = st.builds(
    CooccurrenceConfig,
    window=st.sampled_from([None, 1, 2, 5]),
    decay=st.sampled_from([0.5, 1.0]),
    backward=st.sampled_from([0.0, 0.5, 1.0]),
    user_power=st.sampled_from([0.0, 0.5, 1.0]),
    half_life_days=st.sampled_from([3.0, float("inf")]),
)


def read(log: Log) -> UserSequences:
    rows = [(user, *event) for user, own in enumerate(log) for event in own]
    users, items, weights, days = (np.array([row[i] for row in rows]) for i in range(4))
    return user_sequences(
        Interactions(
            np.array([str(user) for user in range(len(log))], np.str_),
            np.array([str(item) for item in range(N)]),
            users.astype(np.int32),
            items.astype(np.int32),
            weights.astype(np.float32),
            days.astype(np.float64) * 86_400,
        )
    )


def dense(rows: CSR) -> NDArray[np.float64]:
    table = np.zeros((len(rows.indptr) - 1, N))
    for row in range(len(table)):
        part = slice(rows.indptr[row], rows.indptr[row + 1])
        assert (np.diff(rows.indices[part]) > 0).all()
        table[row, rows.indices[part]] = rows.data[part]
    return table


def by_loops(seq: UserSequences, how: CooccurrenceConfig) -> NDArray[np.float64]:
    table = np.zeros((N, N))
    strength = seq.strengths * np.exp2(-seq.days / how.half_life_days) ** 0.5
    for user in range(len(seq.lengths)):
        own = [(int(i), float(s)) for u, i, s in zip(seq.users, seq.items, strength, strict=True) if u == user]
        factor = max(len(own), 1) ** -how.user_power
        if how.window is None:
            best: dict[int, float] = {}
            for item, s in own:
                best[item] = max(best.get(item, 0.0), s)
            own = list(best.items())
        for p, (i, s) in enumerate(own):
            for q, (j, t) in enumerate(own):
                step = abs(p - q)
                if i == j or (how.window is not None and step > how.window):
                    continue
                weight = 1.0 if how.window is None else how.decay ** (step - 1) * (1.0 if q > p else how.backward)
                table[i, j] += factor * weight * s * t
    return table


@given(log=logs, how=ways)
def test_counts_are_those_of_plain_loops(log: Log, how: CooccurrenceConfig) -> None:
    seq = read(log)
    np.testing.assert_allclose(dense(count(seq, how, N, 0.3)), by_loops(seq, how), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("window", [None, 2])
def test_blocks_change_nothing(window: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(4)
    log = [[(int(item), 1.0, 0.0) for item in rng.integers(0, N, 8)] for _ in range(20)]
    how = CooccurrenceConfig(window, 0.5, 0.5, 0.5)
    whole = dense(count(read(log), how, 3, 0.3))
    monkeypatch.setattr(cooccurrence, "_BLOCK", 20)
    np.testing.assert_array_equal(dense(count(read(log), how, 3, 0.3)), whole)
    assert (whole > 0).sum() == 3 * N


@given(st.lists(st.lists(st.sampled_from([0.5, 1.0, 2.0, 3.0]), max_size=N), max_size=5), st.integers(1, 4))
def test_pruning_keeps_the_highest(values: list[list[float]], keep: int) -> None:
    starts = np.cumsum([0, *map(len, values)])
    items = np.concatenate([np.zeros(0), *(np.arange(len(row)) for row in values)]).astype(np.int32)
    rows = CSR(starts, items, np.array([v for row in values for v in row], np.float32))
    discount = np.array([1.0, 0.5, 1.0, 0.25, 1.0, 1.0])
    pruned = prune(rows, discount, keep)
    for row, own in enumerate(values):
        part = slice(pruned.indptr[row], pruned.indptr[row + 1])
        order = sorted(range(len(own)), key=lambda i: (-own[i] * discount[i], i))
        assert pruned.indices[part].tolist() == sorted(order[:keep])
        assert pruned.data[part].tolist() == [own[i] for i in sorted(order[:keep])]


def test_the_newest_thousand_of_a_user_count(interactions: Callable[..., Interactions]) -> None:
    seq = user_sequences(interactions({"u": [f"i{n:04}" for n in range(1_200)], "v": ["i0001"]}))
    assert seq.lengths.tolist() == [1_000, 1]
    assert seq.items[0] == 200 and seq.popularity[1] == 1 and seq.popularity[0] == 0
    assert seq.days.max() == 0
