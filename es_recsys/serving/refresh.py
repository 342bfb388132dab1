"""Keep what is computed from the stored events up to date: cleaning, popularity, profiles."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from es_recsys.counting import counted
from es_recsys.errors import StoreNotFound
from es_recsys.events.cleaning_report import Cleaned, CleaningReport
from es_recsys.events.event_arrays import EventArrays
from es_recsys.events.store import EventStore
from es_recsys.index.fetch import scan_ids
from es_recsys.index.items_report import ItemsReport
from es_recsys.index.sequence_numbers import write_state
from es_recsys.index.stored_metadata import read_metadata
from es_recsys.index_metadata import IndexMetadata
from es_recsys.models.popularity import Popularity
from es_recsys.progress import Progress
from es_recsys.serving.product_groups import fetch_item_groups, grouping_version
from es_recsys.serving.profile_folding import fold_all_profiles, fold_new_events
from es_recsys.serving.snapshot_cache import popularity_folder
from es_recsys.serving.stored_interactions import interactions_of, load_interactions
from es_recsys.serving.workspace import Workspace

__all__ = [
    "ProfilesReport",
    "build_profiles",
    "catalogue_state",
    "clean_events",
    "count_popularity",
    "has_unfinished_load",
    "refresh_after_events",
    "refresh_after_items",
    "repair_profiles",
    "set_event_weights",
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
    """Rebuild every profile of the live version from the stored events."""
    started = time.monotonic()
    with work.translating_errors():
        written, removed = fold_all_profiles(work, work.snapshots.latest(), progress)
    return ProfilesReport(written, removed, time.monotonic() - started)


def repair_profiles(work: Workspace, progress: Progress | None = None) -> ProfilesReport:
    """Finish an interrupted load, then `build_profiles`."""
    with work.translating_errors():
        if has_unfinished_load(work.events):
            clean_events(work)
            count_popularity(work)
    return build_profiles(work, progress)


def has_unfinished_load(store: EventStore) -> bool:
    """Return whether a load of events was interrupted, or goes on, before its events were cleaned."""
    progress = store.progress
    return bool(progress.get("loaded", 0) > progress.get("cleaned", 0))


def catalogue_state(work: Workspace) -> dict[str, Any] | None:
    """Return the state of the live catalogue as `refresh_after_items` compares it; None where there is none."""
    with work.translating_errors():
        try:
            return _state(work, read_metadata(work.es, work.settings.index))
        except StoreNotFound:
            return None


def refresh_after_events(work: Workspace) -> CleaningReport:
    """Clean the stored events, then bring popularity and profiles up to date with them. Raises StoreNotFound."""
    report, events = clean_events(work)
    count_popularity(work, events)
    fold_new_events(work, work.snapshots.latest(), events)
    return report


def refresh_after_items(
    work: Workspace,
    before: Mapping[str, Any] | None = None,
    written: ItemsReport | None = None,
    *,
    regrouped: bool = False,
) -> list[str]:
    """Update events and profiles after items were written: events on them count, or no longer. Return notes on what changed.

    before: the catalogue's state before what was `written`. Where that is not the state that events were last compared with,
    an earlier run was cut off, and is made up for. regrouped: whether items are variants of other products than before, for which
    events on them count.
    """
    store = work.events
    if not store.last_row:
        return []
    notes: list[str] = []
    events = None
    with work.translating_errors():
        metadata = read_metadata(work.es, work.settings.index)
        state = _state(work, metadata)
        if _only_changed(store.progress.get("catalogue"), before, state, written):
            store.update_progress(catalogue=state)
        else:
            found, events = clean_events(work)
            if found.flagged or found.lifted:
                notes.append(
                    f"{counted(found.lifted, 'event counts', 'events count')} again and {found.flagged:,} no longer, with the"
                    " items that came and went"
                )
        if regrouped and not notes:
            notes.append("Events count for the products that their items are variants of now")
        if store.progress.get("counted") != [store.log_position().change, grouping_version(metadata)]:
            count_popularity(work, events)
        fold_new_events(work, work.snapshots.latest(), events)
    return notes


def _only_changed(
    known: Mapping[str, Any] | None, before: Mapping[str, Any] | None, state: Mapping[str, Any], written: ItemsReport | None
) -> bool:
    """Return whether the catalogue has the items that events were last compared with, and all written since is ours."""
    if known is None or written is None or before != known or written.added or written.removed:
        return False
    return dict(state) == {**known, "written": known["written"] + written.changed}


def set_event_weights(work: Workspace, weights: Mapping[str, float], progress: Progress | None = None) -> ProfilesReport:
    """Store weights of event types; popularity and all profiles follow now, models with the next training."""
    work.update_metadata(lambda metadata: replace(metadata, event_weights=dict(weights)))
    with work.translating_errors():
        count_popularity(work)
    return build_profiles(work, progress)


def _state(work: Workspace, metadata: IndexMetadata) -> dict[str, Any]:
    return {**write_state(work.job_es, metadata.index), "variants": grouping_version(metadata)}


def clean_events(work: Workspace) -> Cleaned:
    """Clean all stored events against the items of the live version."""
    metadata = read_metadata(work.es, work.settings.index)
    # Both are read first: what comes while events are looked at is for the next look.
    marks = {"cleaned": work.events.last_row, "catalogue": _state(work, metadata)}
    items = {item_id for ids in scan_ids(work.es, metadata.index) for item_id in ids}
    items.update(fetch_item_groups(work, metadata).values())
    from es_recsys.events.cleaning import clean  # it loads polars

    found = clean(work.events, items, work.now(), work.settings.profiles.session_gap_s)
    work.events.update_progress(**marks)
    return found


def count_popularity(work: Workspace, events: EventArrays | None = None) -> None:
    """Count popularity from all stored events, and store it as an artefact. events: all, as cleaning left them."""
    metadata = read_metadata(work.es, work.settings.index)
    change = work.events.log_position().change
    if events is None or events.position.change != change:
        data = load_interactions(work, metadata, work.now())
    else:
        data = interactions_of(work, metadata, events, work.now())
    if len(data.items):
        Popularity().fit(data, np.random.default_rng(0)).save(popularity_folder(work.settings))
    work.events.update_progress(counted=[change, grouping_version(metadata)])
    work.snapshots.invalidate()
