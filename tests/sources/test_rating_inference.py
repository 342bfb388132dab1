"""The scale of ratings: found from the data, told, kept."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from es_recsys.errors import InputError
from es_recsys.ratings import FIVE_STARS, RatingScale, parse_rating_scale
from es_recsys.sources.rating_inference import RatingCounts, infer_rating_scale


def inference(values: list[float]) -> RatingCounts:
    found = RatingCounts()
    for value in values:
        found.add(value)
    return found


@pytest.mark.parametrize(
    ("values", "low", "high", "unrated"),
    [
        ([1, 2, 3, 4, 5], 1, 5, ()),
        ([3, 4], 1, 5, ()),
        ([0.5, 3, 4.5, 5], 0.5, 5, ()),  # MovieLens since 2013
        ([0, 1, 5], 0, 5, ()),
        ([9, 10, 0, 2], 0, 10, ()),
        ([9, 10, 0, 2, -1], 0, 10, (-1,)),
        ([1, 7, 10, -1, -1, -1], 1, 10, (-1,)),  # Anime
        ([0] * 60 + [5, 8, 10, 7] * 10, 1, 10, (0,)),  # Book-Crossing: 0 is "implicit"
        ([6, 8], 1, 10, ()),
        ([-9.75, 3.1, 8.9], -10, 10, ()),  # Jester
        ([0, 50, 88], 0, 100, ()),
        ([72, 100], 0, 100, ()),
        ([0, 1, 1], 0, 1, ()),
        ([1] * 30, 0, 1, ()),
        ([1, 1], 1, 5, ()),
        ([-1, 1, 1], -1, 1, ()),
        ([-1, 0, 1], -1, 1, ()),
        ([-2, 0, 2], -2, 2, ()),
        ([0.1, 0.8], 0, 1, ()),
    ],
)
def test_scales_of_known_data(values: list[float], low: float, high: float, unrated: tuple[float, ...]) -> None:
    scale, notes = infer_rating_scale(inference(values), None)
    assert scale == RatingScale(low, high, unrated)
    assert (
        f"read as the scale {low:g}..{high:g}, {(low + high) / 2:g} is neutral (--rating-scale LOW..HIGH changes it)" in notes[0]
    )


def test_a_slip_makes_no_scale_and_is_told() -> None:
    scale, notes = infer_rating_scale(inference([1, 2, 3, 4, 5] * 200 + [44]), None)
    assert scale == FIVE_STARS
    assert notes[1].startswith("1 of 1,001 ratings are not on the scale 1..5")
    assert "--rating-scale 1..44" in notes[1]


@pytest.mark.parametrize(("missing", "said"), [(1, "1 rating of -1 counts as a view"), (3, "3 ratings of -1 count as views")])
def test_what_is_not_rated_is_told_to_count_as_a_view(missing: int, said: str) -> None:
    _, notes = infer_rating_scale(inference([1, 7, 10] + [-1] * missing), None)
    assert notes[1] == f"{said}: that is no rating on this scale"


def test_amounts_are_no_ratings() -> None:
    with pytest.raises(InputError, match="up to 352698") as caught:
        infer_rating_scale(inference([12, 352_698]), None)
    assert "--rating-scale" in caught.value.remedy
    assert infer_rating_scale(inference([12, 352_698]), None, RatingScale(0, 400_000, given=True))[0] == RatingScale(
        0, 400_000, given=True
    )


def test_a_scale_that_was_found_is_widened_and_that_is_told() -> None:
    scale, notes = infer_rating_scale(inference([0, 8, 10]), FIVE_STARS)
    assert scale == RatingScale(0, 10)
    assert notes[0].startswith("These ratings are on another scale")
    assert "--rating-scale 1..5 takes that back" in notes[0]
    assert infer_rating_scale(inference([2, 4]), RatingScale(0, 10)) == (
        None,
        ["Ratings go from 2 to 4; read as the scale 0..10, 5 is neutral (--rating-scale LOW..HIGH changes it)"],
    )


def test_a_scale_that_was_given_stays() -> None:
    given = RatingScale(1, 5, given=True)
    scale, notes = infer_rating_scale(inference([9, 2]), given)
    assert scale is None
    assert notes[1].startswith("1 of 2 ratings are not on the scale 1..5")
    assert infer_rating_scale(inference([-1, 9, 2]), None, RatingScale(1, 10, given=True))[0] == RatingScale(
        1, 10, (-1,), given=True
    )


def test_without_ratings_nothing_is_said() -> None:
    assert infer_rating_scale(inference([]), None) == (None, [])
    assert infer_rating_scale(inference([]), FIVE_STARS) == (None, [])


def test_memory_is_flat() -> None:
    found = inference([random.Random(1).uniform(-10, 10) + i * 1e-9 for i in range(30_000)])
    assert len(found.counts) <= 10_021
    assert found.total == 30_000


@given(st.lists(st.integers(-10, 100), min_size=1, max_size=60))
def test_a_found_scale_holds_what_it_was_found_from(values: list[int]) -> None:
    scale, _ = infer_rating_scale(inference([float(value) for value in values]), None)
    assert scale is not None
    assert all(scale.holds(value) for value in values)
    assert [scale.normal(value) for value in (scale.low, scale.neutral, scale.high)] == pytest.approx([1.0, 3.0, 5.0])


@pytest.mark.parametrize(
    ("text", "low", "high"), [("0..10", 0, 10), ("-10..10", -10, 10), ("0.5..5", 0.5, 5), (" 1 to 7 ", 1, 7)]
)
def test_scales_as_they_are_written(text: str, low: float, high: float) -> None:
    assert parse_rating_scale(text) == RatingScale(low, high, given=True)


@pytest.mark.parametrize("text", ["", "5", "5..1", "1..1", "a..b", "1....5", "nan..5"])
def test_what_is_no_scale(text: str) -> None:
    with pytest.raises(InputError, match="is not LOW"):
        parse_rating_scale(text)


def test_what_says_that_there_is_no_rating_is_kept_when_a_scale_is_given_later() -> None:
    scale, _ = infer_rating_scale(inference([]), RatingScale(1, 10, (-1.0,)), RatingScale(0, 10, given=True))
    assert scale == RatingScale(0, 10, (-1.0,), given=True)
    scale, _ = infer_rating_scale(inference([]), RatingScale(1, 10, (-1.0,)), RatingScale(-10, 10, given=True))
    assert scale == RatingScale(-10, 10, given=True)
