"""The second request of an answer, and the answer.

first = plan(context)                       # bodies of the first request
gathered = gather(context, first, responses)
second = complete(context, gathered)        # bodies of the second: missing scores, sources, vectors
ranking = finish(context, second, responses)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from es_recsys.search.context import Context
from es_recsys.search.explain import because
from es_recsys.search.fusion import POOL, Table, contenders, order, tabulate
from es_recsys.search.gather import Gathered, Heard, scaled
from es_recsys.search.legs import Body, fill
from es_recsys.search.rerank import diversify, similarities
from es_recsys.types import Hit, Ranking

__all__ = ["SHOWN", "Completion", "complete", "content_field", "finish"]

SHOWN = ("title", "brand", "categories", "tags", "price", "currency", "image", "available")
"""What an answer says of an item."""

_REASONS = 50


@dataclass(frozen=True, slots=True, eq=False)
class Completion:
    """What is still asked. rows: contenders, as rows of `table`. filling: column of `table.legs` and the item ids whose
    scores it lacks, one a body; after these bodies come the sources of the contenders, and where `explain` asks for
    reasons by content, the vectors of the user's own items (`own`)."""

    gathered: Gathered
    table: Table
    rows: tuple[int, ...]
    filling: tuple[tuple[int, tuple[str, ...]], ...] = ()
    bodies: tuple[Body, ...] = ()
    own: tuple[str, ...] = ()
    vectors: str | None = field(default=None)


def complete(context: Context, gathered: Gathered) -> Completion:
    """The bodies of the second request; none where nothing was found."""
    table = tabulate(context, gathered)
    rows = tuple(int(row) for row in contenders(context, table))
    if not rows:
        return Completion(gathered, table, rows)
    filling = []
    bodies: list[Body] = []
    for column, heard in enumerate(table.legs):
        missing = tuple(table.item_ids[row] for row in rows if np.isnan(table.scores[row, column]))
        body = fill(heard.leg, context, missing)
        if body is not None:
            filling.append((column, missing))
            bodies.append(body)
    near = content_field(context) if context.explain or context.diversity > 0.0 else None
    bodies.append(_sources([table.item_ids[row] for row in rows], near))
    own = tuple(dict.fromkeys(reversed(context.history.item_ids)))[:_REASONS] if context.explain and near else ()
    if own and near:
        bodies.append({**_sources(own, near), "_source": False})
    return Completion(gathered, table, rows, tuple(filling), tuple(bodies), own, near)


def finish(context: Context, completion: Completion, responses: Sequence[Mapping[str, Any]]) -> Ranking:
    """The page. A body of the second request that failed is named in `degraded` and its scores count 0."""
    gathered, filling = completion.gathered, completion.filling
    failed = [completion.table.legs[column].leg.name for (column, _), r in zip(filling, responses, strict=False) if "error" in r]
    table = _filled(completion, responses)
    parts = table.parts()
    totals = [float(sum(row)) for row in parts.tolist()]
    best = order(table, completion.rows, totals)
    shown = _documents(responses, len(filling))
    if best and shown is None:
        failed.append("sources")
    documents = shown or {}
    if context.diversity > 0.0:
        best = _diverse(context, completion, best, totals, documents)
    page = best[context.offset : context.end]
    own = _vectors(_documents(responses, len(filling) + 1) or {}, completion.vectors) if completion.own else {}
    hits = []
    for rank, row in enumerate(page, start=context.offset + 1):
        item_id = table.item_ids[row]
        source = documents.get(item_id, {}).get("_source", {})
        named = {h.leg.name: part for h, part in zip(table.legs, parts[row].tolist(), strict=True) if part != 0.0}
        hit = Hit(item_id, totals[row], rank, named, str(source.get("title", "")), (), source)
        vector = _vector(documents.get(item_id, {}), completion.vectors)
        hits.append(replace(hit, because=because(context, hit, vector, own)) if context.explain else hit)
    degraded = tuple(dict.fromkeys((*gathered.degraded, *failed)))
    return Ranking(tuple(hits), gathered.total, degraded, gathered.facets)


def content_field(context: Context) -> str | None:
    """The vector field that tells best how alike two items are: words, then pictures, then behaviour."""
    for name in ("text_vector", "image_vector", *context.meta.vectors):
        if name in context.meta.vectors:
            return name
    return None


def _filled(completion: Completion, responses: Sequence[Mapping[str, Any]]) -> Table:
    table = completion.table
    scores = table.scores.copy()
    rows = {item_id: row for row, item_id in enumerate(table.item_ids)}
    for (column, _), response in zip(completion.filling, responses, strict=False):
        heard: Heard = table.legs[column]
        for hit in response.get("hits", {}).get("hits", ()):
            score = scaled(heard.leg.scale, hit["_score"], heard.best)
            scores[rows[hit["_id"]], column] = min(score, heard.reach)
    return replace(table, scores=np.nan_to_num(scores, nan=0.0))


def _diverse(
    context: Context, completion: Completion, best: list[int], totals: Sequence[float], documents: Mapping[str, Any]
) -> list[int]:
    pool = [row for row in best[:POOL] if not completion.table.deep[row]]
    found = [documents.get(completion.table.item_ids[row], {}) for row in pool]
    labels = [_labels(each.get("_source", {})) for each in found]
    alike = similarities([_vector(each, completion.vectors) for each in found], labels)
    taken = diversify([totals[row] for row in pool], alike, context.diversity)
    return [pool[i] for i in taken] + best[len(pool) :]


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


def _documents(responses: Sequence[Mapping[str, Any]], at: int) -> dict[str, Mapping[str, Any]] | None:
    if at >= len(responses) or "error" in responses[at]:
        return None
    return {hit["_id"]: hit for hit in responses[at]["hits"]["hits"]}


def _vectors(documents: Mapping[str, Mapping[str, Any]], name: str | None) -> dict[str, NDArray[np.float32]]:
    found = {item_id: _vector(document, name) for item_id, document in documents.items()}
    return {item_id: vector for item_id, vector in found.items() if vector is not None}


def _vector(document: Mapping[str, Any], name: str | None) -> NDArray[np.float32] | None:
    values = document.get("fields", {}).get(name)
    return None if not values else np.asarray(values, np.float32)
