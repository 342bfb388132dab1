"""Things for the kitchen and the table."""

from __future__ import annotations

from es_recsys.sample.drawing.canvas import BLACK, METAL, WHITE, WOOD, Canvas
from es_recsys.sample.drawing.cloth import mixed
from es_recsys.sample.drawing.outlines import box, curve, oval, polygon

__all__ = ["frying_pan", "knife", "mug", "teapot", "wine_glass"]


def mug(c: Canvas) -> None:
    """Draw a mug."""
    c.floor(56)
    slim = c.vary(0.0, 6.0)
    c.line(oval(70 - slim, 50, 17, 19, -85, 85), c.dark, 7.4)
    c.line(oval(70 - slim, 50, 17, 19, -85, 85), c.base, 5.4)
    c.body(
        curve(
            [
                (22 + slim, 22),
                (22 + slim, 22),
                (24 + slim, 78),
                (32, 87),
                (60, 87),
                (70 - slim, 78),
                (72 - slim, 22),
                (72 - slim, 22),
            ]
        )
    )
    c.shape(oval(47, 22, 25 - slim, 6.5), c.light, c.dark)
    c.shape(oval(47, 23.4, 22 - slim, 4.8), (92, 56, 34))


def wine_glass(c: Canvas) -> None:
    """Draw a wine glass."""
    c.floor(40)
    tint = mixed(c.base, (225, 236, 242), 0.72)
    line = mixed(c.dark, (130, 140, 150), 0.5)
    c.shape(
        curve([(34, 12), (34, 12), (28, 32), (36, 50), (47, 56), (53, 56), (64, 50), (72, 32), (66, 12), (66, 12)]), tint, line
    )
    wine = (122, 22, 48) if c.choose(0, 1) else (226, 206, 120)
    c.shape(curve([(30, 32), (30, 32), (70, 32), (70, 32), (62, 47), (52, 53.5), (48, 53.5), (38, 47)]), wine)
    c.shape(oval(50, 32, 20.4, 3.4), mixed(wine, WHITE, 0.25))
    c.shape(polygon([(48.6, 55), (51.4, 55), (51.6, 84), (48.4, 84)]), tint, line)
    c.shape(oval(50, 86, 17, 3.6), tint, line)
    c.line(oval(50, 12, 16, 2.6), line, 0.9)
    c.line(curve([(36, 18), (33, 30), (37, 42)], closed=False), WHITE, 1.8)


def frying_pan(c: Canvas) -> None:
    """Draw a frying pan."""
    handle = WOOD if c.choose(0, 1) else BLACK
    c.shape(curve([(60, 44), (72, 32), (94, 12), (97, 14), (96, 18), (76, 38), (64, 50)]), handle, mixed(handle, BLACK, 0.5))
    c.shape(oval(94, 15, 1.3, 1.3), WHITE)
    c.body(oval(40, 60, 34, 30))
    c.shape(oval(40, 59, 29, 25), mixed(BLACK, c.base, 0.18), mixed(BLACK, WHITE, 0.3))
    c.line(oval(40, 59, 23, 19, 190, 260), (120, 120, 126), 1.4)
    if c.choose(0, 1):
        c.shape(curve([(30, 56), (38, 48), (48, 50), (54, 60), (46, 70), (34, 69), (27, 63)]), WHITE)
        c.shape(oval(41, 59, 6, 5.2), (246, 184, 48), (226, 150, 30))


def teapot(c: Canvas) -> None:
    """Draw a teapot."""
    c.floor(70)
    c.line(oval(74, 56, 15, 17, -80, 80), c.dark, 5.6)
    c.line(oval(74, 56, 15, 17, -80, 80), c.base, 3.8)
    c.body(curve([(30, 64), (18, 58), (12, 44), (6, 36), (14, 34), (22, 42), (32, 48)]))
    c.body(curve([(50, 32), (30, 36), (22, 58), (30, 78), (40, 86), (62, 86), (72, 78), (80, 58), (70, 36)]))
    c.body(curve([(34, 35), (40, 27), (51, 25), (62, 27), (68, 35), (51, 38)]))
    c.shape(oval(51, 22, 4, 4), c.accent, c.dark)
    c.line(polygon([(38, 86), (64, 86)]), c.dark, 2.0)
    c.line(curve([(30, 48), (27, 58), (31, 70)], closed=False), c.light, 2.0)


def knife(c: Canvas) -> None:
    """Draw a knife."""
    steel = mixed(METAL, c.base, 0.12)
    c.shape(
        curve([(40, 44), (40, 44), (78, 46), (97, 56), (97, 57), (86, 61), (70, 63.5), (42, 64), (42, 64)]),
        mixed(steel, WHITE, 0.35),
        (110, 116, 124),
    )
    c.shape(curve([(42, 59), (70, 59.5), (96, 57), (86, 61), (70, 63.5), (42, 64)]), mixed(steel, WHITE, 0.75))
    c.line(polygon([(44, 46.5), (76, 48.5)]), (120, 126, 134), 0.6)
    c.shape(box(36, 43, 42, 58, 1), (136, 140, 148), (90, 94, 100))
    c.body(curve([(37, 43.5), (37, 43.5), (20, 43), (6, 46), (3, 52), (5, 57), (14, 55), (24, 57), (37, 57), (37, 57)]))
    for x in (12, 21, 30):
        c.shape(oval(x, 50, 1.6, 1.6), METAL, c.dark)
