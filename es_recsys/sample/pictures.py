"""A product's picture, drawn from its kind, colour, pattern and material."""

from __future__ import annotations

from es_recsys.errors import InputError
from es_recsys.sample.chance import pick, stream
from es_recsys.sample.drawing import DRAWINGS, Canvas
from es_recsys.sample.drawing.cloth import Rgb
from es_recsys.sample.kinds import kinds_by_leaf, vocabulary
from es_recsys.types import Item

__all__ = ["picture"]

_GRAINS = {
    "knit": ("wool", "knit", "cashmere", "alpaca", "boucle", "lambswool"),
    "wood": ("oak", "wood", "walnut", "bamboo"),
    "fur": ("mohair", "plush", "cork", "tweed"),
}


def picture(item: Item) -> bytes:
    """Draw the item's picture as a JPEG of 176 by 176 pixels, a few kilobytes.

    Pure: the item alone decides, small variations come from its id. The encoded bytes are the same for one version of Pillow;
    the drawing is the same for all.
    Raises InputError for an item that is not of the sample's kinds.
    """
    kind = kinds_by_leaf().get(item.categories[-1]) if item.categories else None
    if kind is None:
        raise InputError(f"There is no drawing for item {item.item_id}.", "Draw only items of the sample store.")
    rng = stream("picture", item.item_id)
    colours = vocabulary().colours
    base = colours[str(item.attributes.get("colour", "grey"))].rgb
    material = str(item.attributes.get("material", ""))
    grain = next((name for name, words in _GRAINS.items() if any(word in material for word in words)), "plain")
    quiet = item.attributes.get("pattern") in ("pinstripe", "cable", "quilted", "ribs")
    accent = (
        _shade(base) if quiet else pick(rng, [colour.rgb for colour in colours.values() if _contrast(colour.rgb, base) > 110])
    )
    canvas = Canvas(base, accent, str(item.attributes.get("pattern", "plain")), grain, rng)
    DRAWINGS[kind.drawing](canvas)
    return canvas.jpeg()


def _luma(colour: Rgb) -> float:
    return 0.3 * colour[0] + 0.59 * colour[1] + 0.11 * colour[2]


def _contrast(one: Rgb, other: Rgb) -> float:
    return abs(_luma(one) - _luma(other)) + 0.25 * sum(abs(a - b) for a, b in zip(one, other, strict=True))


def _shade(base: Rgb) -> Rgb:
    """Return the base, darker where it is light and lighter where it is dark."""
    target = 30 if _luma(base) > 90 else 190
    red, green, blue = (round(0.6 * part + 0.4 * target) for part in base)
    return red, green, blue
