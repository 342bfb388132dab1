"""What the legs answered, on scales that can be added."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from es_recsys.search.context import Context, WeightedIds
from es_recsys.search.facets import read_facets
from es_recsys.search.legs import LEXICAL, NEW, Leg, brings
from es_recsys.search.plan import Plan
from es_recsys.search.products import product_of, products_of
from es_recsys.search.weights import weigh

__all__ = ["MATCHES", "Gathered", "Heard", "gather", "partial", "scaled", "total_of"]

MATCHES = "matches"
"""What `degraded` names where the matches could not be counted."""

Response = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Heard:
    """One leg's answer.

    scores: item_id -> score on the leg's scale, best first. best: what raw scores are divided by. ended: whether every
    item that the leg can score is in `scores`. reach: the most that any other item can have: what the last of a full
    list has (at least 0, which items without a vector have), 1 where the leg did not look everywhere. brings: whether its
    items are candidates.
    """

    leg: Leg
    scores: Mapping[str, float]
    best: float
    ended: bool
    reach: float
    brings: bool


@dataclass(frozen=True, slots=True)
class Gathered:
    """All legs' answers, the weights that they count with, and where nothing was asked, what the matches body said.

    new: the items that exploration may try though nothing speaks for them, newest first, the same for every page. products:
    item_id -> product, of items that are variants."""

    heard: tuple[Heard, ...]
    weights: Mapping[str, float]
    others: tuple[str, ...] = ()
    total: int | None = None
    facets: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    degraded: tuple[str, ...] = ()
    new: tuple[str, ...] = ()
    products: Mapping[str, str] = field(default_factory=dict)

    @property
    def wordless(self) -> bool:
        """Whether the words asked for found nothing at all."""
        return any(each.leg.name == LEXICAL and each.ended and not each.scores for each in self.heard)


def gather(context: Context, plan: Plan, responses: Sequence[Response]) -> Gathered:
    """Reads the responses to `plan.bodies`, in their order. A leg whose response has an error is left out and named; one that
    answers in part counts with that, and is named, too."""
    answers = dict(zip((leg.name for leg in plan.asked), responses, strict=False))
    incomplete = [name for name, response in answers.items() if partial(response)]
    failed = [name for name, response in answers.items() if "error" in response]
    heard = tuple(_hear(context, leg, answers.get(leg.name)) for leg in plan.legs if leg.name not in failed)
    raw = [hit["_score"] for hit in _hits(answers.get("lexical", {}))]
    weights = weigh(context, [each.leg for each in heard], raw)
    products = products_of(responses) if context.grouped else {}
    new = _newcomers(context, heard, products)
    if context.asks:
        return Gathered(heard, weights, degraded=(*failed, *incomplete), new=new, products=products)
    matches = responses[len(plan.asked)] if len(responses) > len(plan.asked) else {"error": "no answer"}
    failed += incomplete
    if "error" in matches or partial(matches):
        return Gathered(heard, weights, degraded=(*failed, MATCHES), new=new, products=products)
    others = tuple(hit["_id"] for hit in _hits(matches))
    return Gathered(heard, weights, others, total_of(matches), read_facets(matches), tuple(failed), new, products)


def partial(response: Response) -> bool:
    """Whether a search ran out of time or missed shards, so that its hits are not all."""
    return bool(response.get("timed_out") or response.get("_shards", {}).get("failed"))


def scaled(scale: str, scores: NDArray[np.float64], best: float) -> NDArray[np.float64]:
    """Elasticsearch's `_score` (n,) on the leg's scale.

    cosine: `_score` is (1 + cos) / 2; below 0 an item is unlike, which counts like having no vector.
    dot: `_score` is 1 + cos, or below 1 for what is unlike.
    inner: `_score` is 1 + x for an inner product x >= 0, else 1 / (1 - x); over `best`, within [-1, 1].
    best: over `best`, within [0, 1].
    """
    if scale == "cosine":
        return np.clip(2.0 * scores - 1.0, 0.0, 1.0)
    if scale == "dot":
        return np.clip(scores - 1.0, 0.0, 1.0)
    if scale == "inner":
        # A filtered scan of a flat index also returns documents without a vector, with the score 0.
        there = scores > 0.0
        raw = np.where(scores >= 1.0, scores - 1.0, 1.0 - 1.0 / np.where(there, scores, 1.0))
        return np.where(there, np.clip(raw / best, -1.0, 1.0), 0.0)
    return np.minimum(scores / best, 1.0)


def _newcomers(context: Context, heard: Sequence[Heard], products: Mapping[str, str]) -> tuple[str, ...]:
    found = next((each for each in heard if each.leg.name == NEW), None)
    if context.exploration is None or found is None or not found.brings:
        return ()
    newest = list(found.scores)[: context.settings.depth]
    tried = set(context.exploration.newcomers([products.get(item_id, item_id) for item_id in newest]))
    return tuple(item_id for item_id in newest if products.get(item_id, item_id) in tried)


def _hear(context: Context, leg: Leg, response: Response | None) -> Heard:
    hits = _hits(response or {})
    if leg.scale == "list":
        weighted = context.popular if leg.name == "popular" else context.neighbours[leg.name]
        best = _largest(weighted)
        return Heard(leg, _allowed(weighted, hits, best), best, True, 1.0, brings(leg, context))
    best = _best(leg, hits)
    raw = np.array([hit["_score"] for hit in hits], np.float64)
    scores = dict(zip([hit["_id"] for hit in hits], scaled(leg.scale, raw, best).tolist(), strict=True))
    depth = context.settings.depth
    everywhere = response is not None and not partial(response) and (leg.answers or not context.text.strip())
    ended = everywhere and len(scores) < depth
    full = everywhere and not ended
    reach = max(list(scores.values())[depth - 1], 0.0) if full else float(not ended)
    return Heard(leg, scores, best, ended, reach, brings(leg, context))


def _allowed(weighted: WeightedIds, hits: Sequence[Mapping[str, Any]], best: float) -> dict[str, float]:
    """item_id -> score of what may be shown of a list, best first; variants have that of their product."""
    found: dict[str, list[str]] = {}
    for hit in hits:
        found.setdefault(product_of(hit), []).append(hit["_id"])
    return {item_id: raw / best for product, raw in weighted for item_id in sorted(found.get(product, ()))}


def _best(leg: Leg, hits: Sequence[Mapping[str, Any]]) -> float:
    if leg.scale not in ("best", "inner"):
        return 1.0
    top = hits[0]["_score"] if hits else 0.0
    raw = top - 1.0 if leg.scale == "inner" else top
    return float(raw) if raw > 0.0 else 1.0


def _largest(weighted: WeightedIds) -> float:
    first = weighted[0][1] if weighted else 0.0
    return first if first > 0.0 else max((abs(raw) for _, raw in weighted), default=1.0) or 1.0


def _hits(response: Response) -> Sequence[Mapping[str, Any]]:
    hits: Sequence[Mapping[str, Any]] = response.get("hits", {}).get("hits", ())
    return hits


def total_of(response: Response) -> int:
    """How many documents a response counted; products, where it was asked for these."""
    counts = response.get("aggregations", {})
    if "groups" in counts:
        return int(counts["groups"]["value"]) + int(counts["single"]["doc_count"])
    return int(response["hits"]["total"]["value"])
