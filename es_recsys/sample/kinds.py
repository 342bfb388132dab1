"""The kinds of product and the words of the sample store, read from the TOML files beside."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

__all__ = ["DEPARTMENTS", "Brand", "Colour", "Kind", "Style", "Vocabulary", "kinds", "kinds_by_leaf", "read_toml", "vocabulary"]

DEPARTMENTS = ("Shoes", "Clothing", "Bags", "Home", "Kitchen", "Electronics", "Outdoor", "Toys")


def read_toml(name: str) -> dict[str, Any]:
    """Read a TOML file of this package."""
    return tomllib.loads(files(__package__).joinpath(name).read_text(encoding="utf-8"))


@dataclass(frozen=True, slots=True)
class Kind:
    """A leaf of the category tree.

    nouns stand in titles; `also` are synonyms, in a few descriptions and in queries; `asked` are needs, in queries only;
    broad words find several kinds. price: lowest and highest, in the store's currency. weight: the same in grams.
    goes_with: leaves bought together with this one. heard: whether its items have sounds.
    """

    category: tuple[str, ...]
    drawing: str
    nouns: tuple[str, ...]
    also: tuple[str, ...]
    asked: tuple[str, ...]
    broad: tuple[str, ...]
    price: tuple[float, float]
    weight: tuple[float, float]
    materials: tuple[str, ...]
    patterns: tuple[str, ...]
    styles: tuple[str, ...]
    features: tuple[str, ...]
    uses: tuple[str, ...]
    tags: tuple[str, ...]
    goes_with: tuple[str, ...]
    colours: tuple[str, ...] = ()
    audiences: tuple[str, ...] = ()
    heard: bool = False
    plural: bool = False

    @property
    def leaf(self) -> str:
        return self.category[-1]

    @property
    def department(self) -> str:
        return self.category[0]


@dataclass(frozen=True, slots=True)
class Brand:
    """A brand of the sample store. level: price level 0, 1 or 2."""

    name: str
    level: int
    style: str
    departments: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Colour:
    """A colour of products: its RGB value (0..255 each) and its words."""

    rgb: tuple[int, int, int]
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Style:
    """A style of products: its words, and names of product lines."""

    words: tuple[str, ...]
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Words and sentence patterns that all kinds share."""

    brands: tuple[Brand, ...]
    models: tuple[str, ...]
    endings: tuple[str, ...]
    openers: tuple[str, ...]
    bodies: tuple[str, ...]
    makes: tuple[str, ...]
    hints: tuple[str, ...]
    closers: tuple[str, ...]
    colours: Mapping[str, Colour]
    styles: Mapping[str, Style]
    patterns: Mapping[str, str]
    audiences: Mapping[str, tuple[str, ...]]


def _frozen(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in row.items()}


@cache
def vocabulary() -> Vocabulary:
    """Return the vocabulary of the sample store."""
    raw = read_toml("vocabulary.toml")
    lists = {name: tuple(value) for name, value in raw.items() if isinstance(value, list) and name != "brands"}
    return Vocabulary(
        brands=tuple(Brand(name, level, style, tuple(where)) for name, level, style, where in raw["brands"]),
        colours={name: Colour(**_frozen(row)) for name, row in raw["colours"].items()},
        styles={name: Style(**_frozen(row)) for name, row in raw["styles"].items()},
        patterns=raw["patterns"],
        audiences={name: tuple(words) for name, words in raw["audiences"].items()},
        **lists,
    )


@cache
def kinds() -> tuple[Kind, ...]:
    """Return all kinds, one department after the other."""
    every = tuple(vocabulary().colours)
    rows = [row for name in DEPARTMENTS for row in read_toml(f"kinds/{name.lower()}.toml")["kind"]]
    return tuple(Kind(**{"colours": every, **_frozen(row)}) for row in rows)


@cache
def kinds_by_leaf() -> Mapping[str, Kind]:
    """Return leaf category -> kind."""
    return {kind.leaf: kind for kind in kinds()}
