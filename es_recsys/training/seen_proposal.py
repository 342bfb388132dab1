"""What searches should do with items that the user has seen, by how often people take the same item again."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from es_recsys.dataset import Interactions
from es_recsys.progress import ProgressReporter
from es_recsys.serving.workspace import Workspace
from es_recsys.training.selection_report import Notes
from es_recsys.training.train_version import TrainReport

__all__ = ["SeenProposal", "seen_proposal", "with_seen_proposal"]

_FEWEST = 200
_RARELY, _SOMETIMES = 0.01, 0.1


@dataclass(frozen=True, slots=True)
class SeenProposal:
    """How often people take the same item again, as a share of what they take after their first item, and what that speaks for.

    seen: one of `query.SEEN`.
    """

    again: float
    takes: int
    seen: str

    def line(self) -> str:
        return (
            f"Of {self.takes:,} times that somebody took one more item, {self.again:.1%} were of one that they had taken before:"
            f' search.seen = "{self.seen}" is proposed (see --seen).'
        )


def with_seen_proposal(
    work: Workspace, report: TrainReport, data: Interactions, progress: ProgressReporter | None
) -> TrainReport:
    """Return a training's report with the proposal, where the settings don't say the same; what was trained on is `data`."""
    proposal = seen_proposal(data, work.settings.profiles.session_gap_s)
    if proposal is None:
        return report
    notes = Notes(progress.line if progress is not None else None)
    notes.figures["seen"] = {"again": proposal.again, "takes": proposal.takes, "proposed": proposal.seen}
    if proposal.seen != work.settings.search.seen:
        notes.say(proposal.line())
    return replace(report, chosen=(*report.chosen, *notes.lines), figures={**report.figures, **notes.figures})


def seen_proposal(data: Interactions, session_gap_s: float) -> SeenProposal | None:
    """Return the proposal: "exclude" below one in a hundred, "demote" below one in ten, else "keep"; None for too few events.

    Somebody takes an item again where they did something else meanwhile or, where events have times, after more than
    `session_gap_s` seconds: to look at a thing twice before buying it is one take.
    """
    positive = np.flatnonzero(data.weights > 0.0)
    users, items, times = data.users[positive], data.items[positive], data.times[positive]
    # By user and item, oldest first, with the place in the user's sequence.
    order = np.lexsort((np.arange(len(users)), items, users))
    same = (users[order][1:] == users[order][:-1]) & (items[order][1:] == items[order][:-1])
    apart = np.diff(times[order]) > session_gap_s if data.timed else np.diff(order) > 1
    again = int((same & apart).sum())
    takes = len(users) - int((same & ~apart).sum()) - len(np.unique(users))
    if takes < _FEWEST:
        return None
    share = again / takes
    return SeenProposal(share, takes, "exclude" if share < _RARELY else "demote" if share < _SOMETIMES else "keep")
