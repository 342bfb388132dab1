"""A canvas of 0..100 by 0..100 for one product; what is drawn on it is turned, scaled and mirrored a little as a whole."""

from __future__ import annotations

import io
import math

import numpy as np
from PIL import Image, ImageDraw

from es_recsys.sample.chance import pick
from es_recsys.sample.drawing.cloth import SIZE, Rgb, background, cloth, mixed, shadow
from es_recsys.sample.drawing.outlines import Outline

__all__ = ["BLACK", "METAL", "WHITE", "WOOD", "Canvas"]

BLACK: Rgb = (36, 36, 40)
WHITE: Rgb = (250, 249, 246)
METAL: Rgb = (172, 178, 186)
WOOD: Rgb = (178, 128, 80)


class Canvas:
    """A picture while it is drawn.

    base: the product's colour; accent: a second one that stands out from it; dark, light: shades of the base.
    """

    def __init__(self, base: Rgb, accent: Rgb, pattern: str, grain: str, rng: np.random.Generator) -> None:
        self.base, self.accent = base, accent
        self.dark, self.light = mixed(base, (0, 0, 0), 0.35), mixed(base, (255, 255, 255), 0.45)
        self._rng = rng
        self._image = background(int(rng.random() * 6)).copy()
        self._cloth = cloth(base, accent, pattern, grain)
        self._pen = ImageDraw.Draw(self._image)
        turn, scale = math.radians(self.vary(-5.0, 5.0)), self.vary(0.9, 1.02)
        mirror = -1.0 if rng.random() < 0.35 else 1.0
        cos, sin = scale * math.cos(turn), scale * math.sin(turn)
        self._turn = np.array([[mirror * cos, mirror * sin], [-sin, cos]])
        self._shift = np.array([50.0 + self.vary(-2.5, 2.5), 50.0 + self.vary(-2.0, 2.0)])

    def vary(self, low: float, high: float) -> float:
        """Return a number that differs from product to product."""
        return low + (high - low) * self._rng.random()

    def choose(self, *values: float) -> float:
        return pick(self._rng, values)

    def floor(self, wide: int, low: int = 87) -> None:
        """Draw a shadow below what stands on the floor: how wide, and at what height."""
        mask, top = shadow(wide, low)
        self._image.paste((90, 90, 98), (0, top), mask)

    def body(self, outline: Outline, *, edge: bool = True) -> None:
        """Draw a part of the product's own stuff: its colour, pattern and light."""
        points = self._points(outline)
        # Only the part of the picture that the outline covers is touched: most of the time goes there.
        xs, ys = [x for x, _ in points], [y for _, y in points]
        left, top = max(int(min(xs)), 0), max(int(min(ys)), 0)
        area = (left, top, max(min(int(max(xs)) + 2, SIZE), left + 1), max(min(int(max(ys)) + 2, SIZE), top + 1))
        mask = Image.new("L", (area[2] - left, area[3] - top), 0)
        ImageDraw.Draw(mask).polygon([(x - left, y - top) for x, y in points], fill=255)
        self._image.paste(self._cloth.crop(area), area, mask)
        if edge:
            self._pen.line([*points, points[0]], fill=self.dark, width=3, joint="curve")

    def shape(self, outline: Outline, fill: Rgb, edge: Rgb | None = None) -> None:
        points = self._points(outline)
        self._pen.polygon(points, fill=fill)
        if edge is not None:
            self._pen.line([*points, points[0]], fill=edge, width=3, joint="curve")

    def line(self, outline: Outline, fill: Rgb, width: float = 1.0) -> None:
        """Draw a stroke; `width` in hundredths of the picture."""
        self._pen.line(self._points(outline), fill=fill, width=max(1, round(width * SIZE / 100)), joint="curve")

    def jpeg(self) -> bytes:
        small = self._image.reduce(2)
        file = io.BytesIO()
        small.save(file, "JPEG", quality=76)
        return file.getvalue()

    def _points(self, outline: Outline) -> list[tuple[float, float]]:
        turned = (outline - 50.0) @ self._turn.T + self._shift
        return [(x, y) for x, y in (turned * (SIZE / 100.0)).tolist()]
