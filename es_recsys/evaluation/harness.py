"""Asks a ranker all questions of a split, and says how good the answers are.

All items are ranked, those that the user knows are left out (by the ranker: it is part of answering), and a question without
an answer counts 0.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from es_recsys.errors import RecsysError
from es_recsys.evaluation.accuracy import ACCURACY, accuracy
from es_recsys.evaluation.beyond import Catalogue
from es_recsys.evaluation.questions import Question, Split
from es_recsys.evaluation.rankers import ManyRanker, Ranker, asked
from es_recsys.evaluation.statistics import Estimate, bootstrap, holm, paired_test
from es_recsys.progress import Progress

__all__ = ["Answers", "Scores", "Slices", "ask", "score", "significance", "slices_of", "summary"]

# Questions that are put one by one, to tell how long an answer takes.
_TIMED = 200
_FEW_EVENTS = 3
_COLD_USERS = 3


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """lists: item ids, best first, of each question; empty where it failed. ms: what single answers took. failed: how many
    questions had no answer but an error; error: the first one."""

    lists: tuple[tuple[str, ...], ...]
    ms: NDArray[np.float64]
    failed: int = 0
    error: str = ""

    def latency(self) -> dict[str, float]:
        """Median and 95th percentile, milliseconds."""
        if not len(self.ms):
            return {}
        p50, p95 = np.quantile(self.ms, [0.5, 0.95])
        return {"p50": float(p50), "p95": float(p95)}


# Name -> for each question of the slice its number and its grades there.
Slices = Mapping[str, Mapping[int, Mapping[str, float]]]


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """values: metric -> (n_questions,) float64, NaN where a question has none. whole: of all lists together (coverage, gini).
    slices: slice -> metric -> values of its questions. who: the asker of each question; slice_who the same by slice."""

    values: Mapping[str, NDArray[np.float64]]
    whole: Mapping[str, float]
    who: tuple[str, ...]
    slices: Mapping[str, Mapping[str, NDArray[np.float64]]] = field(default_factory=dict)
    slice_who: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def ask(ranker: Ranker, questions: Sequence[Question], n: int, progress: Progress | None = None) -> Answers:
    """Puts the questions: the first 200 one by one, which tells how long an answer takes, the rest together where the ranker
    can. An error of ours is an answer without items; any other is raised."""
    queries = [asked(question, n) for question in questions]
    lists: list[tuple[str, ...]] = []
    ms: list[float] = []
    failed, error = 0, ""
    alone = min(_TIMED, len(queries)) if isinstance(ranker, ManyRanker) else len(queries)
    for place, query in enumerate(queries[:alone]):
        started = time.perf_counter()
        try:
            found = tuple(hit.product_id for hit in ranker(query).hits[:n])
        except RecsysError as problem:
            failed, error, found = failed + 1, error or str(problem), ()
        ms.append((time.perf_counter() - started) * 1_000.0)
        lists.append(found)
        if progress is not None:
            progress(place + 1, len(queries))
    if isinstance(ranker, ManyRanker):
        for one in ranker.many(queries[alone:]):
            lists.append(tuple(hit.product_id for hit in one.hits[:n]))
            if progress is not None:
                progress(len(lists), len(queries))
    return Answers(tuple(lists), np.array(ms), failed, error)


def score(
    lists: Sequence[Sequence[str]],
    questions: Sequence[Question],
    catalogue: Catalogue,
    n: int,
    slices: Slices | None = None,
) -> Scores:
    """All metrics of the lists' first `n`. Raises MissingExtra."""
    lists = [list(own)[:n] for own in lists]
    values = accuracy(lists, [question.grades for question in questions], n)
    values["novelty"] = catalogue.novelty(lists)
    values["diversity"] = catalogue.diversity(lists)
    values["popularity"] = catalogue.popularity(lists, [question.known for question in questions])
    whole = {"coverage": catalogue.coverage(lists), "gini": catalogue.gini(lists)}
    by_slice, slice_who = {}, {}
    for name, part in (slices or {}).items():
        by_slice[name] = accuracy([lists[i] for i in part], list(part.values()), n)
        slice_who[name] = tuple(questions[i].who for i in part)
    return Scores(values, whole, tuple(question.who for question in questions), by_slice, slice_who)


def slices_of(split: Split, catalogue: Catalogue) -> Slices:
    """Questions of users with 3 events at most, of the others, and those whose right answers include an item that 3 users at
    most have an event on (there such items alone are right). Slices that are empty, or everything, are left out."""
    cold = catalogue.cold(_COLD_USERS)
    new: dict[int, Mapping[str, float]] = {}
    others: dict[int, Mapping[str, float]] = {}
    colds: dict[int, Mapping[str, float]] = {}
    for number, question in enumerate(split.questions):
        (new if len(question.history.item_ids) <= _FEW_EVENTS else others)[number] = question.grades
        rare = {item: grade for item, grade in question.grades.items() if item in cold}
        if rare:
            colds[number] = rare
    found = {"new users": new, "known users": others, "cold items": colds}
    whole = len(split.questions)
    return {name: part for name, part in found.items() if part and (name == "cold items" or len(part) < whole)}


def summary(scores: Scores, rng: np.random.Generator) -> dict[str, Estimate]:
    """Mean and interval of each metric; of the whole there is no interval."""
    found = {name: bootstrap(values, rng, groups=scores.who) for name, values in scores.values.items()}
    n = len(scores.who)
    found.update({name: Estimate(value, float("nan"), float("nan"), n) for name, value in scores.whole.items()})
    return found


def significance(
    named: Mapping[str, Scores], against: str, rng: np.random.Generator, metrics: Sequence[str] = ACCURACY
) -> dict[str, dict[str, float]]:
    """Ranker -> metric -> p-value of its difference to `against`, corrected for the number of rankers."""
    found: dict[str, dict[str, float]] = {name: {} for name in named if name != against}
    reference = named[against]
    for metric in metrics:
        raw = {
            name: paired_test(scores.values[metric], reference.values[metric], rng, groups=scores.who)
            for name, scores in named.items()
            if name != against
        }
        for name, value in holm(raw).items():
            found[name][metric] = value
    return found
