"""Things for the house."""

from __future__ import annotations

import math

from es_recsys.sample.drawing.canvas import BLACK, METAL, WHITE, WOOD, Canvas
from es_recsys.sample.drawing.cloth import mixed
from es_recsys.sample.drawing.outlines import box, curve, oval, polygon, spoke, symmetric

__all__ = ["armchair", "clock", "cushion", "sofa", "table_lamp", "vase"]

_VASES = (
    [(42, 42), (42, 42), (44, 50), (30, 66), (34, 84), (40, 89)],
    [(36, 40), (36, 40), (42, 56), (36, 72), (40, 89), (40, 89)],
    [(38, 42), (38, 42), (32, 52), (34, 74), (42, 89), (42, 89)],
)
"""The left side of each form of vase, from the rim down."""


def table_lamp(c: Canvas) -> None:
    """Draw a table lamp."""
    c.floor(40)
    foot = c.choose(0, 1, 2)
    trim = WOOD if foot == 0 else (196, 160, 84)
    c.shape(oval(50, 86, 17, 4), mixed(trim, BLACK, 0.25))
    if foot == 1:
        c.shape(curve([(47, 48), (40, 62), (42, 78), (50, 84), (58, 78), (60, 62), (53, 48)]), trim, mixed(trim, BLACK, 0.4))
    else:
        c.shape(box(47.6, 46, 52.4, 85, 1), trim, mixed(trim, BLACK, 0.4))
        for y in (60, 70):
            c.shape(oval(50, y, 5, 4), trim, mixed(trim, BLACK, 0.4))
    c.shape(oval(50, 52, 21, 3.6), (255, 236, 170))
    slope = c.vary(8, 18)
    c.body(curve(symmetric([*[(50 - slope, 14)] * 2, (23, 50), (23, 50), (50, 54)])))
    c.shape(oval(50, 14, slope, 2.2), mixed(c.base, (255, 246, 200), 0.7), c.dark)
    c.line(polygon([(57, 53), (57, 63)]), BLACK, 0.6)
    c.shape(oval(57, 64, 1.2, 1.2), BLACK)


def armchair(c: Canvas) -> None:
    """Draw an armchair."""
    c.floor(74)
    for x in (27, 73):
        c.shape(polygon([(x - 3, 78), (x + 3, 78), (x + 1, 90), (x - 1, 90)]), WOOD, (110, 74, 40))
    c.body(curve([(24, 62), (24, 28), (32, 14), (50, 11), (68, 14), (76, 28), (76, 62)]))
    c.line(curve([(30, 58), (32, 30), (50, 19), (68, 30), (70, 58)], closed=False), c.dark, 0.8)
    c.body(box(26, 55, 74, 70, 5))
    c.body(box(22, 66, 78, 80, 3))
    for left in (12, 74):
        c.body(curve([(left, 52), (left + 3, 45), (left + 11, 45), (left + 14, 52), (left + 13, 80), (left + 1, 80)]))
    for x in (40, 50, 60):
        c.shape(oval(x, 34, 1.1, 1.1), c.dark)


def sofa(c: Canvas) -> None:
    """Draw a sofa."""
    c.floor(92, 83)
    for x in (14, 86):
        c.shape(polygon([(x - 2, 74), (x + 2, 74), (x + 1, 84), (x - 1, 84)]), WOOD, (110, 74, 40))
    seats = int(c.choose(2, 3))
    c.body(box(10, 30, 90, 66, 7))
    wide = 76 / seats
    for place in range(seats):
        left = 12 + wide * place
        c.body(box(left + 0.5, 34, left + wide - 0.5, 58, 4))
    for place in range(seats):
        left = 12 + wide * place
        c.body(box(left + 0.5, 55, left + wide - 0.5, 67, 3))
    c.body(box(8, 66, 92, 76, 2))
    for left in (3, 86):
        c.body(box(left, 43, left + 11, 76, 5))
    c.shape(polygon([(18, 44), (32, 42), (34, 56), (20, 57)]), c.accent, c.dark)


def vase(c: Canvas) -> None:
    """Draw a vase."""
    c.floor(40)
    for dx, colour in ((-16, (226, 72, 96)), (0, (246, 196, 60)), (15, (236, 130, 170))):
        top = 16 + abs(dx) * 0.35
        c.line(curve([(50, 46), (50 + dx * 0.4, 34), (50 + dx, top)], closed=False), (72, 130, 66), 1.3)
        for petal in range(6):
            angle = petal * math.pi / 3
            c.shape(oval(50 + dx + 4 * math.cos(angle), top + 4 * math.sin(angle), 3.2, 3.2), colour)
        c.shape(oval(50 + dx, top, 2.4, 2.4), (120, 72, 30))
    form = int(c.choose(0, 1, 2))
    c.body(curve(symmetric(_VASES[form])))
    c.shape(oval(50, 42, 12 if form == 1 else 9, 2), c.dark)


def clock(c: Canvas) -> None:
    """Draw a clock."""
    c.body(oval(50, 50, 40, 40))
    c.shape(oval(50, 50, 33, 33), WHITE, c.dark)
    for hour in range(12):
        quarter = hour % 3 == 0
        c.line(spoke(50, 50, 30 * hour, 25 if quarter else 28, 31), BLACK, 2.4 if quarter else 1.2)
    minutes = c.vary(0, 360)
    c.line(spoke(50, 50, minutes / 12 + 30 * c.choose(1, 4, 8, 10), 0, 17), BLACK, 3.0)
    c.line(spoke(50, 50, minutes, 0, 26), BLACK, 2.0)
    c.shape(oval(50, 50, 2.4, 2.4), c.accent, BLACK)


def cushion(c: Canvas) -> None:
    """Draw a cushion."""
    c.floor(70)
    c.body(curve(symmetric([(50, 21), (14, 16), (14, 16), (19, 50), (14, 86), (14, 86), (50, 81)])))
    c.line(curve([(15, 17), (20, 50), (15, 85)], closed=False), c.dark, 1.6)
    c.line(curve([(15, 85), (50, 80), (85, 85)], closed=False), c.dark, 1.6)
    for x, y in ((14, 16), (86, 16), (86, 86), (14, 86)):
        c.shape(oval(x, y, 2.4, 2.4), METAL if c.base == WHITE else c.dark)
