"""The catalogue of the sample store."""

from __future__ import annotations

import math
from datetime import datetime, timedelta

import numpy as np

from es_recsys.sample.chance import normal, pick, stream, weighted
from es_recsys.sample.kinds import DEPARTMENTS, Brand, Kind, Vocabulary, kinds, vocabulary
from es_recsys.sample.writing import Look, describe, title
from es_recsys.types import AttributeValue, Item

__all__ = ["CURRENCY", "UNSEEN_DAYS", "make_items", "price_level"]

CURRENCY = "EUR"

# An item is shown to shoppers this many days after it was added; younger ones have no events.
UNSEEN_DAYS = 2.0

_LEVEL_SHARE = (0.15, 0.45, 0.82)


def make_items(seed: int, count: int, end: datetime) -> tuple[Item, ...]:
    """Make `count` items, `p0001` first. Every department is there from 8 items on, every kind from 43 on."""
    words = vocabulary()
    seen: set[str] = set()
    items = []
    for item_idx, kind in enumerate(_spread(seed, count)):
        rng = stream(seed, "item", item_idx)
        look = _look(kind, words, rng)
        items.append(_item(item_idx, count, look, _new_title(look, words, rng, seen), words, end, rng))
    return tuple(items)


def price_level(price: float, kind: Kind) -> float:
    """Return where a price lies within its kind's range: 0 lowest, 1 highest, logarithmic."""
    low, high = kind.price
    return min(max(math.log(max(price, 0.01) / low) / math.log(high / low), 0.0), 1.0)


def _spread(seed: int, count: int) -> list[Kind]:
    """Return the kind of each item: departments take turns, and the larger kinds get more."""
    rng = stream(seed, "kinds")
    by_department = [[kind for kind in kinds() if kind.department == name] for name in DEPARTMENTS]
    turns = [group[turn] for turn in range(max(map(len, by_department))) for group in by_department if turn < len(group)]
    shares = 0.75 + 0.5 * rng.random(len(turns))
    rest = np.cumsum(shares) / shares.sum() * max(count - len(turns), 0)
    extra = np.diff(np.floor(rest + 0.5), prepend=0.0).astype(int)
    filled = turns + [kind for kind, times in zip(turns, extra.tolist(), strict=True) for _ in range(times)]
    # Shuffled beyond the first of each kind, so that an item's number says nothing of what it is.
    tail = filled[len(turns) :]
    order = np.argsort(rng.random(len(tail)), kind="stable")
    return (turns + [tail[idx] for idx in order])[:count]


def _look(kind: Kind, words: Vocabulary, rng: np.random.Generator) -> Look:
    brand = _brand(kind, words, rng)
    style = brand.style if brand.style in kind.styles and rng.random() < 0.6 else pick(rng, kind.styles)
    colour = pick(rng, kind.colours)
    return Look(
        kind=kind,
        brand=brand.name,
        model=pick(rng, words.models) + pick(rng, words.endings),
        noun=pick(rng, kind.nouns),
        colour=colour,
        colour_word=words.colours[colour].words[int(rng.random() < 0.25)],
        material=pick(rng, kind.materials),
        pattern=pick(rng, kind.patterns),
        style=style,
        audience=pick(rng, kind.audiences) if kind.audiences else None,
    )


def _brand(kind: Kind, words: Vocabulary, rng: np.random.Generator) -> Brand:
    brands = [brand for brand in words.brands if kind.department in brand.departments]
    return weighted(rng, brands, [3.0 if brand.style in kind.styles else 0.1 for brand in brands])


def _new_title(look: Look, words: Vocabulary, rng: np.random.Generator, seen: set[str]) -> str:
    name = title(look, words, rng)
    for _ in range(8):
        if name not in seen:
            break
        name = title(look, words, rng)
    else:
        name = f"{name} No. {len(seen)}"
    seen.add(name)
    return name


def _item(item_idx: int, count: int, look: Look, name: str, words: Vocabulary, end: datetime, rng: np.random.Generator) -> Item:
    level = next(brand.level for brand in words.brands if brand.name == look.brand)
    available = rng.random() >= 0.04
    tags = (*look.kind.tags, look.style) if rng.random() < 0.7 else look.kind.tags
    item_id = f"p{item_idx + 1:0{max(4, len(str(count)))}d}"
    description, price = describe(look, words, rng), _price(look.kind, level, rng)
    created_at = _created(item_idx == count - 1, end, rng)
    attributes, stock = _attributes(look, available, rng)
    return Item(
        item_id=item_id,
        title=name,
        description=description,
        categories=look.kind.category,
        tags=tags,
        brand=look.brand,
        price=price,
        currency=CURRENCY,
        image=f"images/{item_id}.jpg",
        audio=f"sounds/{item_id}.wav" if look.kind.heard else None,
        created_at=created_at,
        stock=stock,
        attributes=attributes,
    )


def _attributes(look: Look, available: bool, rng: np.random.Generator) -> tuple[dict[str, AttributeValue], int]:
    """Return attributes, and the pieces in stock."""
    low, high = look.kind.weight
    attributes: dict[str, AttributeValue] = {
        "colour": look.colour,
        "material": look.material,
        "pattern": look.pattern,
        "style": look.style,
        "rating": round(min(max(normal(rng, 4.1, 0.45), 1.5), 5.0), 1),
        "reviews": int(math.exp(normal(rng, 3.0, 1.2))),
    }
    stock = int(1 + 120 * rng.random() ** 2) if available else 0
    attributes["weight_g"] = int(round(low * (high / low) ** rng.random(), -1))
    if look.audience:
        attributes["audience"] = look.audience
    return attributes, stock


def _price(kind: Kind, level: int, rng: np.random.Generator) -> float:
    low, high = kind.price
    share = min(max(normal(rng, _LEVEL_SHARE[level], 0.1), 0.0), 1.0)
    price = low * math.exp(share * math.log(high / low))
    if price < 100:
        return math.floor(price) + pick(rng, (0.0, 0.5, 0.9, 0.95))
    return float(5 * round(price / 5)) - pick(rng, (0.0, 0.0, 1.0))


def _created(newest: bool, end: datetime, rng: np.random.Generator) -> datetime:
    """Draw when an item was added in the last year: one in eight in the last three weeks, one in fifty in the last two days."""
    draw, age = rng.random(), rng.random()
    if newest or draw < 0.02:
        days = age * UNSEEN_DAYS * 0.95
    elif draw < 0.125:
        days = UNSEEN_DAYS + age * 19.0
    else:
        days = 21.0 + age * 344.0
    return (end - timedelta(days=days)).replace(microsecond=0)
