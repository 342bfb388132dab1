"""Things for outdoors."""

from __future__ import annotations

from es_recsys.sample.drawing.canvas import BLACK, METAL, WHITE, Canvas
from es_recsys.sample.drawing.cloth import mixed
from es_recsys.sample.drawing.outlines import box, curve, oval, polygon, spoke, symmetric

__all__ = ["bicycle", "bottle", "headlamp", "sleeping_bag", "tent"]

_BOTTLES = (
    [(42, 22), (42, 22), (40, 28), (33, 38), (34, 50), (38, 58), (34, 66), (34, 84), (38, 89)],
    [(43, 22), (43, 22), (34, 32), (34, 36), (34, 84), (38, 89)],
)
"""The left side of each form of bottle, from the neck down."""


def tent(c: Canvas) -> None:
    """Draw a tent."""
    c.floor(94, 85)
    dome = c.choose(0, 1)
    if dome:
        c.body(curve([(6, 84), (6, 84), (16, 52), (34, 28), (50, 22), (66, 28), (84, 52), (94, 84), (94, 84)]))
        c.line(curve([(16, 84), (34, 40), (50, 22), (66, 40), (84, 84)], closed=False), c.dark, 1.4)
    else:
        c.body(polygon([(50, 18), (94, 84), (6, 84)]))
        c.shape(polygon([(50, 18), (94, 84), (74, 84)]), c.dark)
        c.line(polygon([(46, 12), (52, 22)]), METAL, 1.6)
        c.line(polygon([(54, 12), (48, 22)]), METAL, 1.6)
    top = 36 if dome else 34
    c.shape(curve([(50, top), (50, top), (66, 84), (66, 84), (34, 84), (34, 84)]), mixed(BLACK, c.dark, 0.2))
    c.shape(curve([(50, top), (50, top), (50, 84), (50, 84), (34, 84), (30, 84), (40, 62)]), c.accent, c.dark)
    for x, way in ((6, -3), (94, 3)):
        c.line(polygon([(x, 84), (x + way, 88)]), METAL, 1.2)
    c.line(polygon([(5, 84.5), (95, 84.5)]), c.dark, 1.4)


def sleeping_bag(c: Canvas) -> None:
    """Draw a sleeping bag."""
    c.body(curve(symmetric([(50, 4), (36, 8), (32, 20), (28, 40), (34, 76), (40, 94), (50, 96)])))
    c.shape(curve([(39, 26), (38, 15), (50, 9.5), (62, 15), (61, 26), (50, 30)]), mixed(c.accent, BLACK, 0.25), c.dark)
    c.shape(curve([(42, 24), (44, 16), (56, 16), (58, 24), (50, 27)]), mixed(c.accent, WHITE, 0.5))
    for step in range(7):
        y = 37 + 8 * step
        half = 21 - max(0, step - 1) * 2.0
        c.line(curve([(50 - half, y), (50, y + 2.4), (50 + half, y)], closed=False), c.dark, 1.2)
    c.line(curve([(59, 28), (64, 44), (60, 72)], closed=False), BLACK, 1.3)
    c.shape(box(59, 68, 61.4, 73, 1), METAL)


def headlamp(c: Canvas) -> None:
    """Draw a headlamp."""
    c.line(oval(50, 40, 38, 22, 140, 400), mixed(c.dark, BLACK, 0.3), 8.0)
    c.line(oval(50, 40, 38, 22, 142, 398), c.base, 5.8)
    c.line(oval(50, 40, 38, 22, 200, 340), c.accent, 1.2)
    c.shape(box(24, 44, 76, 76, 8), mixed(BLACK, c.base, 0.12), BLACK)
    c.body(box(27, 46, 73, 60, 6))
    c.shape(oval(50, 62, 17, 17), (60, 62, 68), BLACK)
    c.shape(oval(50, 62, 13.5, 13.5), (252, 244, 196), METAL)
    for angle in range(0, 360, 45):
        c.line(spoke(50, 62, angle, 5, 11), (236, 206, 96), 1.0)
    c.shape(oval(50, 62, 4, 4), WHITE, (230, 200, 90))
    c.shape(box(44, 41, 56, 45, 1.5), (210, 66, 50))


def bottle(c: Canvas) -> None:
    """Draw a water bottle."""
    c.floor(36)
    form = int(c.choose(0, 1))
    cap = (METAL, BLACK)[form]
    c.line(oval(50, 12, 7, 7, 180, 360), mixed(cap, BLACK, 0.3), 2.4)
    c.shape(box(41, 12, 59, 22, 2), cap, BLACK)
    c.body(curve(symmetric(_BOTTLES[form])))
    c.line(polygon([(39, 38), (39, 82)]), c.light, 2.0)
    c.shape(oval(52, 62, 6, 6), c.accent, c.dark)
    c.line(polygon([(35, 84), (65, 84)]), c.dark, 1.2)


def bicycle(c: Canvas) -> None:
    """Draw a bicycle."""
    c.floor(90, 85)
    rear, front = (23, 64), (77, 64)
    for x, y in (rear, front):
        for angle in range(0, 180, 30):
            c.line(spoke(x, y, angle, -20, 20), (160, 164, 170), 0.5)
        c.line(oval(x, y, 20, 20), BLACK, 2.6)
        c.shape(oval(x, y, 2.2, 2.2), METAL, BLACK)
    crank, seat, head = (46, 66), (40, 38), (68, 36)
    low = c.choose(0, 0, 1)
    top = (43, 50) if low else (40.5, 40)
    for start, stop in ((crank, seat), (crank, (69, 42)), (top, (68.5, 38)), (rear, crank), (rear, (41, 43)), (head, front)):
        c.line(polygon([start, stop]), c.dark, 3.6)
        c.line(polygon([start, stop]), c.base, 2.6)
    c.line(polygon([seat, (38, 31)]), METAL, 1.8)
    c.shape(curve([(30, 29), (40, 28), (47, 30), (40, 33), (32, 33)]), BLACK)
    c.line(
        curve(
            [(68, 36), (66, 27), (73, 25), (78, 29)] if c.choose(0, 1) else [(68, 36), (66, 26), (60, 24), (56, 28)], closed=False
        ),
        BLACK,
        2.4,
    )
    c.shape(oval(*crank, 5, 5), METAL, BLACK)
    c.line(polygon([crank, (51, 75)]), BLACK, 1.8)
    c.line(polygon([(48, 75.5), (55, 75)]), BLACK, 2.0)
    c.line(polygon([(23, 62), (46, 61.5)]), (90, 90, 96), 0.7)
    c.line(polygon([(23, 66.5), (46, 70.5)]), (90, 90, 96), 0.7)
