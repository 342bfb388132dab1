"""Harness that has a ranker answer all queries of a split, and measures the answers.

All items are ranked, those that the user has seen are left out (by the ranker: it is part of answering), and a query without an
answer counts 0.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from es_recsys.errors import RecsysError
from es_recsys.evaluation.accuracy import accuracy
from es_recsys.evaluation.beyond_accuracy import Catalogue
from es_recsys.evaluation.queries import EvalQuery, EvalSplit
from es_recsys.evaluation.rankers import BatchRanker, Ranker
from es_recsys.evaluation.statistics import Estimate, bootstrap
from es_recsys.progress import Progress

__all__ = ["Answers", "Scores", "Subgroups", "ask", "score", "subgroups_of", "summary"]

# Queries that are asked one by one, to measure the latency of an answer.
_TIMED = 200
_FEW_EVENTS = 3
_COLD_USERS = 3


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """Ranked lists of all queries, and their latency.

    lists: item ids, best first, of each query; empty where it failed. ms: latency of single answers, milliseconds. failed: how
    many queries had no answer but an error; error: the first one.
    """

    lists: tuple[tuple[str, ...], ...]
    ms: NDArray[np.float64]
    failed: int = 0
    error: str = ""

    def latency(self) -> dict[str, float]:
        """Return the median and 95th percentile, milliseconds."""
        if not len(self.ms):
            return {}
        p50, p95 = np.quantile(self.ms, [0.5, 0.95])
        return {"p50": float(p50), "p95": float(p95)}


# Name -> index of each query of the subgroup, and its grades there.
Subgroups = Mapping[str, Mapping[int, Mapping[str, float]]]


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """Metrics of the answers.

    values: metric -> (n_queries,) float64, NaN where a query has none. whole: of all lists together (coverage, gini). actors: of
    each query. subgroups: subgroup -> metric -> values of its queries, subgroup_actors the users of these.
    """

    values: Mapping[str, NDArray[np.float64]]
    whole: Mapping[str, float]
    actors: tuple[str, ...]
    subgroups: Mapping[str, Mapping[str, NDArray[np.float64]]] = field(default_factory=dict)
    subgroup_actors: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def ask(ranker: Ranker, queries: Sequence[EvalQuery], n: int, progress: Progress | None = None) -> Answers:
    """Have the ranker answer the queries with n items each.

    The first 200 are answered one by one, to measure the latency, the rest in batches where the ranker can. An error of the
    package is an answer without items; any other is raised.
    """
    requests = [query.query.model_copy(update={"n": n}) for query in queries]
    lists: list[tuple[str, ...]] = []
    ms: list[float] = []
    failed, error = 0, ""
    alone = min(_TIMED, len(requests)) if isinstance(ranker, BatchRanker) else len(requests)
    for done, query in enumerate(requests[:alone], 1):
        started = time.perf_counter()
        try:
            found = tuple(hit.product_id for hit in ranker(query).hits[:n])
        except RecsysError as problem:
            failed, error, found = failed + 1, error or str(problem), ()
        ms.append((time.perf_counter() - started) * 1_000.0)
        lists.append(found)
        if progress is not None:
            progress(done, len(requests))
    if isinstance(ranker, BatchRanker):
        for one in ranker.batch(requests[alone:]):
            lists.append(tuple(hit.product_id for hit in one.hits[:n]))
            if progress is not None:
                progress(len(lists), len(requests))
    return Answers(tuple(lists), np.array(ms), failed, error)


def score(
    lists: Sequence[Sequence[str]],
    queries: Sequence[EvalQuery],
    catalogue: Catalogue,
    n: int,
    subgroups: Subgroups | None = None,
) -> Scores:
    """Return all metrics of the lists' first `n` items.

    Raises MissingExtra.
    """
    lists = [list(own)[:n] for own in lists]
    values = accuracy(lists, [query.grades for query in queries], n)
    values["novelty"] = catalogue.novelty(lists)
    values["diversity"] = catalogue.diversity(lists)
    values["popularity"] = catalogue.popularity(lists, [query.seen for query in queries])
    whole = {"coverage": catalogue.coverage(lists), "gini": catalogue.gini(lists)}
    by_subgroup, users = {}, {}
    for name, part in (subgroups or {}).items():
        by_subgroup[name] = accuracy([lists[i] for i in part], list(part.values()), n)
        users[name] = tuple(queries[i].actor for i in part)
    return Scores(values, whole, tuple(query.actor for query in queries), by_subgroup, users)


def subgroups_of(split: EvalSplit, catalogue: Catalogue) -> Subgroups:
    """Return the subgroups of the queries: new users, known users and cold items.

    New users have 3 events at most, known users are the others. Cold items are the queries whose relevant items include one that
    3 users at most have an event on; there such items alone are relevant. Left out are empty subgroups, and one of users that
    has all queries.
    """
    cold = catalogue.cold(_COLD_USERS)
    new: dict[int, Mapping[str, float]] = {}
    others: dict[int, Mapping[str, float]] = {}
    colds: dict[int, Mapping[str, float]] = {}
    for number, query in enumerate(split.queries):
        (new if len(query.history.item_ids) <= _FEW_EVENTS else others)[number] = query.grades
        rare = {item: grade for item, grade in query.grades.items() if item in cold}
        if rare:
            colds[number] = rare
    found = {"new users": new, "known users": others, "cold items": colds}
    whole = len(split)
    return {name: part for name, part in found.items() if part and (name == "cold items" or len(part) < whole)}


def summary(scores: Scores, rng: np.random.Generator) -> dict[str, Estimate]:
    """Return the mean and interval of each metric; those of all lists together have no interval."""
    found = {name: bootstrap(values, rng, groups=scores.actors) for name, values in scores.values.items()}
    n = len(scores.actors)
    found.update({name: Estimate(value, float("nan"), float("nan"), n) for name, value in scores.whole.items()})
    return found
