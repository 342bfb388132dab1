"""The shoppers of the sample store: variations of a few personas, and two named opposites first."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from es_recsys.sample.chance import normal, pick, sample, stream, weighted
from es_recsys.sample.kinds import Kind, kinds, kinds_by_leaf, read_toml, vocabulary
from es_recsys.sample.tastes import Shopper

__all__ = ["make_shoppers"]

_CONTRARY = {
    "sporty": "elegant",
    "rugged": "elegant",
    "elegant": "rugged",
    "classic": "playful",
    "vintage": "minimal",
    "minimal": "vintage",
    "playful": "classic",
    "casual": "elegant",
}
_FIRST_NAMES = "Ada Ben Cleo Dario Edda Felix Greta Hugo Ines Jonas Kira Leo Mona Nils Olga Paul"
_LAST_NAMES = "Ash Brook Croft Dale Elm Field Glen Hill Ivy Lane Moss Pond Reed Stone Vale Wood"

_VISITS, _OFTEN = 9.5, 14.0  # in 60 days: of shoppers in the middle, and of the opposites

Likings = dict[str, float]


def make_shoppers(seed: int, count: int, days: int, end: datetime) -> tuple[Shopper, ...]:
    """Make `count` shoppers, `u0001` first; the first two are the opposites."""
    personas = read_toml("personas.toml")
    period = ((end - timedelta(days=days)).timestamp(), end.timestamp())
    named = [_opposite(row, number, period) for number, row in enumerate(personas["opposite"])]
    others = [_shopper(seed, number, personas["persona"], period) for number in range(len(named), count)]
    return (*named, *others)[:count]


def _user_id(number: int) -> str:
    return f"u{number + 1:04d}"


def _opposite(row: dict[str, Any], number: int, period: tuple[float, float]) -> Shopper:
    return Shopper(user_id=_user_id(number), later=row["kinds"], visits=_OFTEN, start=period[0], end=period[1], **row)


def _shopper(seed: int, number: int, personas: list[dict[str, Any]], period: tuple[float, float]) -> Shopper:
    rng = stream(seed, "shopper", number)
    persona = weighted(rng, personas, [row["share"] for row in personas])
    first, later = _kinds(persona, rng)
    level = min(max(normal(rng, persona["level"], 0.12), 0.0), 1.0)
    styles = _styles(persona, rng)
    return Shopper(
        user_id=_user_id(number),
        name=f"{pick(rng, _FIRST_NAMES.split())} {pick(rng, _LAST_NAMES.split())}",
        persona=persona["name"],
        kinds=first,
        later=later,
        brands=_brands([kinds_by_leaf()[leaf] for leaf in (*first, *later) if first.get(leaf, 0.0) >= 0.0], styles, level, rng),
        colours=_colours(persona, rng),
        styles=styles,
        audiences=_audiences(persona, rng),
        level=level,
        visits=_VISITS * math.exp(normal(rng, 0.0, 0.42)),
        start=period[0],
        end=period[1],
    )


def _kinds(persona: dict[str, Any], rng: np.random.Generator) -> tuple[Likings, Likings]:
    """Draw the preferences at the first and at the last moment; half of the shoppers turn to something new."""
    own = sample(rng, persona["kinds"], 5)
    first = dict(zip(own[:4], (1.0, 0.85, 0.7, 0.55), strict=True))
    strange = [kind.leaf for kind in kinds() if kind.leaf not in persona["kinds"] and kind.leaf not in persona["avoids"]]
    extra = sample(rng, strange, 3)
    first[extra[0]] = 0.4 + 0.4 * rng.random()
    first |= dict.fromkeys(persona["avoids"], -0.9)
    later = dict(first)
    if rng.random() < 0.5:
        later[own[0]], later[own[4]], later[extra[1]] = 0.2, 0.9, 0.3 + 0.5 * rng.random()
    return first, later


def _styles(persona: dict[str, Any], rng: np.random.Generator) -> Likings:
    best, second = persona["styles"]
    if rng.random() < 0.25:
        second = pick(rng, tuple(_CONTRARY))
    # Set in this order, so that a favourite is never also disliked.
    return {_CONTRARY[best]: -0.8, second: 0.6, best: 1.0}


def _colours(persona: dict[str, Any], rng: np.random.Generator) -> Likings:
    best, second = sample(rng, persona["colours"], 2)
    return {pick(rng, tuple(vocabulary().colours)): -0.6, second: 0.7, best: 1.0}


def _audiences(persona: dict[str, Any], rng: np.random.Generator) -> Likings:
    own, other = ("women", "men") if rng.random() < 0.55 else ("men", "women")
    if "men" in persona.get("audiences", ()):
        own, other = "men", "women"
    children = 0.5 if "kids" in persona.get("audiences", ()) else -0.6
    return {own: 0.5, "unisex": 0.3, other: -0.9, "kids": children}


def _brands(wanted: list[Kind], styles: Likings, level: float, rng: np.random.Generator) -> Likings:
    """Draw four brands that fit the shopper's kinds, styles and purse, and one that they can't stand."""
    departments = {kind.department for kind in wanted}
    brands = [brand for brand in vocabulary().brands if departments & set(brand.departments)]
    fit = [styles.get(brand.style, 0.0) - abs(brand.level / 2.0 - level) + 0.8 * rng.random() for brand in brands]
    order = np.argsort(fit, kind="stable")
    liked = [brands[idx].name for idx in order[::-1][:4]]
    return {brands[order[0]].name: -0.8, **dict(zip(liked, (1.0, 0.8, 0.6, 0.5), strict=False))}
