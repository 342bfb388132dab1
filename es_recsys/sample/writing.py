"""Titles and descriptions by grammar: sentence patterns filled from a kind's own words."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from es_recsys.sample.chance import pick, sample
from es_recsys.sample.kinds import Kind, Vocabulary

__all__ = ["Look", "describe", "title"]

_SMALL = frozenset({"a", "an", "and", "by", "for", "in", "of", "the", "to", "with"})


@dataclass(frozen=True, slots=True)
class Look:
    """What a product is like, before it is put into words. `noun`, `colour_word` are the ones this product uses."""

    kind: Kind
    brand: str
    model: str
    noun: str
    colour: str
    colour_word: str
    material: str
    pattern: str
    style: str
    audience: str | None


def title(look: Look, words: Vocabulary, rng: np.random.Generator) -> str:
    """Write one of several forms, so that brand, colour, material, use and audience are each in some titles only."""
    adjective = pick(rng, words.styles[look.style].words)
    forms = [
        f"{look.brand} {look.model} {look.noun}",
        f"{look.brand} {look.model} {look.colour_word} {look.noun}",
        f"{look.model} {look.noun} in {look.colour_word} {look.material}",
        f"{look.brand} {adjective} {look.noun}, {look.colour_word}",
        f"{adjective} {look.noun} by {look.brand}",
        f"{look.model} {look.noun} for {pick(rng, look.kind.uses)}",
    ]
    if look.audience in ("women", "men", "kids"):
        whose = pick(rng, words.audiences[look.audience])
        forms += [
            f"{look.brand} {look.model} {look.noun} for {whose}",
            f"{adjective} {look.noun} for {whose}, {look.colour_word}",
        ]
    return _title_case(pick(rng, forms))


def describe(look: Look, words: Vocabulary, rng: np.random.Generator) -> str:
    """Write three to six sentences: what for, what is special, what of, how it looks; sometimes a synonym and a closing line."""
    uses, features = sample(rng, look.kind.uses, 2), sample(rng, look.kind.features, 3)
    several = look.kind.plural
    slots = {
        "noun": look.noun,
        "Noun": _capital(look.noun),
        "brand": look.brand,
        "model": look.model,
        "use": uses[0],
        "use2": uses[1],
        "feature": features[0],
        "feature2": features[1],
        "Feature": _capital(features[0]),
        "Feature2": _capital(features[1]),
        "material": look.material,
        "colour": look.colour_word,
        "Colour": _capital(look.colour_word),
        "pattern": words.patterns[look.pattern],
        "also": pick(rng, look.kind.also) if several else _with_article(pick(rng, look.kind.also)),
        "These": "These" if several else "This",
        "these": "these" if several else "this",
        "are": "are" if several else "is",
        "do": "do" if several else "does",
        "come": "come" if several else "comes",
        "They": "They" if several else "It",
        "them": "them" if several else "it",
    }
    lines = [pick(rng, words.openers), pick(rng, words.bodies), pick(rng, words.makes)]
    if rng.random() < 0.75:
        lines.append(pick(rng, words.styles[look.style].lines))
    if rng.random() < 0.3:
        lines.append(pick(rng, words.hints))
    if rng.random() < 0.35:
        lines.append(f"{_capital(features[2])}.")
    if rng.random() < 0.3:
        lines.append(pick(rng, words.closers))
    return " ".join(line.format_map(slots) for line in lines)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _with_article(noun: str) -> str:
    if noun in ("knitwear", "stemware"):
        return noun
    return f"{'an' if noun[0].lower() in 'aeiou' and not noun.lower().startswith('u') else 'a'} {noun}"


def _title_case(text: str) -> str:
    # A word with a capital of its own (a brand, "T-shirt") keeps it; "T-shirt" as a heading is "T-Shirt".
    parts = text.split(" ")
    return " ".join(part if idx and part in _SMALL else _headed(part) for idx, part in enumerate(parts))


def _headed(word: str) -> str:
    return "-".join(_capital(piece) for piece in word.split("-"))
