"""Surfaces: patterns, light and grain, backgrounds. The costly parts are made once."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from es_recsys.sample.drawing.outlines import star

__all__ = ["SIZE", "Rgb", "background", "cloth", "mixed", "shadow"]

SIZE = 352  # of the drawing; the picture has half of it, so that edges are smooth

Rgb = tuple[int, int, int]

_GROUNDS: tuple[Rgb, ...] = (
    (250, 249, 247), (244, 246, 248), (248, 243, 236), (240, 243, 239), (246, 240, 242), (238, 240, 244),
)  # fmt: skip


def mixed(one: Rgb, other: Rgb, part: float) -> Rgb:
    """Mix `part` of `other` into `one`."""
    a, b, c = (round(x + (y - x) * part) for x, y in zip(one, other, strict=True))
    return a, b, c


def cloth(base: Rgb, accent: Rgb, pattern: str, grain: str) -> Image.Image:
    """Return (SIZE, SIZE) RGB: the pattern in two colours, lit from the upper left."""
    plain = Image.new("RGB", (SIZE, SIZE), base)
    mask = _pattern(pattern)
    if mask is not None:
        plain.paste(accent, mask=mask)
    return ImageChops.multiply(plain, _light(grain))


@cache
def background(number: int) -> Image.Image:
    """Return a light studio ground, a little darker towards the floor."""
    ground = np.array(_GROUNDS[number % len(_GROUNDS)], np.float64)
    y = np.linspace(0.0, 1.0, SIZE)[:, None]
    x = np.linspace(-1.0, 1.0, SIZE)[None, :]
    fall = 1.0 - 0.10 * np.clip(y - 0.55, 0.0, None) / 0.45 - 0.03 * x**2
    return Image.fromarray(np.clip(ground * fall[:, :, None], 0, 255).astype(np.uint8), "RGB")


@cache
def shadow(wide: int, low: int) -> tuple[Image.Image, int]:
    """Return the mask of a soft shadow on the floor and its first row; wide, low: width and height in percent of the picture."""
    mask = Image.new("L", (SIZE, SIZE), 0)
    half = wide / 100 * SIZE / 2
    box = (SIZE / 2 - half, (low - 3) / 100 * SIZE, SIZE / 2 + half, (low + 4) / 100 * SIZE)
    ImageDraw.Draw(mask).ellipse(box, fill=95)
    top = (low - 12) * SIZE // 100
    return mask.filter(ImageFilter.GaussianBlur(9)).crop((0, top, SIZE, SIZE)), top


@cache
def _light(grain: str) -> Image.Image:
    y, x = np.mgrid[0:SIZE, 0:SIZE] / SIZE
    light = 1.06 - 0.24 * (0.55 * x + 0.45 * y) - 0.08 * np.clip(x - 0.7, 0.0, None)
    if grain == "knit":
        light = light * (1.0 - 0.10 * (np.sin(2 * math.pi * 34 * x) > 0.2) * (np.sin(2 * math.pi * 46 * y) > -0.4))
    elif grain == "wood":
        light = light * (1.0 - 0.07 * (1 + np.sin(2 * math.pi * (9 * y + 0.8 * np.sin(3 * x)))) / 2)
    elif grain == "fur":
        noise = np.random.Generator(np.random.PCG64(1)).random((SIZE // 8, SIZE // 8))
        light = light * (0.95 + 0.06 * np.kron(noise, np.ones((8, 8))))
    grey = Image.fromarray(np.clip(light * 240, 0, 255).astype(np.uint8), "L")
    return Image.merge("RGB", (grey, grey, grey))


@cache
def _pattern(name: str) -> Image.Image | None:
    """Return the mask of how much of the second colour there is."""
    y, x = np.mgrid[0:SIZE, 0:SIZE] / SIZE
    drawn = {
        "stripes": lambda: (y * 14) % 1 < 0.42,
        "pinstripe": lambda: (x * 30) % 1 < 0.13,
        "chevron": lambda: (y * 10 + 0.5 * np.abs((x * 10) % 2 - 1)) % 1 < 0.4,
        "checks": lambda: 0.5 * ((x * 11) % 1 < 0.45) + 0.5 * ((y * 11) % 1 < 0.45),
        "dots": lambda: ((x * 12) % 1 - 0.5) ** 2 + ((y * 12 + 0.5 * ((x * 12) // 1 % 2)) % 1 - 0.5) ** 2 < 0.075,
        "blocks": lambda: (y < 0.44) & (x + 0.25 * y > 0),
        "ribs": lambda: (x * 22) % 1 < 0.22,
        "quilted": lambda: (np.abs(((x + y) * 9) % 1 - 0.5) < 0.045) | (np.abs(((x - y) * 9) % 1 - 0.5) < 0.045),
        "cable": lambda: np.abs(((x * 7) % 1 - 0.5) - 0.25 * np.sin(2 * math.pi * 9 * y)) < 0.1,
        "fairisle": lambda: (np.abs(y - 0.42) < 0.085) & (np.abs((x * 16) % 1 - 0.5) + np.abs((y * 12) % 1 - 0.5) < 0.45),
    }
    if name in drawn:
        return Image.fromarray((drawn[name]() * 255).astype(np.uint8), "L")
    return _motifs(name) if name in ("floral", "print") else None


def _motifs(name: str) -> Image.Image:
    mask = Image.new("L", (SIZE, SIZE), 0)
    pen = ImageDraw.Draw(mask)
    if name == "print":
        pen.polygon([tuple(point) for point in (star(50, 50, 13) * SIZE / 100).tolist()], fill=255)
        return mask
    step = SIZE / 8
    for row in range(9):
        for column in range(9):
            x, y = (column + 0.5 * (row % 2)) * step, row * step
            for petal in range(5):
                px, py = x + 7 * math.cos(petal * 1.257), y + 7 * math.sin(petal * 1.257)
                pen.ellipse((px - 5, py - 5, px + 5, py + 5), fill=255)
            pen.ellipse((x - 3, y - 3, x + 3, y + 3), fill=0)
    return mask
