"""Shoes, from the side."""

from __future__ import annotations

from es_recsys.sample.drawing.canvas import BLACK, METAL, WHITE, Canvas
from es_recsys.sample.drawing.cloth import mixed
from es_recsys.sample.drawing.outlines import box, curve, oval, polygon

__all__ = ["boot", "heel", "loafer", "road_shoe", "sandal", "sneaker", "trail_shoe"]


def _runner(c: Canvas) -> None:
    c.shape(curve([(16, 36), (24, 32), (34, 38), (42, 40), (46, 32), (42, 46), (24, 50)]), mixed(c.dark, BLACK, 0.5))
    c.body(
        curve(
            [
                (14, 35),
                (19, 33),
                (23, 42),
                (34, 46),
                (44, 38),
                (48, 31),
                (53, 34),
                (62, 48),
                (78, 56),
                (90, 61),
                (92, 69),
                (92, 70),
                (11, 70),
                (11, 70),
                (12, 52),
            ]
        )
    )
    c.shape(curve([(70, 69), (74, 58), (86, 59), (92, 66), (92, 70), (70, 70)]), c.dark)
    c.shape(curve([(11, 70), (11, 54), (17, 54), (26, 64), (27, 70)]), c.dark)
    for step in range(4):
        x, y = 46 + 5 * step, 38 + 5 * step
        c.line(polygon([(x, y + 3), (x + 7, y - 2)]), WHITE, 1.6)


def trail_shoe(c: Canvas) -> None:
    """Draw a trail shoe."""
    c.floor(78, 82)
    _runner(c)
    c.line(curve([(30, 66), (40, 52), (50, 64), (60, 54), (66, 66)], closed=False), c.accent, 2.4)
    c.shape(curve([(8, 67), (30, 69), (60, 71), (94, 66), (93, 76), (60, 79), (9, 78)]), c.accent, c.dark)
    for step in range(11):
        x = 10 + 7.4 * step
        c.shape(polygon([(x, 76), (x + 6, 76), (x + 4.6, 83), (x + 1.2, 83)]), BLACK)


def road_shoe(c: Canvas) -> None:
    """Draw a road shoe."""
    c.floor(78, 82)
    _runner(c)
    c.shape(curve([(34, 66), (48, 50), (52, 52), (44, 66)]), c.accent)
    c.shape(curve([(47, 67), (57, 54), (61, 56), (55, 67)]), c.accent)
    c.shape(curve([(7, 66), (20, 69), (60, 71), (95, 63), (94, 72), (80, 80), (40, 80), (8, 80)]), WHITE, (150, 150, 156))
    c.line(curve([(10, 79), (40, 79.5), (80, 79), (92, 73)], closed=False), c.base, 2.0)


def sneaker(c: Canvas) -> None:
    """Draw a sneaker."""
    c.floor(78, 82)
    c.body(
        curve(
            [
                (13, 44),
                (20, 42),
                (34, 46),
                (44, 36),
                (50, 36),
                (60, 48),
                (76, 54),
                (90, 60),
                (92, 70),
                (92, 70),
                (12, 70),
                (12, 70),
            ]
        )
    )
    c.shape(curve([(76, 71), (77, 58), (86, 57), (93, 64), (93, 71)]), WHITE, (170, 170, 174))
    for step in range(4):
        x, y = 44 + 5.4 * step, 41 + 4 * step
        c.line(polygon([(x, y + 4), (x + 8, y - 1)]), WHITE, 1.8)
        c.shape(oval(x, y + 5, 1.2, 1.2), BLACK)
    c.shape(oval(28, 57, 6, 6), WHITE, c.dark)
    c.shape(box(10, 69, 94, 79, 4), WHITE, (160, 160, 164))
    c.line(polygon([(11, 75), (93, 75)]), c.base, 1.3)


def boot(c: Canvas) -> None:
    """Draw a boot."""
    c.floor(72, 82)
    c.shape(curve([(22, 20), (36, 16), (52, 18), (52, 26), (36, 28), (22, 26)]), mixed(c.dark, BLACK, 0.5))
    c.body(
        curve(
            [
                (20, 20),
                (22, 18),
                (36, 24),
                (52, 18),
                (55, 20),
                (55, 36),
                (60, 48),
                (76, 54),
                (88, 60),
                (90, 72),
                (90, 72),
                (16, 72),
                (16, 72),
                (17, 50),
                (20, 36),
            ]
        )
    )
    c.shape(box(20, 17, 55, 25, 3.5), c.dark)
    c.shape(curve([(72, 73), (73, 60), (84, 58), (91, 66), (91, 73)]), mixed(c.dark, BLACK, 0.4))
    for step in range(6):
        y = 28 + 4.6 * step
        x = 50 + max(0, step - 2) * 2.6
        c.line(polygon([(x - 8, y), (x + 4, y + 2)]), (226, 190, 92), 1.6)
        c.shape(oval(x - 8, y, 1.3, 1.3), METAL)
    c.shape(polygon([(14, 71), (91, 71), (92, 80), (88, 82), (38, 82), (36, 79), (34, 82), (14, 82)]), BLACK)
    for step in range(8):
        x = 42 + 6 * step
        c.shape(box(x, 80, x + 4, 85), BLACK)
    c.shape(box(14, 80, 33, 86), BLACK)


def heel(c: Canvas) -> None:
    """Draw a high-heeled shoe."""
    c.floor(70, 82)
    tall = c.vary(0.0, 6.0)
    top = 36.0 - tall
    c.shape(polygon([(18, top + 14), (25, top + 16), (19.5, 84), (16.5, 84)]), c.dark)
    c.shape(
        curve(
            [
                (15, top),
                (26, top + 12),
                (46, 60),
                (70, 76),
                (92, 80),
                (90, 83),
                (66, 82),
                (44, 72),
                (24, top + 24),
                (15, top + 18),
            ]
        ),
        mixed(c.dark, BLACK, 0.3),
    )
    c.body(
        curve(
            [
                (14, top - 2),
                (17, top - 4),
                (26, top + 10),
                (42, 54),
                (60, 66),
                (66, 63),
                (76, 68),
                (94, 80),
                (92, 82.5),
                (66, 80),
                (44, 68),
                (28, top + 22),
                (18, top + 20),
            ]
        )
    )
    c.shape(
        curve([(17, top - 2), (27, top + 12), (43, 56), (60, 68), (56, 68), (40, 58), (24, top + 14)]),
        mixed(c.light, (230, 200, 170), 0.6),
    )
    if c.choose(0, 1):
        c.line(curve([(22, top + 8), (36, top + 2), (42, top + 12), (38, 48)], closed=False), c.dark, 1.6)


def loafer(c: Canvas) -> None:
    """Draw a loafer."""
    c.floor(78, 82)
    c.shape(curve([(16, 48), (30, 46), (50, 48), (54, 56), (30, 58), (16, 56)]), mixed(c.dark, BLACK, 0.55))
    c.body(
        curve(
            [
                (12, 48),
                (16, 46),
                (28, 54),
                (42, 56),
                (50, 46),
                (58, 44),
                (74, 54),
                (90, 62),
                (93, 72),
                (93, 72),
                (11, 72),
                (11, 72),
            ]
        )
    )
    c.line(curve([(52, 50), (66, 54), (80, 60), (88, 68)], closed=False), c.dark, 1.4)
    c.shape(polygon([(44, 56), (54, 47), (62, 50), (54, 66), (46, 66)]), c.dark)
    c.shape(polygon([(49, 57), (54, 52), (57, 53), (52, 60)]), mixed(c.base, BLACK, 0.7))
    c.shape(polygon([(10, 71), (94, 71), (94, 76), (36, 77), (34, 83), (10, 83)]), mixed(BLACK, c.dark, 0.25))


def sandal(c: Canvas) -> None:
    """Draw a sandal."""
    c.floor(80, 82)
    cork = (204, 164, 112)
    c.body(curve([(14, 60), (12, 34), (17, 33), (21, 60)]))
    c.body(curve([(14, 40), (30, 36), (44, 48), (42, 52), (30, 42), (15, 46)]))
    c.body(curve([(38, 66), (42, 48), (52, 46), (58, 50), (52, 66)]))
    c.body(curve([(66, 68), (68, 54), (78, 52), (86, 58), (82, 70)]))
    c.shape(curve([(9, 62), (26, 60), (50, 66), (80, 68), (94, 66), (94, 72), (60, 75), (9, 74)]), cork, (150, 112, 70))
    c.shape(curve([(9, 72), (50, 75), (94, 70), (93, 77), (60, 80), (10, 80)]), BLACK)
    c.shape(box(44, 52, 50, 59, 1), METAL)
    c.shape(box(45.5, 53.5, 48.5, 57.5, 1), c.dark)
