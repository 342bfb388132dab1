"""Training of the collaborative models on given events, put into service in a new index version.

New factors are a new space, so everything that speaks of it changes at once: the version with the items' vectors, the models'
artefacts, and the profiles. The version before it stays for a rollback.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from es_recsys.dataset import Interactions
from es_recsys.events.follows import read_follows
from es_recsys.features import compute_features
from es_recsys.index import versions
from es_recsys.index_metadata import IndexMetadata
from es_recsys.models import MODELS
from es_recsys.models.segments import SEGMENTS, Segments
from es_recsys.progress import ProgressReporter
from es_recsys.search.retrievers import recency_pivot_hours
from es_recsys.serving.refresh import half_lives
from es_recsys.serving.snapshot import ServingSnapshot
from es_recsys.serving.snapshot_cache import segments_folder
from es_recsys.serving.workspace import Workspace
from es_recsys.training.attempts import Attempts
from es_recsys.training.baskets import store_purchase_counts
from es_recsys.training.item_table import item_table, plain_table
from es_recsys.training.model_selection import TrainSpec, select
from es_recsys.training.new_items import with_new_items
from es_recsys.training.publish import UnservedModel, publish_version
from es_recsys.training.selection_report import ExpectedQuality, Notes
from es_recsys.training.training_record import TrainingRecord
from es_recsys.training.tuned_settings import load_tuned

__all__ = ["TrainReport", "live_names", "search_seconds", "train_and_publish", "train_spec"]

# Whoever names models may name some that learn for minutes.
_NAMED_BUDGET = 900.0


@dataclass(frozen=True, slots=True)
class TrainReport:
    """Report of a training.

    What was chosen and why (`chosen`, `figures`), and how long training and putting into service took, seconds.
    """

    version: int
    models: tuple[str, ...]
    weights: Mapping[str, float]
    chosen: tuple[str, ...]
    figures: Mapping[str, Any]
    training_s: float
    serving_s: float

    def lines(self) -> Iterator[str]:
        yield from self.chosen
        yield (
            f"Version {self.version} is live with {', '.join(self.models)}:"
            f" {self.training_s:.1f} s of training, {self.serving_s:.1f} s to put it into service"
        )

    def to_dict(self) -> dict[str, Any]:
        return {
            "version": self.version,
            "models": list(self.models),
            "weights": dict(self.weights),
            "chosen": list(self.chosen),
            "figures": dict(self.figures),
            "training_s": self.training_s,
            "serving_s": self.serving_s,
        }


def live_names(work: Workspace, snapshot: ServingSnapshot) -> tuple[str, ...]:
    """Return the models that are live, and segments where the version has them."""
    segments = segments_folder(work.settings, snapshot.metadata.version)
    return (*snapshot.models, SEGMENTS) if segments.exists() else tuple(snapshot.models)


def train_spec(
    work: Workspace,
    metadata: IndexMetadata,
    names: tuple[str, ...],
    configs: Mapping[str, Any],
    targets: tuple[str, ...] = (),
    shares: Mapping[str, float] | None = None,
    first_event: Mapping[str, float] | None = None,
    neutral: Mapping[str, float] | None = None,
    progress: ProgressReporter | None = None,
) -> TrainSpec:
    """Return the spec that a training of these models starts from.

    It has segments where they are among the names; `configs`, for other named ones the settings that `tune model` found; the
    catalogue, where one of them reads it; checkpoints. shares, first_event, neutral: where `configs` and they are all
    decided. progress: is shown the epochs of long trainings.
    """
    segments, names = SEGMENTS in names, tuple(name for name in names if name != SEGMENTS)
    tuned = {name: config for name in names if (config := load_tuned(work.settings, name)) is not None}
    decided = (*names, *(shares or {}))
    reading = any(MODELS[name].reads_items for name in decided)
    if not decided or any(MODELS[name].takes_new_items for name in decided):
        reading = reading or _has_texts(work, metadata)
    items = item_table(work, metadata) if reading or segments else None
    return TrainSpec(
        names,
        {**tuned, **configs},
        items,
        work.settings.store_home / "checkpoints",
        shares=shares or {},
        first_event=first_event or {},
        neutral=neutral or {},
        half_lives=half_lives(work.settings.search),
        pivot_hours=recency_pivot_hours(work.settings.search),
        follows=read_follows(work.events) if items is not None else None,
        taste_days=work.settings.profiles.long_half_life,
        fixed=frozenset(work.settings.search.fixed_weights),
        targets=targets,
        part=progress.part if progress is not None else None,
        segments=segments,
    )


def search_seconds(spec: TrainSpec, budget: float | None) -> float | None:
    """Return the seconds of processor time to try settings in: the budget, a default where models are named, else None."""
    return _NAMED_BUDGET if budget is None and spec.names else budget


def train_and_publish(
    work: Workspace,
    live: ServingSnapshot,
    data: Interactions,
    now: float,
    spec: TrainSpec,
    *,
    expected_quality: ExpectedQuality | None = None,
    budget: float | None = None,
    seed: int = 7,
    progress: ProgressReporter | None = None,
) -> TrainReport:
    """Train on `data`, the store's events up to `now`, and serve the result in the place of `live`.

    The models of `live` need not be there; the caller holds the training lock. expected_quality: measured by the caller, where
    the spec leaves nothing to be measured here. progress: is shown each line of what was chosen as it is known, then how many
    items are copied.
    """
    started = time.monotonic()
    old = live.metadata
    versions.create_missing_profiles_index(work.job_es, old)
    work.confirm_key(old, adopt=True)
    on_line = progress.line if progress is not None else None
    chosen = select(data, np.random.default_rng(seed), search_seconds(spec, budget), on_line, spec)
    trained = time.monotonic()
    record = TrainingRecord.on(data, now, spec.named, old.event_weights, chosen.report.figures, expected_quality, spec.targets)
    items = None if old.notes.get("bare") else spec.items or plain_table(work, old)
    notes = Notes(on_line)
    attempts = Attempts(notes, spec.required)
    chosen = attempts.step(
        "Items without events are left to their content", lambda: with_new_items(chosen, data, spec.items, notes), chosen
    )
    table = attempts.step("Rankings learn nothing of the items' figures", lambda: compute_features(data, items, now), None)
    groups = None
    if spec.segments:
        groups = attempts.model(SEGMENTS, "", lambda: Segments().fit(data, np.random.default_rng(seed), items))
    attempts.step("What is bought together, or again, is not counted anew", lambda: store_purchase_counts(work, old), None)
    metadata = None
    while metadata is None:
        try:
            metadata = publish_version(work, live, chosen, data, table, groups, record, progress)
        except UnservedModel as error:
            attempts.model(error.model, "when it was put into service", error.reraise)
            chosen = chosen.without(error.model)
    served = time.monotonic()
    return TrainReport(
        metadata.version,
        metadata.models,
        chosen.weights,
        (*chosen.report.lines, *notes.lines),
        {**chosen.report.figures, **({"curves": spec.curves} if spec.curves else {})},
        trained - started,
        served - trained,
    )


def _has_texts(work: Workspace, metadata: IndexMetadata) -> bool:
    """Return whether there is a catalogue, and not bare ids out of events."""
    return bool(work.es.count(index=metadata.index, query={"exists": {"field": "title"}})["count"])
