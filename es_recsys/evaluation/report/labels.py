"""Labels beside points, where they cover neither each other nor another point."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["place_labels"]

_SIZE = 8.5
# Width of a letter and height of a line, in points, of a face as wide as a system's usual one.
_WIDTH, _HEIGHT = 0.58 * _SIZE, 1.25 * _SIZE
_POINT = 5.0

Box = tuple[float, float, float, float]


def place_labels(axis: Axes, points: Sequence[tuple[float, float, str]], colour: str) -> None:
    """Write each point's name as near to it as there is room, and draw a line to one that is far."""
    figure = axis.get_figure()
    assert figure is not None
    figure.draw_without_rendering()  # type: ignore[union-attr]
    scale = 72.0 / figure.dpi
    at = [tuple(axis.transData.transform((x, y)) * scale) for x, y, _ in points]
    inside = axis.get_window_extent()
    frame = (inside.x0 * scale, inside.y0 * scale, inside.x1 * scale, inside.y1 * scale)
    taken: list[Box] = [(x - _POINT, y - _POINT, x + _POINT, y + _POINT) for x, y in at]
    for number in sorted(range(len(points)), key=lambda row: -points[row][1]):
        x, y, name = points[number]
        width = _WIDTH * len(name)
        dx, dy = _best(at[number], width, taken, frame)
        left, middle = at[number][0] + dx, at[number][1] + dy
        taken.append((left, middle - _HEIGHT / 2, left + width, middle + _HEIGHT / 2))
        far = abs(dy) > 2 * _HEIGHT
        line = {"arrowstyle": "-", "color": colour, "linewidth": 0.5, "alpha": 0.5, "shrinkB": 4.0} if far else None
        axis.annotate(
            name, (x, y), (dx, dy), textcoords="offset points", va="center", fontsize=_SIZE, color=colour, arrowprops=line
        )


def _best(at: tuple[float, float], width: float, taken: Sequence[Box], frame: Box) -> tuple[float, float]:
    """Return the offset of a label, in points, whose box covers least."""
    offsets = list(_offsets(width))

    def cost(offset: tuple[float, float]) -> tuple[float, int]:
        left, middle = at[0] + offset[0], at[1] + offset[1]
        box = (left, middle - _HEIGHT / 2, left + width, middle + _HEIGHT / 2)
        beside = max(frame[0] - box[0], 0.0) + max(box[2] - frame[2] - 60.0, 0.0)
        outside = beside + max(frame[1] - box[1], 0.0) + max(box[3] - frame[3], 0.0)
        return sum(_overlap(box, other) for other in taken) + 20.0 * outside, offsets.index(offset)

    return min(offsets, key=cost)


def _offsets(width: float) -> Iterator[tuple[float, float]]:
    for step in (0.0, 0.6, -0.6, 1.2, -1.2, 2.0, -2.0, 2.8, -2.8, 3.6, -3.6, 4.5, -4.5, 5.5, -5.5, 6.5, -6.5):
        yield 8.0, step * _HEIGHT
        yield -8.0 - width, step * _HEIGHT


def _overlap(one: Box, other: Box) -> float:
    wide = min(one[2], other[2]) - max(one[0], other[0])
    high = min(one[3], other[3]) - max(one[1], other[1])
    return wide * high if wide > 0 and high > 0 else 0.0
