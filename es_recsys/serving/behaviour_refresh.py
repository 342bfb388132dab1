"""Bring what is made of the stored events up to date with them: cleaning, popularity, profiles."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from es_recsys.counting import counted
from es_recsys.errors import StoreNotFound
from es_recsys.events.cleaning import CleaningReport, clean
from es_recsys.events.interactions import read_interactions
from es_recsys.events.store import EventStore
from es_recsys.index.catalog import CatalogReport
from es_recsys.index.fetch import scan_ids
from es_recsys.index.sequence_numbers import write_state
from es_recsys.index.stored_metadata import read_metadata, write_metadata
from es_recsys.index_metadata import IndexMetadata
from es_recsys.models.popularity import Popularity
from es_recsys.progress import Progress
from es_recsys.serving.product_groups import products, variants_mark
from es_recsys.serving.profile_folding import catch_up, rebuild
from es_recsys.serving.snapshot_cache import popularity_folder
from es_recsys.serving.workspace import Workspace

__all__ = [
    "ProfilesReport",
    "build_profiles",
    "catalogue_state",
    "clean_events",
    "count_popularity",
    "mend_profiles",
    "refresh_behaviour",
    "unsettled",
    "weigh_events",
]


@dataclass(frozen=True, slots=True)
class ProfilesReport:
    """How many profiles were written, how many of users without events removed."""

    written: int
    removed: int
    seconds: float

    def lines(self) -> Iterator[str]:
        yield f"{counted(self.written, 'profile', 'profiles')} built, {self.removed:,} removed in {self.seconds:.1f} s"

    def to_dict(self) -> dict[str, Any]:
        return {"written": self.written, "removed": self.removed, "seconds": self.seconds}


def build_profiles(work: Workspace, progress: Progress | None = None) -> ProfilesReport:
    """Rebuilds every profile of the live version from the stored events."""
    started = time.monotonic()
    with work.translating_errors():
        written, removed = rebuild(work, work.snapshots.latest(), progress)
    return ProfilesReport(written, removed, time.monotonic() - started)


def mend_profiles(work: Workspace, progress: Progress | None = None) -> ProfilesReport:
    """`build_profiles`, after what a load that was cut off has left to be cleaned and counted."""
    with work.translating_errors():
        if unsettled(work.events):
            clean_events(work)
            count_popularity(work)
    return build_profiles(work, progress)


def unsettled(store: EventStore) -> bool:
    """Whether a load of events was cut off, or goes on, before its events were cleaned."""
    progress = store.progress
    return bool(progress.get("loaded", 0) > progress.get("cleaned", 0))


def catalogue_state(work: Workspace) -> dict[str, Any] | None:
    """The catalogue in service as `refresh_behaviour` compares it; None where there is none."""
    with work.translating_errors():
        try:
            return _state(work, read_metadata(work.es, work.settings.index))
        except StoreNotFound:
            return None


def refresh_behaviour(
    work: Workspace,
    before: Mapping[str, Any] | None = None,
    written: CatalogReport | None = None,
    *,
    regrouped: bool = False,
) -> list[str]:
    """After items were written: events on them count, or don't, and the profiles follow. Says what changed.

    before: the catalogue's state before what was `written`. Where that is not the state that events were last compared with,
    an earlier run was cut off, and is made up for. regrouped: whether items are variants of other products than before, for which
    events on them count.
    """
    store = work.events
    if not store.last_row:
        return []
    notes: list[str] = []
    with work.translating_errors():
        metadata = read_metadata(work.es, work.settings.index)
        state = _state(work, metadata)
        if _only_changed(store.progress.get("catalogue"), before, state, written):
            store.update_progress(catalogue=state)
        else:
            found = clean_events(work)
            if found.flagged or found.lifted:
                notes.append(
                    f"{counted(found.lifted, 'event counts', 'events count')} again and {found.flagged:,} no longer, with the"
                    " items that came and went"
                )
        if regrouped and not notes:
            notes.append("Events count for the products that their items are variants of now")
        if store.progress.get("counted") != [store.log_position().change, variants_mark(metadata)]:
            count_popularity(work)
        catch_up(work, work.snapshots.latest())
    return notes


def _only_changed(
    known: Mapping[str, Any] | None, before: Mapping[str, Any] | None, state: Mapping[str, Any], written: CatalogReport | None
) -> bool:
    """Whether the catalogue has the items that events were last compared with, and all that was written since is ours."""
    if known is None or written is None or before != known or written.added or written.removed:
        return False
    return dict(state) == {**known, "written": known["written"] + written.changed}


def weigh_events(work: Workspace, weights: Mapping[str, float], progress: Progress | None = None) -> ProfilesReport:
    """Gives the store weights of its own for events of each type; popularity and all profiles follow. Models do with the
    next training."""
    with work.translating_errors():
        metadata = read_metadata(work.es, work.settings.index)
        write_metadata(work.es, replace(metadata, event_weights=dict(weights)))
        count_popularity(work)
    return build_profiles(work, progress)


def _state(work: Workspace, metadata: IndexMetadata) -> dict[str, Any]:
    return {**write_state(work.patient, metadata.index), "variants": variants_mark(metadata)}


def clean_events(work: Workspace) -> CleaningReport:
    metadata = read_metadata(work.es, work.settings.index)
    # Both are read first: what comes while events are looked at is for the next look.
    marks = {"cleaned": work.events.last_row, "catalogue": _state(work, metadata)}
    items = {item_id for ids in scan_ids(work.es, metadata.index) for item_id in ids}
    items.update(products(work, metadata).values())
    found = clean(work.events, items, work.now(), work.settings.profiles.session_gap_s)
    work.events.update_progress(**marks)
    return found


def count_popularity(work: Workspace) -> None:
    metadata = read_metadata(work.es, work.settings.index)
    change = work.events.log_position().change
    data = read_interactions(work.events, work.now(), weights=metadata.event_weights, products=products(work, metadata))
    if len(data.items):
        Popularity().fit(data, np.random.default_rng(0)).save(popularity_folder(work.settings))
    work.events.update_progress(counted=[change, variants_mark(metadata)])
    work.snapshots.invalidate()
