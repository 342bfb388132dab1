"""How shoppers put what they want into words: plain names, synonyms, needs, broad words; with colours, brands, prices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from es_recsys.sample.chance import pick
from es_recsys.sample.kinds import Kind, vocabulary
from es_recsys.sample.tastes import Shopper

__all__ = ["SampleQuery", "draw_query"]


@dataclass(frozen=True, slots=True)
class SampleQuery:
    """A query. scope: the leaf or the broad word whose items the shop finds; wants: trait -> value that it names."""

    text: str
    scope: str
    wants: dict[str, str]


def draw_query(kind: Kind, shopper: Shopper, rng: np.random.Generator) -> SampleQuery:
    """Draw the query of a shopper who wants an item of this kind."""
    draw = rng.random()
    if draw < 0.2:
        return SampleQuery(_slip(pick(rng, kind.asked), rng), kind.leaf, {})
    if draw < 0.4:
        words, scope = pick(rng, kind.broad), ""
    else:
        words, scope = pick(rng, kind.nouns if draw < 0.75 else kind.also), kind.leaf
    text, wants = _narrowed(words.lower(), kind, shopper, rng)
    return SampleQuery(_slip(text, rng), scope or words, wants)


def _narrowed(words: str, kind: Kind, shopper: Shopper, rng: np.random.Generator) -> tuple[str, dict[str, str]]:
    """Add one detail at most before the words, one after."""
    wants: dict[str, str] = {}
    draw, after = rng.random(), rng.random()
    if draw < 0.2:
        wants["colour"] = _favourite(shopper.colours, rng)
        words = f"{pick(rng, vocabulary().colours[wants['colour']].words)} {words}"
    elif draw < 0.3:
        wants["style"] = _favourite(shopper.styles, rng)
        words = f"{pick(rng, vocabulary().styles[wants['style']].words)} {words}"
    elif draw < 0.36:
        wants["brand"] = _favourite(shopper.brands, rng)
        words = f"{wants['brand'].lower()} {words}"
    elif draw < 0.46:
        words = f"{pick(rng, ('cheap', 'affordable') if shopper.level < 0.5 else ('luxury', 'designer', 'high-end'))} {words}"
    if after < 0.12:
        words = f"{words} for {pick(rng, kind.uses)}"
    elif after < 0.22 and kind.audiences:
        wants["audience"] = _favourite({name: shopper.audiences.get(name, 0.0) for name in ("women", "men", "kids")}, rng)
        words = f"{words} for {pick(rng, vocabulary().audiences[wants['audience']])}"
    return words, wants


def _favourite(preferences: Mapping[str, float], rng: np.random.Generator) -> str:
    return pick(rng, [name for name, liking in preferences.items() if liking > 0.0])


def _slip(text: str, rng: np.random.Generator) -> str:
    """Swap two letters of one query in thirty."""
    draw, position = rng.random(), 1 + int(rng.random() * max(len(text) - 3, 1))
    if draw > 1.0 / 30.0 or position + 1 >= len(text):
        return text
    return text[:position] + text[position + 1] + text[position] + text[position + 2 :]
