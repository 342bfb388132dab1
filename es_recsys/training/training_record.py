"""Training record: what a version was trained on and the quality to expect of it, kept in its notes.

A later run tells by it whether that still holds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from es_recsys.dataset import Interactions
from es_recsys.index.fetch import scan_ids
from es_recsys.index.id_set import IdSet
from es_recsys.index.version_folders import models_folder
from es_recsys.index_metadata import IndexMetadata
from es_recsys.locks import try_file_lock
from es_recsys.private import make_folder, private_opener
from es_recsys.renamed import MODELS, current, current_keys
from es_recsys.search.retriever_weights import SEARCH_KINDS
from es_recsys.search.retrievers import RETRIEVERS
from es_recsys.serving.workspace import Workspace
from es_recsys.settings import Settings
from es_recsys.training.selection_report import ExpectedQuality

__all__ = [
    "TrainingRecord",
    "attempted_events",
    "catalogue_ids",
    "load_catalogue_ids",
    "record_attempt",
    "record_ranking",
    "record_tuned",
    "recorded_ranking",
    "save_catalogue_ids",
    "training_lock",
    "tuned_situations",
]

_NOTE, _ATTEMPT, _TUNED, _RANKING = "trained", "attempt", "tuned", "ranking"
_CATALOGUE = "catalogue.npy"
# Keys of a stored record before 0.2.
_RENAMED = {"behaviours": "event_weights", "promise": "expected_quality"}


@dataclass(frozen=True, slots=True)
class TrainingRecord:
    """Record of what a version was trained on, and of the quality to expect of it.

    events: on items, those that count. until: epoch seconds up to which events were known (None: a store without times). names:
    models that the caller named (empty: they were chosen). event_weights: of event types, other than the usual. expected_quality:
    None where there was too little to hold out by time. targets: event types that answers are to lead to.
    """

    events: int
    until: float | None
    names: tuple[str, ...] = ()
    event_weights: Mapping[str, float] = field(default_factory=dict)
    expected_quality: ExpectedQuality | None = None
    targets: tuple[str, ...] = ()

    @classmethod
    def on(
        cls,
        data: Interactions,
        now: float,
        names: Sequence[str],
        event_weights: Mapping[str, float],
        figures: Mapping[str, Any],
        expected_quality: ExpectedQuality | None = None,
        targets: Sequence[str] = (),
    ) -> TrainingRecord:
        """Return the record of a training.

        figures: those of its selection, which hold the expected quality where it is not given.
        """
        # What is to be expected of other events than those that answers are to lead to says nothing of these.
        fits = figures.get("holdout") == "time" and tuple(figures.get("targets", ())) == tuple(targets)
        measured = figures.get("expected_quality") if fits else None
        if expected_quality is None and measured is not None:
            expected_quality = ExpectedQuality(**measured)
        until = now if data.timed else None
        return cls(len(data.items), until, tuple(names), dict(event_weights), expected_quality, tuple(targets))

    def noted(self, notes: Mapping[str, Any]) -> dict[str, Any]:
        """Return the notes of a version with this record, and without what concerned its predecessor alone."""
        kept = {key: value for key, value in notes.items() if key not in ("replaces", _ATTEMPT, _TUNED)}
        return {**kept, _NOTE: {**asdict(self), "names": list(self.names), "targets": list(self.targets)}}

    @classmethod
    def of(cls, metadata: IndexMetadata) -> TrainingRecord | None:
        """Return the record of a version; None where it has none, or no model."""
        if _NOTE not in metadata.notes or not metadata.models:
            return None
        stored = current_keys(metadata.notes[_NOTE], _RENAMED)
        expected = None if stored["expected_quality"] is None else ExpectedQuality(**stored["expected_quality"])
        # A version of before there were targets has none.
        targets = tuple(stored.get("targets", ()))
        names = tuple(current(name, MODELS) for name in stored["names"])
        return cls(stored["events"], stored["until"], names, stored["event_weights"], expected, targets)


def record_attempt(work: Workspace, events: int) -> None:
    """Note with the live version that a training on so many events brought nothing better."""
    work.update_metadata(lambda metadata: metadata.with_notes({_ATTEMPT: events}))


def attempted_events(metadata: IndexMetadata) -> int:
    """Return the events of the last training that was not taken into service in this version's place; 0 where there was none."""
    return int(metadata.notes.get(_ATTEMPT, 0))


def record_tuned(notes: Mapping[str, Any], situations: Iterable[str]) -> dict[str, Any]:
    """Return the notes of a version with these situations among those whose weights trials chose."""
    return {**notes, _TUNED: sorted({*notes.get(_TUNED, ()), *situations})}


def tuned_situations(metadata: IndexMetadata) -> frozenset[str]:
    """Return the situations whose weights trials chose.

    A training brings its own table without a query. That of all searches stays, and tells by the retrievers in it that don't
    match the query, which nothing else weighs there.
    """
    noted = frozenset(metadata.notes.get(_TUNED, ())) & {"no_query"}
    named = any(kind in metadata.retriever_weights for kind in SEARCH_KINDS) or any(
        name not in RETRIEVERS or not RETRIEVERS[name].matches_query for name in metadata.retriever_weights.get("query", {})
    )
    return noted | {"query"} if named else noted


def record_ranking(work: Workspace, source: str, known: float) -> None:
    """Note with the live version what the ranking was trained on, whether or not it serves.

    source: "judgments", known: how many queries; or "answers", known: epoch seconds up to which they were given.
    """
    work.update_metadata(lambda metadata: metadata.with_notes({_RANKING: {**metadata.notes.get(_RANKING, {}), source: known}}))


def recorded_ranking(metadata: IndexMetadata, source: str) -> float | None:
    """Return what was noted of the source; None where no ranking was trained on it."""
    known = metadata.notes.get(_RANKING, {}).get(source)
    return None if known is None else float(known)


def catalogue_ids(work: Workspace, metadata: IndexMetadata) -> IdSet:
    """Return the ids of the version's items."""
    ids = IdSet()
    for some in scan_ids(work.es, metadata.index):
        ids.update(some)
    return ids


def save_catalogue_ids(ids: IdSet, folder: Path) -> None:
    """Store beside a version's models which items there were when they were trained, 8 bytes each."""
    make_folder(folder)
    with open(folder / _CATALOGUE, "wb", opener=private_opener) as file:
        np.save(file, ids.to_array())


def load_catalogue_ids(settings: Settings, version: int) -> IdSet | None:
    """Return the items that there were when the version was trained; None where that was not kept."""
    path = models_folder(settings, version) / _CATALOGUE
    try:
        return IdSet.from_array(np.load(path, allow_pickle=False))
    except (OSError, ValueError):
        return None


@contextmanager
def training_lock(settings: Settings) -> Iterator[bool]:
    """Hold the lock that lets one training of a store run at a time; yield whether this one may go on.

    The system frees it when its holder dies.
    """
    with try_file_lock(settings.store_home / "training.lock") as free:
        yield free
