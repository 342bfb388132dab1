"""How personal searches are, chosen at the end of a training by what people did."""

from __future__ import annotations

from dataclasses import replace

from es_recsys.errors import InputError
from es_recsys.progress import ProgressReporter
from es_recsys.serving.workspace import Workspace
from es_recsys.training.attempts import Attempts
from es_recsys.training.selection_report import Notes
from es_recsys.training.train_version import TrainReport
from es_recsys.training.tune_weights import WeightsTuneReport, tune_weights

__all__ = ["with_search_weights"]

_USERS, _FEWEST = 1_000, 200


def with_search_weights(work: Workspace, report: TrainReport, seed: int, progress: ProgressReporter | None) -> TrainReport:
    """Choose the weights of each kind of searches for the live version, and return the training's report with what was chosen.

    A store of which too few searches can be made keeps the usual weights.
    """
    notes = Notes(progress.line if progress is not None else None)

    def choose() -> WeightsTuneReport | None:
        try:
            return tune_weights(work, users=_USERS, situations=("query",), fewest=_FEWEST, seed=seed)
        except InputError:
            return None

    tuned = Attempts(notes).step("Searches keep the usual weights", choose, None)
    if tuned is not None:
        for line in tuned.lines():
            notes.say(line)
        whole = tuned.to_dict()
        found = whole["situations"]
        if whole["ranking"] is not None:
            notes.figures["personal_search"] = {name: value for name, value in whole["ranking"].items() if name != "curve"}
        notes.figures["searches"] = {
            kind: {name: value for name, value in one.items() if name != "history"} for kind, one in found.items()
        }
    return replace(report, chosen=(*report.chosen, *notes.lines), figures={**report.figures, **notes.figures})
