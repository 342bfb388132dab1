"""Interests: clusters that are there are found, the order of the rows is nothing, and the smaller one keeps its places."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from es_recsys.search.interests import KEPT_SHARE, MIN_SHARE, allocate_slots, find_interests


def around(sizes: list[int], seed: int = 0, noise: float = 0.15, dims: int = 12) -> NDArray[np.float32]:
    """Unit rows around as many directions as there are sizes."""
    rng = np.random.default_rng(seed)
    rows = np.repeat(np.eye(dims)[: len(sizes)], sizes, axis=0) + rng.normal(0, noise, (sum(sizes), dims))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize("sizes", [[12, 5], [10, 6, 4], [9, 7, 5, 4]])
def test_as_many_are_found_as_there_are(sizes: list[int]) -> None:
    found = find_interests("text_vector", around(sizes), np.ones(sum(sizes)))
    assert found is not None and len(found) == len(sizes)
    assert found.shares == pytest.approx(np.array(sizes) / sum(sizes))
    np.testing.assert_allclose(np.linalg.norm(found.vectors, axis=1), 1.0, atol=1e-6)
    assert found.vectors.dtype == np.float32 and (found.vectors.argmax(axis=1) == np.arange(len(sizes))).all()


def test_one_taste_is_one_interest_and_most_is_kept_to() -> None:
    assert find_interests("f", around([20], dims=64), np.ones(20)) is None
    assert find_interests("f", np.repeat(around([1]), 8, axis=0), np.ones(8)) is None
    assert find_interests("f", around([2, 1]), np.ones(3)) is None
    assert find_interests("f", np.zeros((0, 3), np.float32), np.zeros(0)) is None
    found = find_interests("f", around([8, 6, 5, 4]), np.ones(23), most=2)
    assert found is not None and len(found) == 2


def test_an_odd_view_is_no_interest() -> None:
    found = find_interests("f", around([10, 8, 1]), np.array([1.0] * 18 + [0.5]))
    assert found is not None and len(found) == 2 and found.shares.min() >= MIN_SHARE


@settings(max_examples=30)
@given(st.integers(0, 1_000), st.lists(st.integers(2, 9), min_size=2, max_size=4))
def test_the_order_of_the_rows_does_not_matter(seed: int, sizes: list[int]) -> None:
    rng = np.random.default_rng(seed)
    rows, weights = around(sizes, seed, noise=0.3), rng.uniform(0.5, 3.0, sum(sizes))
    shuffled = rng.permutation(len(rows))
    one, other = find_interests("f", rows, weights), find_interests("f", rows[shuffled], weights[shuffled])
    assert (one is None) == (other is None)
    if one is not None and other is not None:
        np.testing.assert_allclose(one.vectors, other.vectors, atol=1e-6)
        np.testing.assert_allclose(one.shares, other.shares, atol=1e-9)
        assert one.shares.sum() == pytest.approx(1.0) and (np.diff(one.shares) <= 1e-12).all()


@st.composite
def lists(draw: st.DrawFn) -> tuple[list[int], NDArray[np.float64]]:
    k = draw(st.integers(2, 4))
    shares = np.array(draw(st.lists(st.floats(0.1, 1.0), min_size=k, max_size=k)))
    return draw(st.lists(st.integers(-1, k - 1), max_size=60)), -np.sort(-shares / shares.sum())


@given(lists(), st.sampled_from([0.0, 0.3, 1.0]))
def test_every_interest_keeps_its_places_and_its_order(
    case: tuple[list[int], NDArray[np.float64]], personalization: float
) -> None:
    belongs, shares = case
    order = [100 + place for place in range(len(belongs))]
    found = allocate_slots(order, belongs, shares, personalization)
    assert sorted(found) == order
    at = dict(zip(order, belongs, strict=True))
    for interest in range(-1, len(shares)):
        own = [row for row in found if at[row] == interest]
        assert own == sorted(own)
    for places in range(1, len(found) + 1):
        for interest, share in enumerate(shares.tolist()):
            served = sum(at[row] == interest for row in found[:places])
            due = int(np.floor(KEPT_SHARE * personalization * share * places + 0.5))
            # Dues of several interests may meet at one place; the last of them waits as many places as there are others.
            assert served >= min(due - len(shares) + 1, belongs.count(interest))


def test_a_user_who_hardly_counts_changes_the_order_hardly() -> None:
    """The first thirty are of the first interest."""
    belongs = [0] * 30 + [1] * 30
    whole, little, none = (
        allocate_slots(range(60), belongs, np.array([0.5, 0.5]), personalization)[:20] for personalization in (1.0, 0.2, 0.0)
    )
    assert sum(row >= 30 for row in whole) == 7
    assert 1 <= sum(row >= 30 for row in little) <= 2
    assert none == list(range(20))
