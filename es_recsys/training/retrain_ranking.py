"""Retraining of the learned ranking where there is more to learn from: what a scheduler runs.

Due means that the answers that something was done with, or the judged queries of the file given, have grown since the ranking was
trained last. What is not significantly better is not served (train_ranking.py), and waits for more, too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from es_recsys.errors import InputError
from es_recsys.progress import ProgressReporter
from es_recsys.serving.workspace import Workspace
from es_recsys.sources import read_judgments
from es_recsys.training.lambdamart import LambdaMARTConfig
from es_recsys.training.logged_examples import rewards
from es_recsys.training.retrain import BUSY, GROWTH, NOT_DUE, growth_since, must_grow
from es_recsys.training.train_ranking import RankingReport, train_ranking
from es_recsys.training.training_record import recorded_ranking, training_lock

__all__ = ["RankingRun", "train_ranking_if_needed"]


@dataclass(frozen=True, slots=True)
class RankingRun:
    """Outcome of a run.

    outcome: "nothing" (not due), "busy" (another training is running), "trained" (a new ranking serves), or "kept" (what served
    goes on serving). fact: what was looked at, in words.
    """

    outcome: str
    fact: str = ""
    training: RankingReport | None = None

    def lines(self) -> Iterator[str]:
        if self.outcome == "busy":
            yield BUSY
            return
        yield self.fact
        if self.training is None:
            yield NOT_DUE
        else:
            yield from self.training.lines()

    def to_dict(self) -> dict[str, Any]:
        training = None if self.training is None else self.training.to_dict()
        return {"outcome": self.outcome, "facts": [self.fact] if self.fact else [], "training": training}


def train_ranking_if_needed(
    work: Workspace,
    judgments: Path | None = None,
    *,
    columns: Mapping[str, str] | None = None,
    growth: float = GROWTH,
    seed: int = 7,
    progress: ProgressReporter | None = None,
    trees: LambdaMARTConfig | None = None,
) -> RankingRun:
    """Train the learned ranking again where that is due, as `train_ranking` does, else report why not.

    Too few answers to learn from are no error here. growth: share by which answers or judged queries must have grown. Raises
    StoreNotFound, InputError for a growth that is not above 0 or judgments that are too few, MissingExtra without LightGBM.
    """
    must_grow(growth)
    with work.translating_errors():
        metadata = work.snapshots.latest().metadata
        with training_lock(work.settings) as free:
            if not free:
                return RankingRun("busy")
            known, count = (
                _answers(work, recorded_ranking(metadata, "answers"))
                if judgments is None
                else (recorded_ranking(metadata, "judgments"), _judged(judgments, columns or {}))
            )
            fact, due = _growth("Judged queries" if judgments is not None else "Answers acted upon", known, count, growth)
            if not due:
                return RankingRun("nothing", fact)
            try:
                report = train_ranking(work, judgments, columns=columns, seed=seed, progress=progress, trees=trees)
            except InputError as error:
                if judgments is not None:
                    raise
                return RankingRun("nothing", f"{fact} {error}")
    return RankingRun("trained" if any(one.kept for one in report.outcomes) else "kept", fact, report)


def _growth(what: str, known: float | None, count: int, growth: float) -> tuple[str, bool]:
    if known is None:
        return f"{what}: {count:,}; no ranking was trained on such yet.", True
    line, share = growth_since(what, count, known, growth)
    return line, share >= growth


def _answers(work: Workspace, until: float | None) -> tuple[float | None, int]:
    """Return how many logged answers something was done with: of those given before the last training, and of all.

    until: epoch seconds of the last training; where there was none (None), the first number is None.
    """
    acted = {answer_id for answer_id, _ in rewards(work.events.scan())}
    times = [float(record["time"]) for record in work.log.read() if str(record["answer_id"]) in acted]
    return (None if until is None else float(sum(time <= until for time in times))), len(times)


def _judged(judgments: Path, columns: Mapping[str, str]) -> int:
    """Return the number of queries with a positive grade."""
    return sum(any(grade > 0.0 for grade in own.values()) for own in read_judgments(judgments, columns=columns).values())
