"""The legs of an answer: each a pure function from a Context to a query, or None where it has nothing to ask.

A new signal is a function here and its row in LEGS; a new vector field brings its legs with its row in `fields`.
Filters and exclusions stand inside each leg, so that all its candidates may be shown. A leg that answers the question
(words, a picture) looks through the whole catalogue. The others only re-order what it found, and where there are words
they also look among all items that match them: a profile re-orders a large category to its end, but brings in nothing
that was not asked for.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from es_recsys.search.context import Context, WeightedIds
from es_recsys.search.filters import Clause
from es_recsys.search.lexical import lexical_query, matching, reached
from es_recsys.search.products import any_of, told
from es_recsys.vector_fields import VECTOR_FIELDS

__all__ = [
    "INTEREST",
    "LEGS",
    "LEXICAL",
    "MAX_IDS",
    "NEW",
    "Body",
    "Leg",
    "active",
    "ask",
    "brings",
    "count_body",
    "fill",
    "interest_legs",
    "matches_body",
    "taste_vector",
]

Body = dict[str, Any]

MAX_IDS = 300
LEXICAL = "lexical"
"""Name of the leg that reads the words asked for."""

NEW = "fresh"
"""Name of the leg whose items exploration tries."""

INTEREST = "interest"
"""Name of an interest's leg, before its number; and of the weight that all of them share."""

_LONG_SHARE = 0.6
_MOST_CANDIDATES = 10_000


@dataclass(frozen=True, slots=True)
class Leg:
    """One signal.

    signal: its query, without filters. scale: how its `_score` becomes a number that can be added ("best": over the
    leg's best; "cosine": the cosine, from 0; "dot": the same where both are of length 1 and Elasticsearch is
    asked for the inner product; "inner": the inner product over the leg's best; "unit": as it is;
    "list": the client's own weights, over their largest). personal: whether it speaks of the user, so that personalization and
    damping weaken it. answers: whether it answers the question, and may bring in items that the words don't match.
    """

    name: str
    scale: str
    signal: Callable[[Context], Clause | None]
    personal: bool = False
    answers: bool = False

    @property
    def brings_nearest(self) -> bool:
        """Whether it is a vector of the question."""
        return self.answers and self.name != LEXICAL


def lexical(context: Context) -> Clause | None:
    """BM25 over the text fields (see `lexical`)."""
    return lexical_query(context.text, context.metadata.lexical) if context.text.strip() else None


def query_vector(field: str) -> Callable[[Context], Clause | None]:
    """Nearness to the question's own vector in `field`."""
    return lambda context: _near(context, field, context.vectors.get(field))


def taste(field: str) -> Callable[[Context], Clause | None]:
    """Nearness to the user's taste in `field`."""
    return lambda context: _near(context, field, taste_vector(context, field))


def factors(model: str) -> Callable[[Context], Clause | None]:
    """Inner product with the user's vector of a factor model."""
    return lambda context: _near(context, f"{model}_vector", context.factors.get(model))


def neighbours(model: str) -> Callable[[Context], Clause | None]:
    """The best items of a neighbours model."""
    return lambda context: _among(context.neighbours.get(model, ()))


def interest(place: int) -> Callable[[Context], Clause | None]:
    """Nearness to one of the user's interests."""

    def signal(context: Context) -> Clause | None:
        known = context.interests
        return None if known is None or place >= len(known) else _near(context, known.field, known.vectors[place])

    return signal


def popular(context: Context) -> Clause | None:
    """The most popular items."""
    return _among(context.popular)


def fresh(context: Context) -> Clause | None:
    """The newest items; the score is half at an age of `freshness_days`."""
    if "created_at" not in context.metadata.fields:
        return None
    pivot = max(round(context.settings.freshness_days * 24), 1)
    return {"distance_feature": {"field": "created_at", "origin": int(context.now * 1_000), "pivot": f"{pivot}h"}}


def _content_legs() -> tuple[Leg, ...]:
    rows = [row for row in VECTOR_FIELDS.values() if row.source == "encoder"]
    asked = [
        Leg(row.name, "cosine" if row.similarity == "cosine" else "dot", query_vector(row.name), answers=True)
        for row in VECTOR_FIELDS.values()
        if row.source == "encoder" or row.words
    ]
    return (*asked, *(Leg(f"taste_{row.content}", "cosine", taste(row.name), personal=True) for row in rows))


LEGS: Mapping[str, Leg] = {
    leg.name: leg
    for leg in (
        Leg(LEXICAL, "best", lexical, answers=True),
        *_content_legs(),
        Leg("popular", "list", popular),
        Leg(NEW, "unit", fresh),
    )
}


def active(context: Context) -> tuple[Leg, ...]:
    """Every leg that could speak: those of LEGS, one a collaborative model, under the model's name, and one an interest."""
    models = [Leg(name, "inner", factors(name), personal=True) for name in sorted(context.factors)]
    models += [Leg(name, "list", neighbours(name), personal=True) for name in sorted(context.neighbours)]
    return (*LEGS.values(), *models, *interest_legs(context))


def interest_legs(context: Context) -> tuple[Leg, ...]:
    """A leg for each of the user's interests, in their order."""
    known = context.interests
    if known is None or context.asks or known.field not in context.metadata.vectors:
        return ()
    scale = "cosine" if context.metadata.vectors[known.field].similarity == "cosine" else "inner"
    return tuple(Leg(f"{INTEREST}_{k + 1}", scale, interest(k), personal=True) for k in range(len(known)))


def ask(leg: Leg, context: Context) -> Body | None:
    """The body that finds the leg's best `context.depth` items, best first; None where it has nothing to ask."""
    signal = leg.signal(context)
    if signal is None or (leg.scale == "list" and not brings(leg, context)):
        return None
    if leg.scale == "list":
        return _listed(signal["ids"]["values"], context)
    return _body(signal, context.depth, context, _guards(context, matched=not leg.answers))


def fill(leg: Leg, context: Context, item_ids: Sequence[str]) -> Body | None:
    """The body that scores exactly `item_ids`; those without a score don't appear in its answer."""
    signal = leg.signal(context)
    if signal is None or not item_ids:
        return None
    return _body(signal, len(item_ids), context, {"filter": [{"ids": {"values": list(item_ids)}}]})


def brings(leg: Leg, context: Context) -> bool:
    """Whether the leg's items become candidates; for a picture without words only those that look like it do."""
    return leg.answers or not context.asks or bool(context.text.strip())


def matches_body(context: Context) -> Body:
    """Counts what may be shown where nothing was asked, and lists some of it, so that an answer is never short for want of
    signals."""
    guards = _guards(context, matched=False)
    query: Clause = {"bool": guards} if guards else {"match_all": {}}
    body = {"size": context.depth, "_source": False, "track_total_hits": True, "query": {"constant_score": {"filter": query}}}
    return told(body, context)


def count_body(context: Context, near: Sequence[str], *, words: bool) -> Body:
    """Counts what an answer to a question shows, from its first page to its last: what its words find, and `near`, what else
    its vectors brought in. words: whether the words brought in anything themselves; else they only narrow others."""
    asked = bool(context.text.strip())
    ways = reached(context.text, context.metadata.lexical) if asked and words else [matching(context.text)] if asked else []
    if near:
        ways.append({"ids": {"values": list(near)}})
    query: Clause = {"bool": {**_guards(context, matched=False), "should": ways, "minimum_should_match": 1}}
    return {"size": 0, "_source": False, "track_total_hits": True, "query": {"constant_score": {"filter": query}}}


def taste_vector(context: Context, field: str) -> NDArray[np.float32] | None:
    """Unit vector (d,) float32 between the long and the short taste; None where neither is known."""
    known = context.tastes.get(field)
    if known is None:
        return None
    if known.long is None or known.short is None:
        return known.long if known.short is None else known.short
    mixed = _LONG_SHARE * known.long + (1.0 - _LONG_SHARE) * known.short
    norm = float(np.linalg.norm(mixed))
    return known.long if norm < 1e-6 else (mixed / norm).astype(np.float32)


def _near(context: Context, field: str, vector: NDArray[np.float32] | None) -> Clause | None:
    if vector is None or field not in context.metadata.vectors:
        return None
    return {"knn": {"field": field, "query_vector": vector.tolist()}}


def _among(weighted: WeightedIds) -> Clause | None:
    # The weights stay here: the client knows them exactly, so the server is only asked which of the ids may be shown.
    # That is one set lookup instead of a scored clause an id, and negative weights need no way round.
    ids = [item_id for item_id, raw in weighted[:MAX_IDS] if raw > 0.0]
    return {"ids": {"values": ids}} if ids else None


def _body(signal: Clause, size: int, context: Context, guards: Mapping[str, list[Clause]]) -> Body:
    if "knn" in signal:
        knn = {
            **signal["knn"],
            "k": size,
            "num_candidates": min(max(context.settings.num_candidates, size), _MOST_CANDIDATES),
            **({"filter": {"bool": dict(guards)}} if guards else {}),
        }
        return told({"size": size, "_source": False, "track_total_hits": False, "knn": knn}, context)
    query = {"bool": {"must": [signal], **guards}} if guards else signal
    return told({"size": size, "_source": False, "track_total_hits": False, "query": query}, context)


def _listed(ids: Sequence[str], context: Context) -> Body:
    """The body that finds which of the ids may be shown; where there are variants, those of each product."""
    guards = _guards(context, matched=True)
    size = len(ids)
    if context.metadata.variants is not None:
        size = min(math.ceil(size * max(context.metadata.variants, 1.0)) + context.depth, _MOST_CANDIDATES)
    query: Clause = {"bool": {**guards, "filter": [any_of(ids, grouped=context.grouped), *guards.get("filter", ())]}}
    return told({"size": size, "_source": False, "track_total_hits": False, "query": query}, context)


def _guards(context: Context, *, matched: bool) -> dict[str, list[Clause]]:
    """The caller's filters and exclusions, and with `matched` the words asked for, as parts of a bool query."""
    filters = list(context.filters)
    if matched and context.text.strip():
        filters.append(matching(context.text))
    guards: dict[str, list[Clause]] = {"filter": filters} if filters else {}
    if context.exclude:
        guards["must_not"] = [any_of(sorted(context.exclude), grouped=context.grouped)]
    return guards
