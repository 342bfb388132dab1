"""What all measurements of an evaluation share: the split, the options, and how a ranker is measured."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

from es_recsys.dataset import ItemTable
from es_recsys.evaluation import Catalogue, Cost, EnsembleRanker, EvalSplit, EvalUsers, Ranker, ask, score, subgroups_of
from es_recsys.evaluation.harness import Subgroups
from es_recsys.evaluation.results import Measured
from es_recsys.jobs.evaluate_options import EvaluateOptions
from es_recsys.models import Model
from es_recsys.progress import Progress
from es_recsys.serving.workspace import Workspace

__all__ = ["MEMORY", "SERVED", "EvalRun"]

MEMORY, SERVED = "memory", "served"
_ENSEMBLE = "ensemble"


@dataclass(frozen=True, slots=True, eq=False)
class EvalRun:
    """One evaluation.

    train_targets: event types that an ensemble is trained for. deadline: of the trainings in memory, in seconds of
    `time.process_time`. notes: what a reader of the figures must know; measurements add to it.
    """

    work: Workspace
    split: EvalSplit
    items: ItemTable
    options: EvaluateOptions
    train_targets: tuple[str, ...]
    progress: Progress | None
    users: EvalUsers
    catalogue: Catalogue
    subgroups: Subgroups
    deadline: float
    notes: list[str] = field(default_factory=list)

    @classmethod
    def of(
        cls,
        work: Workspace,
        split: EvalSplit,
        items: ItemTable,
        options: EvaluateOptions,
        train_targets: tuple[str, ...],
        progress: Progress | None,
    ) -> Self:
        """Build the run of a split that has queries. Its time begins now."""
        catalogue = Catalogue.of(split.train, items)
        subgroups = subgroups_of(split, catalogue) if split.queries[0].actor else {}
        users, deadline = EvalUsers(split.queries), time.process_time() + options.budget
        return cls(work, split, items, options, train_targets, progress, users, catalogue, subgroups, deadline)

    def seconds_left(self) -> float:
        """Return the seconds of processor time until the deadline, negative after it."""
        return self.deadline - time.process_time()

    def measure(
        self,
        name: str,
        path: str,
        ranker: Ranker,
        cost: Cost | None = None,
        curve: Sequence[Mapping[str, float]] = (),
        note: str = "",
    ) -> Measured:
        """Ask the ranker all queries and score its answers. path: MEMORY or SERVED. curve: a row an epoch of its training."""
        queries, n = self.split.queries, self.options.n
        answers = ask(ranker, queries, n, self.progress)
        scores = score(answers.lists, queries, self.catalogue, n, self.subgroups)
        return Measured(name, path, answers, scores, cost, tuple(curve), note)

    def measure_ensemble(self, models: Mapping[str, Model], weights: Mapping[str, float], cost: Cost) -> Measured:
        """Measure trained models together, in memory. weights: model -> share."""
        note = ", ".join(f"{name} {share:.0%}" for name, share in weights.items())
        return self.measure(_ENSEMBLE, MEMORY, EnsembleRanker(models, weights, self.users), cost, note=note)
