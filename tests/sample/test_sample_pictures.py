"""Drawn pictures: valid, small, the same each time, and showing what the product is."""

from __future__ import annotations

import io
from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from es_recsys.errors import InputError
from es_recsys.sample import picture, sample_store
from es_recsys.sample.drawing import DRAWINGS
from es_recsys.sample.drawing.outlines import box, curve, oval, polygon
from es_recsys.sample.kinds import kinds, vocabulary
from es_recsys.types import Item

COUNT = 129  # three of a kind


@cache
def items() -> tuple[Item, ...]:
    return sample_store(items=COUNT, users=2, days=1).items


@cache
def drawn(place: int) -> bytes:
    return picture(items()[place])


@cache
def pixels(place: int) -> NDArray[np.float64]:
    return np.asarray(Image.open(io.BytesIO(drawn(place))), np.float64)


def test_every_kind_has_a_drawing_of_its_own() -> None:
    assert sorted(DRAWINGS) == sorted(kind.drawing for kind in kinds())


def test_pictures_are_small_jpegs_with_something_on_a_light_ground() -> None:
    for place in range(COUNT):
        data = drawn(place)
        image = Image.open(io.BytesIO(data))
        assert image.format == "JPEG" and image.size == (176, 176) and image.mode == "RGB"
        assert 1_000 < len(data) < 8_000
        assert pixels(place)[:8, :8].mean() > 220
        assert pixels(place).std() > 12


def test_a_picture_is_the_same_each_time_and_items_differ() -> None:
    assert picture(items()[5]) == drawn(5)
    assert len({drawn(place) for place in range(COUNT)}) == COUNT


@pytest.mark.parametrize("colour", ["red", "green", "blue", "black", "yellow"])
def test_the_colour_shows(colour: str) -> None:
    template = next(item for item in items() if item.categories[-1] == "Down Jackets")
    item = template.model_copy(
        update={"attributes": {**template.attributes, "colour": colour, "pattern": "plain", "material": "nylon"}}
    )
    image = np.asarray(Image.open(io.BytesIO(picture(item))), np.float64)
    middle = np.median(image[70:120, 60:80].reshape(-1, 3), axis=0)
    distances = {name: np.abs(np.array(row.rgb) * 0.9 - middle).sum() for name, row in vocabulary().colours.items()}
    assert min(distances, key=distances.__getitem__) == colour


def test_the_pattern_shows() -> None:
    template = next(item for item in items() if item.categories[-1] == "T-Shirts")
    made = {
        pattern: picture(template.model_copy(update={"attributes": {**template.attributes, "pattern": pattern}}))
        for pattern in vocabulary().patterns
    }
    assert len(set(made.values())) == len(made)


def test_two_of_a_kind_look_more_alike_than_two_kinds() -> None:
    """By outline alone: where the picture differs from its ground, each the right way round or mirrored."""
    leaves = [item.categories[-1] for item in items()]
    shapes = np.stack(
        [(np.abs(p - p[:4].mean(axis=(0, 1))).sum(2) > 60).reshape(22, 8, 22, 8).mean((1, 3)) for p in map(pixels, range(COUNT))]
    )
    flat, mirrored = shapes.reshape(COUNT, -1), shapes[:, :, ::-1].reshape(COUNT, -1)
    apart = np.minimum(*(((flat[:, None] - other[None]) ** 2).sum(2) for other in (flat, mirrored)))
    np.fill_diagonal(apart, np.inf)
    nearest = apart.argmin(axis=1)
    assert np.mean([leaves[place] == leaves[other] for place, other in enumerate(nearest)]) > 0.75


def test_an_item_from_elsewhere_is_refused() -> None:
    with pytest.raises(InputError, match="no drawing for item x"):
        picture(Item(item_id="x", categories=("Boats",)))


def test_a_smooth_line_goes_through_its_points_and_turns_at_corners() -> None:
    corners = [(0.0, 0.0), (0.0, 0.0), (10.0, 0.0), (10.0, 0.0), (10.0, 10.0), (10.0, 10.0)]
    line = curve(corners)
    assert line.min() >= 0.0 and line.max() <= 10.0
    assert all(np.abs(line - point).sum(1).min() < 1e-9 for point in corners)
    open_line = curve([(0.0, 0.0), (5.0, 5.0), (10.0, 0.0)], closed=False)
    assert open_line[0].tolist() == [0.0, 0.0] and open_line[-1].tolist() == [10.0, 0.0]


def test_outlines_have_the_size_that_is_asked_for() -> None:
    assert np.ptp(oval(50, 50, 10, 20), axis=0) == pytest.approx([20, 40], rel=0.02)
    assert np.ptp(box(10, 20, 30, 60, 4), axis=0) == pytest.approx([20, 40])
    assert polygon([(1, 2), (3, 4), (5, 6)]).shape == (3, 2)
