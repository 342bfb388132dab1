"""Retraining where it is due, served unless the outcome is worse: what a scheduler runs.

Due means that the events or the items have grown, that the weights of event types are others, or that the models in service do
worse than expected. The new models are first trained without the newest events, and compared with those in service on them; only
then on everything.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from es_recsys.dataset import Interactions
from es_recsys.errors import InputError
from es_recsys.evaluation.holdout_split import HoldoutSplit
from es_recsys.index import stored_metadata, versions
from es_recsys.models.removed import recommending, without_removed
from es_recsys.progress import ProgressReporter
from es_recsys.serving.snapshot import ServingSnapshot
from es_recsys.serving.stored_interactions import load_interactions
from es_recsys.serving.workspace import Workspace
from es_recsys.training.attempts import Attempts
from es_recsys.training.count_interactions import try_recount
from es_recsys.training.model_selection import TrainSpec, select
from es_recsys.training.search_weights import with_search_weights
from es_recsys.training.selection_report import Notes
from es_recsys.training.served_quality import Ensemble, Quality, ServedComparison, compare, held_out, quality, serving
from es_recsys.training.target_types import check_targets, targets_of
from es_recsys.training.train import check_model_names
from es_recsys.training.train_version import TrainReport, live_names, search_seconds, train_and_publish, train_spec
from es_recsys.training.training_record import (
    TrainingRecord,
    attempted_events,
    catalogue_ids,
    load_catalogue_ids,
    record_attempt,
    training_lock,
)

__all__ = ["BUSY", "GROWTH", "NOT_DUE", "RetrainCheck", "RetrainReport", "check", "growth_since", "must_grow", "train_if_needed"]

GROWTH = 0.1
BUSY = "Another training of this store is running: nothing is done."
NOT_DUE = "No training is needed."


@dataclass(frozen=True, slots=True)
class RetrainCheck:
    """Outcome of the check whether a training is due.

    facts: what was looked at, in words. reasons: why a training is due; none where it isn't.
    """

    facts: tuple[str, ...]
    reasons: tuple[str, ...] = ()
    quality: Quality | None = None

    def why(self) -> str:
        return f"Training, as {'; '.join(self.reasons)}."


@dataclass(frozen=True, slots=True)
class RetrainReport:
    """Report of a retraining.

    outcome: "nothing" (not due), "busy" (another training is running), "trained" (a new version is live), or "kept" (the new
    models are worse: the version that was live stays).
    """

    outcome: str
    checked: RetrainCheck = RetrainCheck(())
    compared: ServedComparison | None = None
    tried: tuple[str, ...] = ()
    training: TrainReport | None = None
    seconds: float = 0.0

    def lines(self) -> Iterator[str]:
        yield from self.checked.facts
        if self.outcome == "busy":
            yield BUSY
            return
        if self.outcome == "nothing":
            yield NOT_DUE
            return
        yield self.checked.why()
        yield from self.tried
        if self.compared is not None:
            yield self.compared.line()
        if self.outcome == "kept":
            yield f"That is worse by more than chance: the version in service stays. {self.seconds:.0f} s."
        if self.training is not None:
            yield from self.training.lines()

    def to_dict(self) -> dict[str, Any]:
        found, both = self.checked.quality, self.compared
        return {
            "outcome": self.outcome,
            "facts": list(self.checked.facts),
            "reasons": list(self.checked.reasons),
            "quality": None
            if found is None
            else {
                "now": found.now,
                "expected": found.expected_quality.ndcg,
                "change": found.change.to_dict(),
                "fallen": found.fallen,
            },
            "compared": None
            if both is None
            else {"users": both.users, "serving": both.serving, "new": both.new, "gain": both.gain.to_dict()},
            "training": None if self.training is None else self.training.to_dict(),
            "seconds": self.seconds,
        }


def train_if_needed(
    work: Workspace,
    names: Sequence[str] = (),
    *,
    add: bool = False,
    targets: Sequence[str] = (),
    growth: float = GROWTH,
    budget: float | None = None,
    seed: int = 7,
    progress: ProgressReporter | None = None,
) -> RetrainReport:
    """Train the models again where that is due, else report why not.

    Without names or targets those that the version in service was trained for. growth: share by which events or items must have
    grown. add, budget: as `train` has them. Safe to run at any time: at most one training of a store runs in a data folder, and
    readers see one whole version or the other. What exploration knows of the items is counted anew in any case. Raises
    StoreNotFound, InputError for an unknown name or type or a growth that is not above 0; what `train` raises.
    """
    must_grow(growth)
    wanted, leading, started = check_model_names(names), check_targets(targets), time.monotonic()
    with work.translating_errors():
        snapshot = work.snapshots.for_training()
        with training_lock(work.settings) as free:
            if not free:
                return RetrainReport("busy")
            try_recount(work, snapshot.metadata, progress.line if progress is not None else None)
            report = _run(work, wanted, add, leading, growth, budget, seed, progress)
            if report.training is not None:
                report = replace(report, training=with_search_weights(work, report.training, seed, progress))
    return replace(report, seconds=time.monotonic() - started)


def must_grow(growth: float) -> None:
    """Raise InputError for a growth that is not above 0."""
    if not growth > 0.0:
        raise InputError(f"A growth of {growth:g} is none.", "Give a share above 0: 0.1 is a tenth.")


def growth_since(what: str, count: int, base: float, growth: float) -> tuple[str, float]:
    """Return a line on how many there are of something, and the share by which they have grown since the last training.

    growth: the share that it takes to be worth a training.
    """
    share = (count - base) / max(base, 1)
    line = f"{what}: {count:,}, {share:+.1%} against the {base:,.0f} of the last training; it takes {growth:+.1%}."
    return line, share


def _run(
    work: Workspace,
    names: tuple[str, ...],
    add: bool,
    targets: tuple[str, ...],
    growth: float,
    budget: float | None,
    seed: int,
    progress: ProgressReporter | None,
) -> RetrainReport:
    snapshot, now = work.snapshots.latest() if add else work.snapshots.for_training(), work.now()
    if add:
        names = tuple(dict.fromkeys((*live_names(work, snapshot), *names)))
    data = load_interactions(work, snapshot.metadata, now)
    checked = check(work, snapshot, data, names, targets, growth, np.random.default_rng(seed))
    if not checked.reasons:
        return RetrainReport("nothing", checked)
    on_line = progress.line if progress is not None else None
    if on_line is not None:
        for line in (*checked.facts, checked.why()):
            on_line(line)
    record = TrainingRecord.of(snapshot.metadata)
    names = names or (without_removed(record.names) if record is not None else ())
    targets = targets or targets_of(snapshot.metadata)
    rng = np.random.default_rng([seed, 1])
    part = held_out(record, data, rng, targets)
    old = serving(snapshot, data, record.until if record is not None else None)
    spec = train_spec(work, snapshot.metadata, names, {}, targets, progress=progress)
    train_on_all = partial(train_and_publish, work, snapshot, data, now, seed=seed, progress=progress)
    if part is None or not old[0]:
        note = "The new models can't be compared with those in service: too few users have come to a new item since."
        return RetrainReport(
            "trained", checked, tried=(note,) if snapshot.models else (), training=train_on_all(spec, budget=budget)
        )
    notes = Notes(on_line)
    tried = Attempts(notes).step(
        "The new models are not compared with those in service",
        lambda: _tried(part, old, spec, budget, seed, rng, on_line),
        None,
    )
    if tried is None:
        return RetrainReport("trained", checked, tried=tuple(notes.lines), training=train_on_all(spec, budget=budget))
    compared, lines, decided = tried
    if compared.worse:
        record_attempt(work, len(data.items))
        return RetrainReport("kept", checked, compared, lines)
    spec = train_spec(work, snapshot.metadata, names, decided[0], targets, *decided[1:], progress=progress)
    return RetrainReport("trained", checked, compared, lines, train_on_all(spec, expected_quality=compared.expected_quality))


def _tried(
    part: HoldoutSplit,
    old: Ensemble,
    spec: TrainSpec,
    budget: float | None,
    seed: int,
    rng: np.random.Generator,
    on_line: Callable[[str], None] | None,
) -> tuple[ServedComparison, tuple[str, ...], tuple[dict[str, Any], dict[str, float], Mapping[str, float], Mapping[str, float]]]:
    """Train without the newest events, and compare with the models in service.

    Returns the comparison, the lines of the selection's report, and the configs and shares it came to, those for users of
    whom one event is known, and the shares of what is popular and new.
    """
    chosen = select(part.train, np.random.default_rng(seed), search_seconds(spec, budget), on_line, spec)
    shares = dict(chosen.weights)
    compared = compare(old, (chosen.models, shares), part, rng)
    if on_line is not None:
        on_line(compared.line())
    configs = {name: chosen.models[name].config for name in shares}
    return compared, chosen.report.lines, (configs, shares, chosen.first_event, chosen.neutral)


def check(
    work: Workspace,
    snapshot: ServingSnapshot,
    data: Interactions,
    names: tuple[str, ...],
    targets: tuple[str, ...],
    growth: float,
    rng: np.random.Generator,
) -> RetrainCheck:
    """Return whether a training is due, and by what."""
    if not (data.weights > 0).any():
        return RetrainCheck(("There are no positive events to train on.",))
    record, version = TrainingRecord.of(snapshot.metadata), snapshot.metadata.version
    if recommending(snapshot.metadata.models) and not snapshot.models:
        return RetrainCheck((), (f"the models of version {version} can't be loaded",))
    if record is None:
        return RetrainCheck(
            (), (f"version {version} has no model" if not snapshot.models else f"it isn't known what version {version} knows",)
        )
    events, grown = _events(work, snapshot, record, len(data.items), growth)
    if grown is None and not snapshot.removed_models:
        return RetrainCheck((events,))
    items, new = _items(work, snapshot, growth)
    notes = Notes(None)
    nothing: Quality | str = ""
    found = (
        Attempts(notes).step("Quality: not compared", lambda: quality(snapshot, record, data, rng), nothing) or notes.lines[-1]
    )
    gone = snapshot.removed_models
    left = f"there is no {' and no '.join(gone)} any more" if gone else ""
    reasons = [grown, new, left, *_wishes(live_names(work, snapshot), snapshot, record, names, targets)]
    if isinstance(found, Quality) and found.fallen:
        reasons.append("quality has fallen")
    facts = (events, items, found.line() if isinstance(found, Quality) else found)
    return RetrainCheck(facts, tuple(filter(None, reasons)), found if isinstance(found, Quality) else None)


def _wishes(
    live: tuple[str, ...], snapshot: ServingSnapshot, record: TrainingRecord, names: tuple[str, ...], targets: tuple[str, ...]
) -> Iterator[str]:
    lacking = [name for name in names if name not in live]
    if lacking:
        yield f"{', '.join(lacking)} {'is' if len(lacking) == 1 else 'are'} not served yet"
    if dict(record.event_weights) != dict(snapshot.metadata.event_weights):
        yield "events weigh otherwise since the training"
    if targets and targets != record.targets:
        yield f"answers are to lead to {' or '.join(targets)}"


def _events(
    work: Workspace, snapshot: ServingSnapshot, record: TrainingRecord, count: int, growth: float
) -> tuple[str, str | None]:
    """Return what there is to say of the events' growth, and a reason to train, "" for none.

    The reason is None where nothing is to be done before they grow, since a training on as many was no gain, or was taken out of
    service.
    """
    elsewhere = _discarded(work, snapshot)
    base = max(record.events, elsewhere)
    line, share = growth_since("Events", count, base, growth)
    if share >= growth:
        return line, f"events have grown by {share:.1%}"
    if elsewhere:
        why = "What that training made is not in service: it was worse, or was taken back. Another waits for more events."
        return f"{line} {why}", None
    return line, ""


def _discarded(work: Workspace, snapshot: ServingSnapshot) -> int:
    """Return the number of events of the last training that is not in service, though it came after the version that is.

    0 where there was none.
    """
    later = [n for n in versions.version_numbers(work.es, snapshot.metadata.store) if n > snapshot.metadata.version]
    records = [TrainingRecord.of(stored_metadata.read_version(work.es, snapshot.metadata.store, number)) for number in later]
    return max([attempted_events(snapshot.metadata), *(record.events for record in records if record is not None)])


def _items(work: Workspace, snapshot: ServingSnapshot, growth: float) -> tuple[str, str]:
    """Return what there is to say of the items that were not there at the training, and a reason to train, "" for none."""
    known = load_catalogue_ids(work.settings, snapshot.metadata.version)
    if known is None:
        return "Items: it isn't known which there were at the training.", ""
    present = catalogue_ids(work, snapshot.metadata)
    new = round((1.0 - known.coverage_of(present)) * len(present))
    share = new / max(len(known), 1)
    line = (
        f"Items: {len(present):,}, {new:,} of them new, {share:.1%} of the {len(known):,} at the training; it takes {growth:.1%}."
    )
    return line, f"items have grown by {share:.1%}" if share >= growth else ""
