"""The second request of an answer, and the answer.

first = plan(context)                       # bodies of the first request
gathered = gather(context, first, responses)
second = complete(context, gathered)        # bodies of the second: missing scores, sources, vectors
ranking = finish(context, second, responses)
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from es_recsys.search.context import DEEPEST, Context
from es_recsys.search.explain import because
from es_recsys.search.explore import Explored, explore
from es_recsys.search.facets import counted, read_facets
from es_recsys.search.fusion import POOL, Table, contenders, nearest, order, tabulate
from es_recsys.search.gather import MATCHES, Gathered, Heard, partial, scaled, total_of
from es_recsys.search.interests import spread
from es_recsys.search.learned import WINDOW, Reranked, rerank
from es_recsys.search.legs import INTEREST, LEXICAL, Body, count_body, fill
from es_recsys.search.products import any_of, collapsed, product_of, told
from es_recsys.search.rerank import diversify, similarities
from es_recsys.search.signals import Column, Reading, at_hand, named_clauses, signals, source_fields
from es_recsys.search.suggest import read_suggestion, suggestion_body
from es_recsys.types import Hit, Ranking

__all__ = ["RANKING", "SHOWN", "Completion", "Settled", "complete", "content_field", "finish", "read", "settle"]

RANKING = "ranking"
"""What `degraded` names where a learned ranking can't be used."""

SHOWN = ("group_id", "title", "brand", "categories", "tags", "price", "currency", "image", "available")
"""What an answer says of an item."""

_REASONS = 50


@dataclass(frozen=True, slots=True, eq=False)
class Completion:
    """What is still asked. rows: contenders, as rows of `table`. filling: column of `table.legs` and the item ids whose
    scores it lacks, one a body; after these bodies come the sources of the contenders, and where `explain` asks for
    reasons by content, the vectors of the user's own items (`own`), and at the end the count of what answers the question
    (`counts`) and what else may have been meant (`suggests`). reading: what a learned ranking or the log reads of the
    contenders, whose clauses' scores come with the sources. collapse: whether one variant stands for its product."""

    gathered: Gathered
    table: Table
    rows: tuple[int, ...]
    filling: tuple[tuple[int, tuple[str, ...]], ...] = ()
    bodies: tuple[Body, ...] = ()
    own: tuple[str, ...] = ()
    vectors: str | None = None
    reading: Reading | None = None
    counts: bool = False
    collapse: bool = False
    suggests: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Settled:
    """The contenders with all scores known. best: rows of `table`, best first by `totals`, their weighted sums. documents:
    item id -> hit of the second request. failed: what gave no answer there."""

    table: Table
    totals: list[float]
    best: list[int]
    documents: Mapping[str, Mapping[str, Any]]
    failed: tuple[str, ...]

    def sources(self, rows: Iterable[int]) -> list[Mapping[str, Any]]:
        return [self.documents.get(self.table.item_ids[row], {}).get("_source", {}) for row in rows]


def complete(context: Context, gathered: Gathered, reading: Reading | None = None) -> Completion:
    """The bodies of the second request; none where nothing was found.

    reading: in place of what the context's ranker and the log read.
    """
    reading = _reading(context) if reading is None else reading
    table = tabulate(context, gathered)
    rows = tuple(int(row) for row in contenders(context, table, reading.window if reading is not None else 0))
    suggesting = [suggestion_body(context)] if gathered.wordless else []
    if not rows:
        return Completion(gathered, table, rows, bodies=tuple(suggesting), suggests=bool(suggesting))
    filling = []
    bodies: list[Body] = []
    unknown = np.isnan(table.scores[list(rows)])
    for column, heard in enumerate(table.legs):
        missing = tuple(table.item_ids[row] for row, lacks in zip(rows, unknown[:, column].tolist(), strict=True) if lacks)
        body = fill(heard.leg, context, missing)
        if body is not None:
            filling.append((column, missing))
            bodies.append(body)
    near = content_field(context) if context.explain or context.diversity > 0.0 else None
    shown = _sources([table.item_ids[row] for row in rows], near)
    bodies.append(_read(shown, context, reading) if reading is not None else shown)
    own = tuple(dict.fromkeys(reversed(context.history.item_ids)))[:_REASONS] if context.explain and near else ()
    if own and near:
        body = _sources(own, near)
        if context.metadata.variants is not None:
            query = {"constant_score": {"filter": any_of(own, grouped=True)}}
            body = {**body, "query": query, "size": min(math.ceil(len(own) * max(context.metadata.variants, 1.0)), DEEPEST)}
        bodies.append(told({**body, "_source": False}, context))
    if context.asks:
        words = any(heard.leg.name == LEXICAL for heard in table.legs)
        bodies.append(counted(context, count_body(context, nearest(context, gathered), words=words)))
    bodies += suggesting
    tail = (own, near, reading, context.asks, context.collapse, bool(suggesting))
    return Completion(gathered, table, rows, tuple(filling), tuple(bodies), *tail)


def settle(completion: Completion, responses: Sequence[Mapping[str, Any]]) -> Settled:
    """Fills in what the second request found. A body that failed is named, and its scores count 0."""
    filling = completion.filling
    filled = zip(filling, responses, strict=False)
    failed = [completion.table.legs[column].leg.name for (column, _), r in filled if "error" in r or partial(r)]
    table = _filled(completion, responses)
    totals = [float(sum(row)) for row in table.parts().tolist()]
    best = order(table, completion.rows, totals)
    if completion.collapse:
        best = collapsed(best, table.products)
    documents = _documents(responses, len(filling))
    if best and (documents is None or partial(responses[len(filling)])):
        failed.append("sources")
    return Settled(table, totals, best, documents or {}, tuple(failed))


def read(context: Context, reading: Reading, settled: Settled) -> tuple[list[int], dict[str, Column]]:
    """The window's rows, best first by weighted sum, and their signals."""
    table = settled.table
    rows = [row for row in settled.best if not table.deep[row]][: reading.window]
    named = [settled.documents.get(table.item_ids[row], {}).get("matched_queries", {}) for row in rows]
    return rows, signals(context, table, rows, settled.best, settled.totals, settled.sources(rows), named, reading)


def finish(context: Context, completion: Completion, responses: Sequence[Mapping[str, Any]]) -> Ranking:
    """The page. A body of the second request that failed is named in `degraded` and its scores count 0; without what it
    reads, a learned ranking leaves the order to the weighted sum and is named, too."""
    gathered = completion.gathered
    settled = settle(completion, responses)
    reading = completion.reading if settled.documents else None
    rows, found = read(context, reading, settled) if reading is not None else ([], {})
    ordered, failed = rerank(context, context.ranker, settled.table, settled.best, settled.totals, found), list(settled.failed)
    if context.ranker is not None and settled.best and ordered.ranker is None:
        failed.append(RANKING)
    arranged = _arranged(context, completion, settled, ordered)
    best = arranged.order
    page = best[context.offset : context.end]
    if reading is None:
        rows = page
        found = at_hand(context, settled.table, rows, settled.best, settled.totals, settled.sources(rows))
    own = _of_own(responses, completion) if completion.own else {}
    read_at = {row: place for place, row in enumerate(rows)}
    logged = _known(found, {row: read_at[row] for row in page if row in read_at})
    hits = []
    for rank, (row, parts) in enumerate(zip(page, ordered.parts(page), strict=True), start=context.offset + 1):
        item_id = settled.table.item_ids[row]
        document = settled.documents.get(item_id, {})
        source = {name: value for name, value in document.get("_source", {}).items() if name in SHOWN}
        hit = Hit(
            item_id,
            ordered.scores[row],
            rank,
            parts,
            str(source.get("title", "")),
            (),
            source,
            arranged.propensities.get(rank - 1, 1.0),
            arranged.shown.get(rank - 1, 1.0),
            logged.get(row, {}),
        )
        vector = _vector(document, completion.vectors)
        hits.append(replace(hit, because=because(context, hit, vector, own)) if context.explain else hit)
    total, facets, uncounted = _counted(completion, responses)
    degraded = tuple(dict.fromkeys((*gathered.degraded, *failed, *uncounted)))
    suggestion = read_suggestion(context.text, responses[-1]) if completion.suggests and responses else None
    return Ranking(tuple(hits), total, degraded, facets, suggestion)


def _counted(
    completion: Completion, responses: Sequence[Mapping[str, Any]]
) -> tuple[int | None, Mapping[str, Mapping[str, int]], tuple[str, ...]]:
    """How much answers, its facets, and what `degraded` names where that is not known."""
    if not completion.counts:
        # Nothing was asked, or nothing was found.
        gathered = completion.gathered
        none = gathered.total is None and not completion.rows and not gathered.degraded
        return (0 if none else gathered.total), gathered.facets, ()
    at = len(completion.bodies) - 1 - completion.suggests
    response = responses[at] if at < len(responses) else {"error": "no answer"}
    if "error" in response or partial(response):
        return None, {}, (MATCHES,)
    return total_of(response), read_facets(response), ()


def content_field(context: Context) -> str | None:
    """The vector field that tells best how alike two items are: words, then pictures, then behaviour."""
    for name in ("text_vector", "image_vector", *context.metadata.vectors):
        if name in context.metadata.vectors:
            return name
    return None


def _filled(completion: Completion, responses: Sequence[Mapping[str, Any]]) -> Table:
    table = completion.table
    scores = table.scores.copy()
    rows = {item_id: row for row, item_id in enumerate(table.item_ids)}
    for (column, _), response in zip(completion.filling, responses, strict=False):
        heard: Heard = table.legs[column]
        hits = response.get("hits", {}).get("hits", ())
        found = scaled(heard.leg.scale, np.array([hit["_score"] for hit in hits], np.float64), heard.best)
        scores[[rows[hit["_id"]] for hit in hits], column] = np.minimum(found, heard.reach)
    return replace(table, scores=np.nan_to_num(scores, nan=0.0))


def _reading(context: Context) -> Reading | None:
    """What must be read of the candidates beyond what is at hand."""
    if context.ranker is None:
        return Reading(WINDOW) if context.settings.log_signals else None
    return replace(context.ranker.reading, names=None) if context.settings.log_signals else context.ranker.reading


def _arranged(context: Context, completion: Completion, settled: Settled, ordered: Reranked) -> Explored:
    """The rows as they are shown. Diversity goes first, then each interest gets its places; what is left to chance comes last,
    within the places of each interest, and not beside diversity, which puts what is near in score apart on purpose."""
    best = list(ordered.rows)
    pool = [row for row in best[:POOL] if not settled.table.deep[row]]
    rest = best[len(pool) :]
    if context.diversity > 0.0:
        pool = _diverse(context, completion, pool, ordered.scores, settled)
    belongs = _belongs(context, settled.table, pool)
    if belongs and context.interests is not None:
        pool = spread(pool, [belongs[row] for row in pool], context.interests.shares, context.personalization)
    rows = [*pool, *rest]
    if context.exploration is None or context.diversity > 0.0:
        return Explored(rows)
    explored = explore(
        context.exploration,
        [settled.table.products[row] for row in rows],
        [ordered.scores[row] for row in pool],
        context.offset,
        context.end,
        new=[place for place, row in enumerate(rows) if settled.table.new[row]],
        groups=[belongs[row] for row in pool] if belongs else (),
    )
    return replace(explored, order=[rows[place] for place in explored.order])


def _diverse(
    context: Context, completion: Completion, pool: list[int], scores: Mapping[int, float], settled: Settled
) -> list[int]:
    found = [settled.documents.get(settled.table.item_ids[row], {}) for row in pool]
    labels = [_labels(each.get("_source", {})) for each in found]
    alike = similarities([_vector(each, completion.vectors) for each in found], labels)
    return [pool[i] for i in diversify([scores[row] for row in pool], alike, context.diversity)]


def _belongs(context: Context, table: Table, pool: Sequence[int]) -> dict[int, int]:
    """Row -> the interest that it is nearest to, -1 for none; empty where no places are kept."""
    if context.interests is None:
        return {}
    columns = {heard.leg.name: column for column, heard in enumerate(table.legs)}
    names = [f"{INTEREST}_{k + 1}" for k in range(len(context.interests))]
    if any(name not in columns for name in names):
        return {}
    at = [columns[name] for name in names]
    # Inner products are over their leg's own best.
    near = table.scores[np.ix_(pool, at)] * [table.legs[column].best for column in at]
    nearest = np.where(near.max(axis=1) > 0.0, near.argmax(axis=1), -1)
    return dict(zip(pool, nearest.tolist(), strict=True))


def _known(found: Mapping[str, Column], places: Mapping[int, int]) -> dict[int, dict[str, float]]:
    """Row -> the signals that are known of it. places: of each row, in the columns."""
    if not found or not places:
        return {}
    values = np.column_stack(list(found.values()))[list(places.values())]
    return {
        row: {name: value for name, value, known in zip(found, line, finite, strict=True) if known}
        for row, line, finite in zip(places, values.tolist(), np.isfinite(values).tolist(), strict=True)
    }


def _labels(source: Mapping[str, Any]) -> list[str]:
    brand = source.get("brand")
    return [*source.get("categories", ()), *([f"brand:{brand}"] if brand else [])]


def _sources(item_ids: Sequence[str], vectors: str | None) -> Body:
    body: Body = {
        "size": len(item_ids),
        "_source": list(SHOWN),
        "track_total_hits": False,
        "query": {"constant_score": {"filter": {"ids": {"values": list(item_ids)}}}},
    }
    return {**body, "fields": [vectors]} if vectors else body


def _read(body: Body, context: Context, reading: Reading) -> Body:
    """The sources with the attributes and the clauses' scores that are read."""
    clauses = named_clauses(context, reading)
    ids = body["query"]["constant_score"]["filter"]
    query = {"bool": {"filter": [ids], "should": clauses}} if clauses else body["query"]
    return {**body, "_source": [*SHOWN, *source_fields(context, reading)], "query": query}


def _documents(responses: Sequence[Mapping[str, Any]], at: int) -> dict[str, Mapping[str, Any]] | None:
    if at >= len(responses) or "error" in responses[at]:
        return None
    return {hit["_id"]: hit for hit in responses[at]["hits"]["hits"]}


def _vectors(documents: Mapping[str, Mapping[str, Any]], name: str | None) -> dict[str, NDArray[np.float32]]:
    found = {item_id: _vector(document, name) for item_id, document in documents.items()}
    return {item_id: vector for item_id, vector in found.items() if vector is not None}


def _of_own(responses: Sequence[Mapping[str, Any]], completion: Completion) -> dict[str, NDArray[np.float32]]:
    """Vectors of the user's own items, by product: that of the first of its variants."""
    found: dict[str, Mapping[str, Any]] = {}
    for _, document in sorted((_documents(responses, len(completion.filling) + 1) or {}).items()):
        found.setdefault(product_of(document), document)
    return _vectors(found, completion.vectors)


def _vector(document: Mapping[str, Any], name: str | None) -> NDArray[np.float32] | None:
    values = document.get("fields", {}).get(name)
    return None if not values else np.asarray(values, np.float32)
