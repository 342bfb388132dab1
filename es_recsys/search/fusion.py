"""Joins the legs' answers into one ranking.

Weighted sum (default): score = sum over legs of weight * score on the leg's fixed scale. Every candidate is scored by
every leg, also by those that did not find it: the client's own lists at once, the others in a second request, which also
brings what is shown of the hits. Only candidates that can still reach the page are asked for there (the threshold idea
of Fagin, Lotem and Naor, "Optimal aggregation algorithms for middleware", 2003): what a leg did not return is at most as
good as the last that it did. An approximate search can miss an item; then this bound is its score, so that an
item's score never depends on the page.

Reciprocal rank fusion (Cormack, Clarke and Buettcher, 2009): score = sum over legs of weight / (k + rank).

Pages are cut from one order: the same `depth` for each, ties broken by id. A page that ends beyond `settings.depth`
searches deeper; there what the ordinary depth finds comes first, in the ordinary order, then the rest. Vectors of a
question, which are near to everything by some measure, bring in what the ordinary depth finds and no more.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from es_recsys.search.context import Context
from es_recsys.search.gather import Gathered, Heard
from es_recsys.search.legs import LEXICAL, MAX_IDS
from es_recsys.vector_fields import NEAR, VECTOR_FIELDS

__all__ = ["POOL", "Table", "bounds", "contenders", "nearest", "order", "tabulate"]

POOL = 100
"""How many of the best hits diversity and exploration may re-order: fixed, so that pages stay stable."""


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """Candidates by legs. item_ids (n,), sorted; legs (m,); scores (n, m) float64, on the legs' scales, NaN where not
    known yet; weights (m,); deep (n,) bool: found only beyond the ordinary depth; new (n,) bool: exploration may try it;
    products (n,): what each is a variant of, or the item itself."""

    item_ids: tuple[str, ...]
    legs: tuple[Heard, ...]
    scores: NDArray[np.float64]
    weights: NDArray[np.float64]
    deep: NDArray[np.bool_]
    new: NDArray[np.bool_]
    products: tuple[str, ...]

    def parts(self) -> NDArray[np.float64]:
        """Contributions (n, m): weight times score."""
        return self.scores * self.weights


def tabulate(context: Context, gathered: Gathered) -> Table:
    """All candidates, with the scores that the first request and the client's own lists give."""
    legs = tuple(heard for heard in gathered.heard if heard.leg.name in gathered.weights)
    near, far = _union(context, gathered, legs)
    ids = sorted(near | far)
    products = tuple(gathered.products.get(item_id, item_id) for item_id in ids)
    weights = np.array([gathered.weights[heard.leg.name] for heard in legs], np.float64)
    if context.settings.fusion == "rrf":
        columns = [_reciprocal_ranks(context, heard, ids, near) for heard in legs]
    else:
        columns = [_column(context, heard, ids, products) for heard in legs]
    scores = np.column_stack(columns) if columns else np.zeros((len(ids), 0))
    deep = np.array([i not in near for i in ids], bool)
    new = np.array([i in gathered.new for i in ids], bool)
    return Table(tuple(ids), legs, scores, weights, deep, new, products)


def bounds(table: Table) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Least and largest final score (n,) of each candidate, given what is known."""
    least = np.array([-1.0 if heard.leg.scale == "inner" else 0.0 for heard in table.legs])
    reach = np.array([heard.reach for heard in table.legs])
    unknown = np.isnan(table.scores)
    low = np.where(unknown, least, table.scores) @ table.weights
    high = np.where(unknown, reach, table.scores) @ table.weights
    return low, high


def contenders(context: Context, table: Table, least: int = 0) -> NDArray[np.int64]:
    """Rows of `table` that can be among the hits up to the end of the page, and among the first `least` in any case, and
    those that exploration may try. Where variants collapse, a place is a product's."""
    pooled = context.diversity > 0.0 or context.exploration is not None or context.interests is not None
    wanted = max(context.end, least, POOL if pooled else 0)
    everything = np.arange(len(table.item_ids))
    if wanted >= len(everything) or table.deep.any():
        return everything
    low, high = bounds(table)
    places = low
    if context.collapse:
        whose = np.unique(table.products, return_inverse=True)[1].reshape(-1)
        places = np.full(whose.max() + 1, -np.inf)
        np.maximum.at(places, whose, low)
        if wanted >= len(places):
            return everything
    threshold = np.partition(places, -wanted)[-wanted]
    return np.flatnonzero((high >= threshold - 1e-9) | table.new)


def nearest(context: Context, gathered: Gathered) -> tuple[str, ...]:
    """What vectors of the question bring in beyond what its words find, sorted: the same for every page."""
    legs = [each for each in gathered.heard if each.leg.name in gathered.weights]
    found = {item_id for each in legs if each.leg.brings_nearest for item_id in _nearest(context, each, gathered.wordless)}
    words = next((each.scores for each in legs if each.leg.name == LEXICAL), {})
    return tuple(sorted(found - words.keys() - context.exclude))


def order(table: Table, rows: Iterable[int], totals: Sequence[float]) -> list[int]:
    """`rows` best first; what only a deeper search found comes after all else."""
    return sorted(rows, key=lambda row: (bool(table.deep[row]), -totals[row], table.item_ids[row]))


def _union(context: Context, gathered: Gathered, legs: Iterable[Heard]) -> tuple[set[str], set[str]]:
    depth, others, new = context.settings.depth, gathered.others, gathered.new
    near: set[str] = set()
    far: set[str] = set()
    for heard in legs:
        if heard.leg.brings_nearest:
            near.update(_nearest(context, heard, gathered.wordless))
        elif heard.brings:
            found = list(heard.scores)
            cut = len(found) if heard.leg.scale == "list" else depth
            near.update(found[:cut])
            far.update(found[cut:])
    if len(near) < depth:
        near.update(others[:depth])
    near.update(new)
    if context.depth > depth:
        far.update(others)
    barred = set(context.exclude)
    barred.update(item_id for item_id, product in gathered.products.items() if product in context.exclude)
    return near - barred, far - near - barred


def _nearest(context: Context, heard: Heard, alone: bool) -> list[str]:
    """What a vector of the question brings in. It finds everything, the nearest first: so no more on a deep page than on the
    first, and where it is known what is near by its encoder, nothing that is not. alone: whether the words found nothing;
    then no model of behaviour speaks for what nobody asked for."""
    found = list(heard.scores.items())[: context.settings.depth]
    field = heard.leg.name
    if alone and field in VECTOR_FIELDS and VECTOR_FIELDS[field].source == "model":
        return []
    bounds = context.settings.near.get(field) or NEAR.get(context.metadata.vectors[field].model) if context.text.strip() else None
    least = -1.0 if bounds is None else bounds[1 if alone else 0]
    return [item_id for item_id, score in found if score >= least]


def _column(context: Context, heard: Heard, ids: Sequence[str], products: Sequence[str]) -> NDArray[np.float64]:
    if heard.leg.scale == "list":
        return _own_scores(context, heard, products)
    missing = 0.0 if heard.ended else np.nan
    return np.array([heard.scores.get(item_id, missing) for item_id in ids], np.float64)


def _own_scores(context: Context, heard: Heard, ids: Sequence[str]) -> NDArray[np.float64]:
    name = heard.leg.name
    scorer = context.scorers.get(name)
    if scorer is not None and ids:
        raw = np.asarray(scorer(ids), np.float64)
    else:
        weighted = context.popular if name == "popular" else context.neighbours[name]
        known = dict(weighted[:MAX_IDS]) | {item_id: raw for item_id, raw in weighted if raw < 0.0}
        raw = np.array([known.get(item_id, 0.0) for item_id in ids], np.float64)
    return np.clip(raw / heard.best, -1.0, 1.0)


def _reciprocal_ranks(context: Context, heard: Heard, ids: Sequence[str], near: Collection[str]) -> NDArray[np.float64]:
    """1 / (k + rank), 0 where the leg did not find the item; what the ordinary depth finds is ranked within that alone."""
    ranks = {item_id: rank for rank, item_id in enumerate(heard.scores, start=1)} if heard.brings else {}
    last = len(ranks) if heard.leg.scale == "list" else context.settings.depth
    found = ((ranks.get(item_id, 0), item_id in near) for item_id in ids)
    constant = context.settings.rank_constant
    return np.array([1.0 / (constant + r) if r and (r <= last or not inside) else 0.0 for r, inside in found], np.float64)
