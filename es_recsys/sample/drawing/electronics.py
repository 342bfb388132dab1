"""Electric things."""

from __future__ import annotations

from es_recsys.sample.drawing.canvas import BLACK, METAL, WHITE, WOOD, Canvas
from es_recsys.sample.drawing.cloth import mixed
from es_recsys.sample.drawing.outlines import box, curve, oval, polygon, spoke

__all__ = ["camera", "headphones", "keyboard", "speaker", "watch"]


def headphones(c: Canvas) -> None:
    """Draw a pair of headphones."""
    c.line(oval(50, 50, 34, 37, 178, 362), c.dark, 8.0)
    c.line(oval(50, 50, 34, 37, 182, 358), c.base, 5.6)
    c.line(oval(50, 51, 29.5, 32.5, 205, 335), mixed(BLACK, c.base, 0.25), 3.0)
    for side in (-1, 1):
        x = 50 + side * 33
        c.line(polygon([(x, 44), (x, 56)]), METAL, 2.4)
        c.shape(
            curve([(x - side * 3, 46), (x - side * 13, 50), (x - side * 14, 68), (x - side * 12, 84), (x - side * 3, 88)]),
            mixed(BLACK, c.base, 0.12),
            BLACK,
        )
        c.body(curve([(x - side * 3, 46), (x + side * 6, 50), (x + side * 10, 66), (x + side * 6, 84), (x - side * 3, 88)]))
        c.line(oval(x + side * 2.5, 67, 3, 11), c.light, 1.0)


def speaker(c: Canvas) -> None:
    """Draw a loudspeaker."""
    c.floor(54)
    top = c.choose(8.0, 14.0, 22.0)
    c.body(box(26, top, 74, 88, 4))
    c.shape(box(29.5, top + 3.5, 70.5, 84.5, 3), mixed(BLACK, c.base, 0.15))
    low = 66.0
    c.shape(oval(50, low, 16, 16), (70, 70, 76), METAL)
    c.shape(oval(50, low, 12.5, 12.5), (46, 46, 50))
    c.shape(oval(50, low, 5, 5), (96, 96, 102), BLACK)
    high = (top + low - 16) / 2 + 2
    c.shape(oval(50, high, 8, 8), (70, 70, 76), METAL)
    c.shape(oval(50, high, 3.6, 3.6), (150, 150, 156), BLACK)
    c.shape(oval(66, 81, 1.3, 1.3), (90, 200, 120))


def camera(c: Canvas) -> None:
    """Draw a camera."""
    c.floor(84, 80)
    c.shape(box(20, 25, 32, 32, 1.5), METAL, (100, 100, 106))
    c.shape(box(68, 24, 80, 32, 1.5), METAL, (100, 100, 106))
    c.shape(polygon([(38, 30), (42, 19), (58, 19), (62, 30)]), mixed(BLACK, c.base, 0.2), BLACK)
    c.shape(box(10, 29, 90, 80, 5), mixed(METAL, BLACK, 0.1), (86, 88, 94))
    c.body(box(10, 40, 90, 72, 2))
    c.shape(oval(50, 55, 24, 24), BLACK, METAL)
    c.shape(oval(50, 55, 19, 19), (62, 62, 68), (110, 110, 116))
    c.shape(oval(50, 55, 13, 13), (26, 32, 54), BLACK)
    c.shape(oval(50, 55, 8, 8), (44, 64, 116))
    c.shape(oval(45, 50, 3.4, 3.4), (196, 214, 240))
    c.shape(oval(26, 24.5, 4, 1.8), (196, 60, 50))
    c.shape(box(72, 33, 84, 38, 1), (220, 232, 240), BLACK)


def keyboard(c: Canvas) -> None:
    """Draw a keyboard."""
    c.body(box(4, 32, 96, 70, 4))
    keys = mixed(c.base, WHITE, 0.72) if sum(c.base) < 420 else (70, 72, 80)
    edge = mixed(keys, BLACK, 0.35)
    for row in range(4):
        count = 13 - (row % 2)
        wide = 86 / count
        for column in range(count):
            left = 7 + wide * column
            fill = c.accent if (row, column) in ((0, 0), (1, count - 1)) else keys
            c.shape(box(left + 0.5, 35 + 7 * row, left + wide - 0.5, 41 + 7 * row, 0.8), fill, edge)
    for left, right, fill in ((7, 16, keys), (17, 26, keys), (27, 69, keys), (70, 79, keys), (80, 93, c.accent)):
        c.shape(box(left + 0.5, 62.5, right, 67.5, 0.8), fill, edge)


def watch(c: Canvas) -> None:
    """Draw a wristwatch."""
    for strap in (polygon([(39, 34), (61, 34), (58, 2), (42, 2)]), polygon([(39, 66), (61, 66), (58, 98), (42, 98)])):
        c.body(strap)
    for y in (78, 83, 88):
        c.shape(oval(50, y, 1.0, 1.0), BLACK)
    square = c.choose(0, 1, 1) == 0
    case = mixed(METAL, (214, 178, 96), c.choose(0.0, 0.8))
    c.shape(box(75, 46, 80, 54, 1), case, BLACK)
    c.shape(box(28, 27, 72, 73, 9) if square else oval(50, 50, 26, 26), case, (96, 90, 80))
    if square:
        c.shape(box(32, 31, 68, 69, 6), (24, 26, 32), BLACK)
        c.line(oval(50, 50, 13, 13, -90, 170), c.accent if sum(c.accent) > 200 else (90, 220, 120), 3.0)
        c.line(polygon([(44, 48), (49, 55), (58, 43)]), WHITE, 2.0)
        return
    dial = WHITE if c.choose(0, 1) else (28, 34, 52)
    ink = BLACK if dial == WHITE else WHITE
    c.shape(oval(50, 50, 21.5, 21.5), dial, BLACK)
    for hour in range(12):
        c.line(spoke(50, 50, 30 * hour, 17, 20), ink, 1.2)
    c.line(polygon([(50, 50), (42, 43)]), ink, 2.0)
    c.line(polygon([(50, 50), (62, 39)]), ink, 1.4)
    c.line(curve([(50, 50), (52, 58), (50, 66)], closed=False), WOOD, 0.7)
