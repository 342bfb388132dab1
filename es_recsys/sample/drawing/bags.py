"""Bags, from the front."""

from __future__ import annotations

from es_recsys.sample.drawing.canvas import BLACK, METAL, WHITE, Canvas
from es_recsys.sample.drawing.cloth import mixed
from es_recsys.sample.drawing.outlines import box, curve, oval, polygon

__all__ = ["backpack", "handbag", "suitcase", "wallet"]

_GOLD = (206, 168, 82)


def backpack(c: Canvas) -> None:
    """Draw a backpack."""
    c.floor(62)
    for side in (1, -1):
        strap = curve([(50 + side * 16, 22), (50 + side * 32, 40), (50 + side * 33, 66), (50 + side * 24, 84)], closed=False)
        c.line(strap, mixed(c.dark, BLACK, 0.4), 4.5)
    c.line(oval(50, 13, 8, 7, 170, 370), BLACK, 2.6)
    c.body(curve([(26, 30), (32, 16), (50, 11), (68, 16), (74, 30), (76, 84), (70, 88), (30, 88), (24, 84)]))
    c.shape(curve([(31, 24), (50, 17), (69, 24), (69, 26), (50, 20), (31, 26)]), BLACK)
    c.body(box(31, 56, 69, 84, 6))
    c.shape(box(33, 60, 67, 62), BLACK)
    c.shape(box(64, 60, 66, 67), METAL)
    for y in (34, 42):
        c.line(polygon([(38, y), (62, y)]), c.accent, 2.0)
    for side in (24, 72):
        c.shape(box(side - 1, 62, side + 5, 84, 2), c.dark)


def handbag(c: Canvas) -> None:
    """Draw a handbag."""
    c.floor(74)
    tall = c.vary(0.0, 8.0)
    c.line(oval(50, 42, 19, 30 + tall, 180, 360), c.dark, 3.4)
    c.body(curve([(24, 42), (24, 42), (76, 42), (76, 42), (86, 84), (82, 87), (18, 87), (14, 84)]))
    c.body(curve([(23, 41), (23, 41), (77, 41), (77, 41), (76, 56), (62, 63), (38, 63), (24, 56)]))
    c.shape(box(45, 58, 55, 67, 2), _GOLD, (150, 116, 46))
    c.shape(oval(50, 62.5, 1.6, 1.6), (120, 90, 40))
    for x in (31, 69):
        c.shape(oval(x, 43, 2.8, 2.8), _GOLD, (150, 116, 46))
    c.line(polygon([(17, 83), (83, 83)]), c.dark, 0.8)


def suitcase(c: Canvas) -> None:
    """Draw a suitcase."""
    c.floor(56)
    for x in (40, 60):
        c.line(polygon([(x, 6), (x, 26)]), METAL, 2.2)
    c.shape(box(37, 4, 63, 9, 2), BLACK)
    c.body(box(25, 22, 75, 86, 6))
    for step in range(5):
        x = 32 + 9 * step
        c.line(polygon([(x, 26), (x, 82)]), c.dark, 1.2)
        c.line(polygon([(x + 1.3, 26), (x + 1.3, 82)]), c.light, 0.7)
    c.shape(box(43, 19, 57, 23, 1.5), BLACK)
    c.line(polygon([(25, 54), (75, 54)]), c.dark, 0.8)
    for x in (26, 74):
        for y in (25, 83):
            c.shape(oval(x, y, 3, 3), c.dark)
    for x in (31, 69):
        c.shape(oval(x, 89.5, 3.6, 3.6), BLACK)
        c.shape(oval(x, 89.5, 1.4, 1.4), METAL)
    c.shape(box(71, 48, 75, 60, 1), METAL)


def wallet(c: Canvas) -> None:
    """Draw a wallet."""
    c.floor(80, 83)
    for step, paper in enumerate(((120, 176, 132), (226, 214, 180))):
        c.shape(box(20 + 2 * step, 25 + 4 * step, 78 - 2 * step, 60, 1), paper, (120, 130, 110))
    c.body(box(12, 34, 88, 82, 4))
    for step, card in enumerate(((70, 120, 190), WHITE, (214, 88, 70))):
        c.shape(box(54, 38 + 6 * step, 86, 56 + 6 * step, 1.5), card, (110, 110, 116))
    c.body(box(52, 56, 88, 82, 3))
    c.line(polygon([(50, 34), (50, 82)]), c.dark, 1.6)
    for x in range(16, 48, 4):
        c.line(polygon([(x, 37), (x + 2, 37)]), c.light, 0.8)
        c.line(polygon([(x, 79), (x + 2, 79)]), c.light, 0.8)
    c.shape(oval(31, 58, 5, 5), c.dark)
