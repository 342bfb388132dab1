"""Tuning of the retrievers that match a query: weights chosen on judged queries and stored with the store."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from es_recsys.errors import InputError
from es_recsys.index_metadata import IndexMetadata
from es_recsys.progress import Progress
from es_recsys.search.request import Request
from es_recsys.search.retriever_weights import SEARCH_KINDS
from es_recsys.serving.operations import EncodeQuery, Flow, MultiSearch
from es_recsys.serving.query_vectors import model_query_vectors
from es_recsys.serving.ranking_policy import ranking_policy
from es_recsys.serving.snapshot import ServingSnapshot
from es_recsys.serving.workspace import Workspace
from es_recsys.sources import read_judgments
from es_recsys.training.lexical_weights import Judged, Tuned, collect, tune

__all__ = ["TuneReport", "tune_search"]

_TOGETHER = 24


@dataclass(frozen=True, slots=True)
class TuneReport:
    """Report of a tuning: NDCG@10 before and after on the queries held out, and what was chosen."""

    tuned: Tuned
    seconds: float

    def lines(self) -> Iterator[str]:
        it = self.tuned
        yield (
            f"{it.queries:,} judged queries, {it.held_out:,} of them held out:"
            f" NDCG@10 {it.before:.4f} before, {it.after:.4f} after"
        )
        if not it.kept:
            yield "The weights stay as they were: nothing better was found."
            return
        yield "Retriever weights: " + ", ".join(f"{name} {weight:.2f}" for name, weight in it.weights.items())
        yield "Boosts of text fields: " + ", ".join(f"{name} {boost:.2f}" for name, boost in it.lexical.items() if boost)
        yield f"Stored with the store, in {self.seconds:.0f} s; every search uses them from now on."

    def to_dict(self) -> dict[str, Any]:
        it = self.tuned
        return {
            "queries": it.queries,
            "held_out": it.held_out,
            "ndcg_before": it.before,
            "ndcg_after": it.after,
            "kept": it.kept,
            "weights": dict(it.weights),
            "lexical": dict(it.lexical),
            "seconds": self.seconds,
        }


def tune_search(
    work: Workspace,
    judgments: Path,
    *,
    columns: Mapping[str, str] | None = None,
    queries: int = 4_000,
    seed: int = 7,
    progress: Progress | None = None,
) -> TuneReport:
    """Tune boosts and retriever weights on at most `queries` of the judged queries, drawn by the seed.

    A quarter of them checks the choice. Raises InputError where the file can't be read or judges too little, StoreNotFound.
    """
    started = time.monotonic()
    grades = read_judgments(judgments, columns=columns or {})
    if not grades:
        raise InputError(f"There are no judgments in {judgments}.", "Give lines of query, item_id and grade.")
    rng = np.random.default_rng(seed)
    names = list(grades)
    chosen = [names[i] for i in np.sort(rng.permutation(len(names))[:queries])]
    found: list[Judged] = []
    for start in range(0, len(chosen), _TOGETHER):
        some = chosen[start : start + _TOGETHER]
        for judged in work.run_all(lambda snapshot, s=some: [_collect(snapshot, q, grades[q], work.now()) for q in s]):  # type: ignore[misc]
            if isinstance(judged, Exception):
                raise judged
            if judged is not None:
                found.append(judged)
        if progress is not None:
            progress(start + len(some), len(chosen))
    snapshot = work.snapshots.current()
    tuned = tune(ranking_policy(snapshot), found, rng)
    if tuned.kept:
        _store(work, tuned)
    return TuneReport(tuned, time.monotonic() - started)


def _collect(snapshot: ServingSnapshot, query: str, grades: Mapping[str, float], now: float) -> Flow[Judged | None]:
    vectors = {}
    for field in snapshot.encoder.fields(snapshot.metadata, "text"):
        vectors[field] = yield EncodeQuery(snapshot.encoder, snapshot.metadata, field, query)
    vectors |= model_query_vectors(snapshot, query, vectors)
    scores = collect(Request(now=now, text=query, vectors=vectors), ranking_policy(snapshot), grades)
    try:
        bodies = next(scores)
        while True:
            responses = yield MultiSearch(snapshot.metadata.index, bodies)
            bodies = scores.send(responses)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]


def _store(work: Workspace, tuned: Tuned) -> None:
    def tune(metadata: IndexMetadata) -> IndexMetadata:
        # How personal searches are was chosen beside other words.
        others = {name: table for name, table in metadata.retriever_weights.items() if name not in SEARCH_KINDS}
        weights = {**others, "query": {**metadata.retriever_weights.get("query", {}), **tuned.weights}}
        return replace(metadata, text_boosts=dict(tuned.lexical), retriever_weights=weights)

    work.update_metadata(tune)
