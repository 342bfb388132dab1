"""Comparison of techniques, as it is printed, kept as JSON, and reported."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from es_recsys.errors import InputError
from es_recsys.evaluation.accuracy import ACCURACY
from es_recsys.evaluation.cost import Cost
from es_recsys.evaluation.harness import Answers, Scores, summary
from es_recsys.evaluation.statistics import Estimate, bootstrap, holm, paired_test

__all__ = ["ALPHA", "METRICS", "Comparison", "Measured", "Technique", "compared"]

# Differences with a corrected p-value from here on are taken for chance.
ALPHA = 0.05
METRICS = (*ACCURACY, "coverage", "novelty", "diversity", "popularity", "gini")
_FORM = 2


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """One technique as it was measured.

    path: "memory", or "served" through Elasticsearch. curve: what its training told, a row an epoch.
    """

    name: str
    path: str
    answers: Answers
    scores: Scores
    cost: Cost | None = None
    curve: Sequence[Mapping[str, float]] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class Technique:
    """One technique of a comparison, with its metrics and costs.

    figures: metric -> mean and interval. p: metric -> corrected p-value of the difference to the best of that metric (no
    entry for the best itself). subgroups: subgroup of the queries -> metric -> mean and interval. ms: p50 and p95 of a single
    answer, milliseconds.
    """

    name: str
    path: str
    figures: Mapping[str, Estimate] = field(default_factory=dict)
    p: Mapping[str, float] = field(default_factory=dict)
    subgroups: Mapping[str, Mapping[str, Estimate]] = field(default_factory=dict)
    ms: Mapping[str, float] = field(default_factory=dict)
    training_s: float | None = None
    peak_mib: float | None = None
    failed: int = 0
    curve: tuple[Mapping[str, float], ...] = ()
    note: str = ""

    def to_dict(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "path": self.path,
            "figures": {name: one.to_dict() for name, one in self.figures.items()},
            "p": {name: round(p, 6) for name, p in self.p.items()},
            "subgroups": {name: {m: one.to_dict() for m, one in part.items()} for name, part in self.subgroups.items()},
            "ms": {name: round(ms, 3) for name, ms in self.ms.items()},
            "training_s": None if self.training_s is None else round(self.training_s, 3),
            "peak_mib": None if self.peak_mib is None else round(self.peak_mib, 1),
            "failed": self.failed,
            "curve": [dict(row) for row in self.curve],
            "note": self.note,
        }

    @classmethod
    def from_dict(cls, found: Mapping[str, Any]) -> Technique:
        subgroups = {name: {m: Estimate.from_dict(one) for m, one in part.items()} for name, part in found["subgroups"].items()}
        figures = {name: Estimate.from_dict(one) for name, one in found["figures"].items()}
        rest = {name: found[name] for name in ("name", "path", "p", "ms", "training_s", "peak_mib", "failed", "note")}
        return cls(figures=figures, subgroups=subgroups, curve=tuple(found["curve"]), **rest)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Techniques side by side, on the same queries.

    best: metric -> the technique that is best by it. about: what was measured on, as JSON values. notes: what a reader must
    know. tuning: model -> history of its trials.
    """

    store: str
    made: str
    split: str
    queries: int
    n: int
    techniques: tuple[Technique, ...]
    best: Mapping[str, str]
    about: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    tuning: Mapping[str, Any] = field(default_factory=dict)

    @property
    def subgroups(self) -> tuple[str, ...]:
        """Names of the subgroups of the queries that any technique has metrics of."""
        return tuple(dict.fromkeys(name for one in self.techniques for name in one.subgroups))

    def lines(self) -> Iterator[str]:
        yield f"{self.queries:,} queries ({self.split}), {self.n} items each."
        for name, winner in self.best.items():
            if name in ACCURACY:
                figure = next(one.figures[name] for one in self.techniques if one.name == winner)
                yield f"{name}@{self.n}: {winner} {figure}"
        yield from self.notes

    def to_dict(self) -> dict[str, Any]:
        return {
            "kind": "evaluation",
            "form": _FORM,
            "store": self.store,
            "made": self.made,
            "split": self.split,
            "queries": self.queries,
            "n": self.n,
            "best": dict(self.best),
            "techniques": [one.to_dict() for one in self.techniques],
            "about": dict(self.about),
            "notes": list(self.notes),
            "tuning": dict(self.tuning),
        }

    @classmethod
    def from_dict(cls, found: Mapping[str, Any]) -> Comparison:
        """Read what `to_dict` returned.

        Raises InputError where `found` is something else.
        """
        try:
            if found["kind"] != "evaluation" or found["form"] != _FORM:
                raise KeyError("form")
            techniques = tuple(Technique.from_dict(one) for one in found["techniques"])
            plain = {name: found[name] for name in ("store", "made", "split", "queries", "n", "best", "about", "tuning")}
            return cls(techniques=techniques, notes=tuple(found["notes"]), **plain)
        except (KeyError, TypeError, AttributeError) as error:
            raise InputError(
                "This is no result of `es-recsys evaluate` of this version.", "Write one with --out FILE.json."
            ) from error


def compared(measured: Sequence[Measured], rng: np.random.Generator) -> tuple[tuple[Technique, ...], dict[str, str]]:
    """Return the techniques with intervals and significance, best NDCG first, and the best by each metric."""
    figures = {one.name: summary(one.scores, rng) for one in measured}
    best = {name: winner for name in METRICS if (winner := _best(name, figures)) is not None}
    p = _significance(measured, best, rng)
    techniques = tuple(
        Technique(
            one.name,
            one.path,
            figures[one.name],
            p[one.name],
            _subgroup_figures(one, rng),
            one.answers.latency(),
            None if one.cost is None else one.cost.seconds,
            None if one.cost is None else one.cost.peak_mib,
            one.answers.failed,
            tuple(one.curve),
            one.note or one.answers.error,
        )
        for one in sorted(measured, key=lambda one: -figures[one.name]["NDCG"].mean)
    )
    return techniques, best


def _best(metric: str, figures: Mapping[str, Mapping[str, Estimate]]) -> str | None:
    known = {name: own[metric].mean for name, own in figures.items() if not math.isnan(own[metric].mean)}
    return max(known, key=lambda name: _goodness(metric, known[name])) if known else None


def _goodness(metric: str, value: float) -> float:
    """Return a number that is the larger, the better the value of the metric is.

    The most is best, of gini the least, of popularity what is nearest to the user's own: 1.
    """
    if metric == "gini":
        return -value
    return -abs(math.log(max(value, 1e-12))) if metric == "popularity" else value


def _significance(measured: Sequence[Measured], best: Mapping[str, str], rng: np.random.Generator) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {one.name: {} for one in measured}
    for metric in ACCURACY:
        reference = next(one for one in measured if one.name == best[metric]).scores
        others = [one for one in measured if one.name != best[metric]]
        raw = {
            one.name: paired_test(one.scores.values[metric], reference.values[metric], rng, groups=reference.actors)
            for one in others
        }
        for name, value in holm(raw).items():
            found[name][metric] = value
    return found


def _subgroup_figures(one: Measured, rng: np.random.Generator) -> dict[str, dict[str, Estimate]]:
    return {
        name: {
            metric: bootstrap(values, rng, groups=one.scores.subgroup_actors[name], rounds=500) for metric, values in part.items()
        }
        for name, part in one.scores.subgroups.items()
    }
