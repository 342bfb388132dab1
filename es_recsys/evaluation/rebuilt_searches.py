"""Searches rebuilt from what users did: what somebody took next, asked for by one of its names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from es_recsys.dataset import ItemTable
from es_recsys.evaluation.queries import EvalQuery, EvalSplit

__all__ = ["rebuilt_searches", "title_searches"]

_MOST_WORDS = 5
_SHORTEST_WORD = 4


def rebuilt_searches(split: EvalSplit, items: ItemTable, rng: np.random.Generator) -> EvalSplit:
    """Return the users of a split as searches for one of the items that they took next, drawn by `rng`.

    split: recommendations with their targets, as `as_queries` returns. The text is a category, the brand, a tag, a word of an
    attribute (a creator, a colour), the title or a word of it, each kind as likely where the item has one. Of the targets those
    that have the same name are relevant. What the user has seen is left out, since nothing of it can be a target.
    """
    names = _names(items)
    rows = {item_id: row for row, item_id in enumerate(items.item_ids.tolist())}
    found = []
    for one in split.queries:
        targets = {item_id: grade for item_id, grade in one.grades.items() if item_id in rows}
        kinds = [own[rows[sorted(targets)[int(rng.integers(len(targets)))]]] for own in names.values()] if targets else []
        kinds = [own for own in kinds if own]
        if not kinds:
            continue
        own = kinds[int(rng.integers(len(kinds)))]
        text = own[int(rng.integers(len(own)))]
        grades = {i: grade for i, grade in targets.items() if any(text in kind[rows[i]] for kind in names.values())}
        query = one.query.model_copy(update={"text": text, "exclude": one.seen})
        found.append(EvalQuery(query, grades, one.actor, one.history, one.seen, one.timestamp))
    return replace(split, kind=f"{split.kind}, asked by name", queries=tuple(found))


def title_searches(split: EvalSplit, items: ItemTable, rng: np.random.Generator, queries: int) -> tuple[EvalQuery, ...]:
    """Return users of a split, drawn by `rng`, as searches for whole titles; items of that title are relevant."""
    own: dict[str, dict[str, float]] = {}
    for item_id, title in zip(items.item_ids.tolist(), items.titles, strict=True):
        own.setdefault(title.strip().lower(), {})[item_id] = 1.0
    titles = sorted(own.keys() - {""})
    drawn = [titles[i] for i in rng.permutation(len(titles))[:queries].tolist()]
    users = [split.queries[i] for i in rng.integers(len(split), size=len(drawn)).tolist()]
    return tuple(
        replace(one, query=one.query.model_copy(update={"text": title, "exclude": frozenset()}), grades=own[title])
        for one, title in zip(users, drawn, strict=True)
    )


def _names(items: ItemTable) -> Mapping[str, Sequence[tuple[str, ...]]]:
    """Return kind of name -> the names of each item that somebody may ask for. What one item alone has names no kind of items."""
    several = {"categories": items.categories, **items.attributes}
    found = {kind: _shared(values) for kind, values in several.items()}
    found["brand"] = [(brand,) if brand else () for brand in items.brands]
    found["title"] = [(title,) if title else () for title in items.titles]
    found["title words"] = _shared(
        [tuple(word for word in title.split() if len(word) >= _SHORTEST_WORD) for title in items.titles]
    )
    return found


def _shared(values: Sequence[tuple[str, ...]]) -> list[tuple[str, ...]]:
    count = Counter(name for own in values for name in set(own))
    return [tuple(name for name in own if count[name] > 1 and len(name.split()) <= _MOST_WORDS) for own in values]
