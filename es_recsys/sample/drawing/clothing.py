"""Clothes, laid flat."""

from __future__ import annotations

from es_recsys.sample.drawing.canvas import BLACK, METAL, WHITE, Canvas
from es_recsys.sample.drawing.cloth import mixed
from es_recsys.sample.drawing.outlines import Outline, box, curve, oval, polygon, symmetric

__all__ = ["blazer", "dress", "puffer", "rain_jacket", "sweater", "trousers", "tshirt"]


def _mirrored(outline: Outline) -> Outline:
    return outline * (-1.0, 1.0) + (100.0, 0.0)


def _sleeves(c: Canvas, outline: Outline) -> None:
    c.body(outline)
    c.body(_mirrored(outline))


def tshirt(c: Canvas) -> None:
    """Draw a T-shirt."""
    _sleeves(c, polygon([(30, 17), (10, 36), (21, 47), (34, 36)]))
    c.body(curve(symmetric([(50, 20), (38, 14), (38, 14), (30, 17), (30, 17), (32, 40), (30, 86), (30, 86)])))
    c.line(oval(50, 13, 13, 9, 15, 165), c.dark, 2.2)
    c.line(polygon([(31, 83), (69, 83)]), c.dark, 0.6)


def sweater(c: Canvas) -> None:
    """Draw a sweater."""
    _sleeves(c, curve([(30, 18), (30, 18), (16, 34), (8, 76), (8, 76), (20, 79), (20, 79), (33, 44), (33, 44)]))
    c.body(curve(symmetric([(40, 14), (40, 14), (29, 18), (29, 18), (31, 46), (29, 82), (29, 82)])))
    c.shape(box(29, 80, 71, 88, 1), c.dark)
    for step in range(14):
        c.line(polygon([(30 + 3 * step, 81), (30 + 3 * step, 87)]), c.base, 0.7)
    cuff = polygon([(7, 73), (21, 76.5), (19.5, 83), (6, 79.5)])
    c.shape(cuff, c.dark)
    c.shape(_mirrored(cuff), c.dark)
    c.shape(curve([(38, 15), (50, 21), (62, 15), (60, 9), (50, 13), (40, 9)]), c.dark)


def rain_jacket(c: Canvas) -> None:
    """Draw a rain jacket."""
    c.body(curve([(37, 20), (36, 8), (50, 3), (64, 8), (63, 20)]))
    c.shape(curve([(41, 20), (41, 11), (50, 7.5), (59, 11), (59, 20), (50, 24)]), mixed(c.dark, BLACK, 0.55))
    _sleeves(c, curve([(30, 20), (30, 20), (16, 36), (9, 74), (9, 74), (20, 77), (20, 77), (33, 46), (33, 46)]))
    c.body(curve([(38, 19), (29, 21), (31, 46), (29, 88), (29, 88), (71, 88), (71, 88), (69, 46), (71, 21), (62, 19), (50, 26)]))
    c.line(polygon([(50, 25), (50, 88)]), c.accent, 1.8)
    pocket = polygon([(35, 62), (44, 58), (44, 60), (35, 64)])
    c.shape(pocket, c.accent)
    c.shape(_mirrored(pocket), c.accent)
    c.line(polygon([(30, 48), (70, 48)]), c.dark, 0.7)
    c.line(polygon([(44, 24), (43, 36)]), WHITE, 0.8)
    c.line(polygon([(56, 24), (57, 36)]), WHITE, 0.8)
    cuff = polygon([(8.5, 72), (21, 75), (20, 78), (8, 75.5)])
    c.shape(cuff, c.dark)
    c.shape(_mirrored(cuff), c.dark)


def blazer(c: Canvas) -> None:
    """Draw a blazer."""
    _sleeves(c, curve([(31, 16), (31, 16), (19, 34), (14, 80), (14, 80), (25, 82), (25, 82), (34, 44), (34, 44)]))
    c.shape(polygon([(40, 12), (60, 12), (54, 54), (46, 54)]), WHITE, (190, 190, 194))
    side = curve([(41, 11), (41, 11), (30, 16), (30, 16), (33, 48), (30, 90), (30, 90), (48, 90), (51, 86), (51, 58), (51, 58)])
    c.body(_mirrored(side))
    c.body(side)
    lapel = polygon([(41, 11), (37, 16), (34, 32), (39, 33), (37, 37), (51, 58), (45, 24)])
    c.body(_mirrored(lapel))
    c.body(lapel)
    for y in (63, 72):
        c.shape(oval(49, y, 1.5, 1.5), mixed(BLACK, c.accent, 0.2), METAL)
    c.line(polygon([(34, 68), (44, 67)]), c.dark, 1.6)
    c.line(polygon([(56, 67), (66, 68)]), c.dark, 1.6)
    c.line(polygon([(58, 40), (65, 39)]), c.light, 1.4)


def puffer(c: Canvas) -> None:
    """Draw a puffer jacket."""
    arm = curve([(31, 20), (20, 28), (10, 58), (8, 74), (18, 79), (24, 70), (34, 48)])
    _sleeves(c, arm)
    c.body(curve([(36, 18), (28, 22), (26, 50), (27, 84), (30, 87), (70, 87), (73, 84), (74, 50), (72, 22), (64, 18)]))
    c.body(curve([(37, 20), (36, 10), (42, 7), (58, 7), (64, 10), (63, 20), (50, 23)]))
    for step in range(6):
        y = 31 + 10 * step
        c.line(curve([(27, y), (38, y + 2.4), (50, y)], closed=False), c.dark, 1.3)
        c.line(curve([(50, y), (62, y + 2.4), (73, y)], closed=False), c.dark, 1.3)
        c.line(curve([(29, y + 2.6), (38, y + 4.6), (48, y + 2.8)], closed=False), c.light, 0.8)
    for step in range(4):
        x, y = 21.5 - 3.4 * step, 36 + 10 * step
        seam = polygon([(x - 4, y - 1), (x + 8, y + 4)])
        c.line(seam, c.dark, 1.3)
        c.line(_mirrored(seam), c.dark, 1.3)
    c.line(polygon([(50, 9), (50, 87)]), mixed(c.dark, BLACK, 0.4), 1.6)


def dress(c: Canvas) -> None:
    """Draw a dress."""
    flare = c.vary(0.0, 8.0)
    c.line(polygon([(41, 24), (43, 8)]), c.dark, 2.0)
    c.line(polygon([(59, 24), (57, 8)]), c.dark, 2.0)
    c.body(curve(symmetric([(50, 26), (44, 24), (39, 18), (39, 18), (37, 30), (41, 44), *[(28 - flare, 90)] * 2, (50, 93)])))
    c.shape(polygon([(41, 43), (59, 43), (60, 47.5), (40, 47.5)]), c.dark)
    for x in (42, 50, 58):
        c.line(polygon([(x * 0.5 + 25, 50), (50 + (x - 50) * (1.6 + flare / 12), 89)]), c.dark, 0.7)


def trousers(c: Canvas) -> None:
    """Draw a pair of trousers."""
    c.body(polygon([(33, 12), (67, 12), (69, 34), (70, 92), (55, 92), (50.5, 44), (49.5, 44), (45, 92), (30, 92), (31, 34)]))
    c.shape(box(32.5, 9, 67.5, 15, 1), c.dark)
    for x in (37, 45, 55, 63):
        c.shape(box(x - 0.9, 8, x + 0.9, 16), c.base)
    c.line(polygon([(50, 15), (50, 44)]), c.dark, 1.0)
    c.shape(oval(50, 12, 1.3, 1.3), METAL)
    c.line(polygon([(32.5, 24), (40, 15)]), c.dark, 1.2)
    c.line(polygon([(67.5, 24), (60, 15)]), c.dark, 1.2)
    c.line(polygon([(39.5, 46), (38, 90)]), c.dark, 0.6)
    c.line(polygon([(60.5, 46), (62, 90)]), c.dark, 0.6)
