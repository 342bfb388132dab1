"""Outlines as (n, 2) float64 points in a square of 0..100, x to the right, y down."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["Outline", "box", "curve", "oval", "polygon", "spoke", "star", "symmetric"]

Outline = NDArray[np.float64]

Points = Sequence[tuple[float, float]]


def polygon(points: Points) -> Outline:
    """Return the corners as an outline."""
    return np.array(points, np.float64)


def oval(x: float, y: float, wide: float, high: float, start: float = 0.0, stop: float = 360.0) -> Outline:
    """Return an ellipse around (x, y) with half axes `wide`, `high`, or an arc of it; degrees clockwise from the right."""
    angles = np.radians(np.linspace(start, stop, max(6, int(abs(stop - start) / 9))))
    return np.stack([x + wide * np.cos(angles), y + high * np.sin(angles)], axis=1)


def box(left: float, top: float, right: float, bottom: float, radius: float = 0.0) -> Outline:
    """Return a rectangle with round corners."""
    if radius <= 0.0:
        return polygon([(left, top), (right, top), (right, bottom), (left, bottom)])
    corners = ((right, top, 270), (right, bottom, 0), (left, bottom, 90), (left, top, 180))
    arcs = [
        oval(x + (radius if x == left else -radius), y + (radius if y == top else -radius), radius, radius, start, start + 90)
        for x, y, start in corners
    ]
    return np.concatenate(arcs)


def curve(points: Points, *, closed: bool = True, steps: int = 6) -> Outline:
    """Return a smooth line through the points (Catmull and Rom, 1974). A point given twice is a corner."""
    p = np.array(points, np.float64)
    before, after, beyond = np.roll(p, 1, 0), np.roll(p, -1, 0), np.roll(p, -2, 0)
    if not closed:
        before[0], after[-1], beyond[-1], beyond[-2] = p[0], p[-1], p[-1], p[-1]
    t = np.linspace(0.0, 1.0, steps, endpoint=False)[None, :, None]
    b, p0, a, c = before[:, None], p[:, None], after[:, None], beyond[:, None]
    segments = 0.5 * (2 * p0 + (a - b) * t + (2 * b - 5 * p0 + 4 * a - c) * t**2 + (3 * p0 - b - 3 * a + c) * t**3)
    # Between the two of a corner there is nothing to draw, and the formula would make a loop there.
    apart = np.abs(after - p).sum(axis=1) > 0.0
    apart[-1] |= not closed
    line: Outline = segments[apart].reshape(-1, 2)
    return line if closed else np.concatenate([line[: -steps + 1], p[-1:]])


def symmetric(left: Points) -> Points:
    """Return the points of the left side (x <= 50, from the top down) followed by their mirror images, from the bottom up."""
    return [*left, *((100.0 - x, y) for x, y in reversed(left) if x != 50.0)]


def spoke(x: float, y: float, degrees: float, inner: float, outer: float) -> Outline:
    """Return a piece of a ray from (x, y); 0 degrees is up, clockwise."""
    dx, dy = math.sin(math.radians(degrees)), -math.cos(math.radians(degrees))
    return polygon([(x + inner * dx, y + inner * dy), (x + outer * dx, y + outer * dy)])


def star(x: float, y: float, radius: float, points: int = 5, inner: float = 0.45) -> Outline:
    """Return a star with one point upwards; inner: radius of the inner corners in parts of `radius`."""
    angles = [math.pi * place / points - math.pi / 2 for place in range(2 * points)]
    radii = [radius * (inner if place % 2 else 1.0) for place in range(2 * points)]
    return polygon([(x + r * math.cos(a), y + r * math.sin(a)) for r, a in zip(radii, angles, strict=True)])
