"""Toys."""

from __future__ import annotations

from es_recsys.sample.drawing.canvas import BLACK, WHITE, WOOD, Canvas
from es_recsys.sample.drawing.cloth import Rgb, mixed
from es_recsys.sample.drawing.outlines import box, curve, oval, polygon

__all__ = ["blocks", "kite", "teddy", "train"]

_BRIGHT: tuple[Rgb, ...] = ((222, 64, 58), (246, 196, 54), (66, 140, 210), (86, 168, 90), (240, 138, 50))


def teddy(c: Canvas) -> None:
    """Draw a teddy bear."""
    c.floor(60)
    pad = mixed(c.base, (250, 226, 196), 0.65)
    for x in (33, 67):
        c.body(oval(x, 17, 9, 9))
        c.shape(oval(x, 17, 5, 5), pad)
    for x, turn in ((25, 1), (75, -1)):
        c.body(curve([(x + 8 * turn, 48), (x - 4 * turn, 54), (x - 8 * turn, 66), (x - 2 * turn, 70), (x + 8 * turn, 62)]))
    c.body(oval(50, 64, 22, 22))
    c.shape(oval(50, 66, 13, 14), pad)
    for x in (32, 68):
        c.body(oval(x, 82, 12, 9))
        c.shape(oval(x, 83, 6, 5), pad)
    c.body(oval(50, 30, 21, 18))
    c.shape(oval(50, 36, 9.5, 7.5), pad)
    for x in (42, 58):
        c.shape(oval(x, 27, 2.3, 2.6), BLACK)
        c.shape(oval(x + 0.7, 26.2, 0.8, 0.8), WHITE)
    c.shape(oval(50, 33, 3.2, 2.2), BLACK)
    c.line(curve([(45.5, 38), (50, 40.5), (54.5, 38)], closed=False), BLACK, 1.0)
    for side in (-1, 1):
        c.shape(polygon([(50, 48), (50 + side * 9, 44), (50 + side * 9, 52)]), c.accent, c.dark)
    c.shape(oval(50, 48, 2, 2), c.accent, c.dark)


def kite(c: Canvas) -> None:
    """Draw a kite."""
    x, y = c.vary(-2, 2), c.vary(-2, 2)
    tail = curve([(42 + x, 66), (34, 74), (40, 82), (30, 90), (36, 97)], closed=False)
    c.line(tail, BLACK, 0.8)
    for place in (8, 14, 20):
        px, py = tail[min(place, len(tail) - 1)]
        fill = _BRIGHT[place % 5]
        c.shape(polygon([(px, py), (px - 5, py - 3), (px - 5, py + 3)]), fill)
        c.shape(polygon([(px, py), (px + 5, py - 3), (px + 5, py + 3)]), fill)
    top, left, right, low = (60 + x, 4 + y), (28, 24), (84, 36), (42 + x, 66)
    middle = (56 + x, 29 + y)
    c.body(polygon([top, right, low, left]))
    for one, other in ((top, right), (low, left)):
        c.shape(polygon([one, other, middle]), c.accent, c.dark)
    c.line(polygon([top, low]), c.dark, 1.0)
    c.line(polygon([left, right]), c.dark, 1.0)
    c.line(curve([middle, (66, 60), (84, 92)], closed=False), (110, 110, 116), 0.6)


def train(c: Canvas) -> None:
    """Draw a toy train."""
    c.floor(88)
    c.shape(box(8, 68, 92, 74, 1), WOOD, (110, 74, 40))
    c.body(box(38, 42, 86, 70, 4))
    c.body(box(12, 26, 42, 70, 2))
    c.shape(box(8, 20, 46, 27, 2), c.accent, c.dark)
    c.shape(box(18, 33, 35, 50, 2), (206, 230, 244), c.dark)
    c.shape(polygon([(68, 43), (66, 22), (82, 22), (79, 43)]), mixed(BLACK, c.base, 0.15), BLACK)
    c.shape(box(64, 18, 84, 24, 1.5), c.accent, BLACK)
    c.shape(oval(54, 42, 6, 6, 180, 360), (226, 186, 70), (150, 116, 46))
    c.shape(polygon([(86, 66), (97, 76), (86, 76)]), (120, 122, 128), BLACK)
    c.shape(oval(86, 54, 3.4, 5), (250, 230, 140), BLACK)
    for x, radius in ((24, 12), (56, 9), (77, 9)):
        c.shape(oval(x, 88 - radius, radius, radius), _BRIGHT[int(radius) % 5], BLACK)
        c.shape(oval(x, 88 - radius, radius * 0.4, radius * 0.4), WHITE, BLACK)
    for x, radius in ((14, 4), (22, 6)):
        c.line(oval(74 + x / 3, 18 - x / 2, radius, radius * 0.7), (190, 194, 200), 1.2)


def blocks(c: Canvas) -> None:
    """Draw building blocks."""
    c.floor(84)
    first = int(c.choose(0, 1, 2, 3, 4))
    colours = [_BRIGHT[(first + step) % 5] for step in range(5)]

    def block(left: float, top: float, size: float, fill: Rgb) -> None:
        deep = size * 0.22
        c.shape(
            polygon([(left, top), (left + deep, top - deep), (left + size + deep, top - deep), (left + size, top)]),
            mixed(fill, WHITE, 0.4),
            mixed(fill, BLACK, 0.4),
        )
        c.shape(
            polygon(
                [
                    (left + size, top),
                    (left + size + deep, top - deep),
                    (left + size + deep, top + size - deep),
                    (left + size, top + size),
                ]
            ),
            mixed(fill, BLACK, 0.25),
            mixed(fill, BLACK, 0.45),
        )
        c.shape(box(left, top, left + size, top + size), fill, mixed(fill, BLACK, 0.4))

    block(12, 62, 24, colours[0])
    block(38, 62, 24, c.base)
    block(64, 62, 24, colours[1])
    block(24, 36, 24, colours[2])
    block(50, 36, 24, c.base)
    c.body(polygon([(38, 30), (60, 30), (49, 8)]))
    c.shape(oval(50, 74, 6, 6), mixed(c.base, WHITE, 0.5), c.dark)
    c.shape(polygon([(20, 80), (28, 80), (24, 68)]), mixed(colours[0], WHITE, 0.5))
    c.shape(box(72, 70, 80, 78), mixed(colours[1], WHITE, 0.5))
