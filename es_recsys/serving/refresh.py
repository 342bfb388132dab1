"""Keep what is computed from the stored events up to date: cleaning, popularity, profiles."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from es_recsys.counting import counted
from es_recsys.errors import ModelError, StoreNotFound
from es_recsys.events.cleaning_report import CleaningReport
from es_recsys.events.event_arrays import EventArrays
from es_recsys.events.store import EventStore
from es_recsys.index.fetch import find_ids, scan_ids
from es_recsys.index.items_report import ItemsReport
from es_recsys.index.sequence_numbers import write_state
from es_recsys.index.stored_metadata import read_metadata
from es_recsys.index_metadata import IndexMetadata
from es_recsys.models.popularity import Popularity, PopularityConfig
from es_recsys.progress import Progress
from es_recsys.serving.product_groups import fetch_item_groups, grouping_version
from es_recsys.serving.profile_folding import fold_all_profiles, fold_new_events
from es_recsys.serving.snapshot_cache import popularity_folder
from es_recsys.serving.stored_interactions import interactions_of, load_interactions
from es_recsys.serving.workspace import Workspace
from es_recsys.settings import SearchSettings

if TYPE_CHECKING:
    from es_recsys.events.event_frame import FrameBuilder  # it loads polars

__all__ = [
    "ProfilesReport",
    "build_profiles",
    "catalogue_state",
    "clean_events",
    "count_popularity",
    "half_lives",
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


def refresh_after_events(work: Workspace, written: FrameBuilder | None = None) -> CleaningReport:
    """Clean the stored events, then bring popularity and profiles up to date with them. Raises StoreNotFound.

    written: has the events of a load.
    """
    report, events = clean_events(work, written)
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
                came = f"{counted(found.lifted, 'event counts', 'events count')} again, with the items that came"
                went = f"{counted(found.flagged, 'event counts', 'events count')} no longer, with the items that went"
                notes.append("; ".join([came] * bool(found.lifted) + [went] * bool(found.flagged)))
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


def clean_events(work: Workspace, written: FrameBuilder | None = None) -> tuple[CleaningReport, EventArrays]:
    """Clean the stored events against the items of the live version; return what was found, and the events that were read.

    These are those of actors with new events where nothing else has changed since the last time, else all. written: has the
    events of a load, which need not be read where they are all.
    """
    metadata = read_metadata(work.es, work.settings.index)
    store, gap = work.events, work.settings.profiles.session_gap_s
    # Both are read first: what comes while events are looked at is for the next look.
    marks, progress = {"cleaned": store.last_row, "catalogue": _state(work, metadata)}, store.progress
    from es_recsys.events import cleaning  # it loads polars
    from es_recsys.events.cleaning_state import CleaningState

    def find_known(item_ids: Collection[str]) -> set[str]:
        return find_ids(work.es, metadata.index, item_ids) | set(fetch_item_groups(work, metadata).values())

    found, before = None, CleaningState.from_json(progress.get("cleaning"))
    if before is not None and progress.get("catalogue") == marks["catalogue"]:
        found = cleaning.clean_changed(store, before, find_known, work.now(), gap)
    if found is None:
        items = {item_id for ids in scan_ids(work.es, metadata.index) for item_id in ids}
        items.update(fetch_item_groups(work, metadata).values())
        found = cleaning.clean(store, items, work.now(), gap, written)
    store.update_progress(**marks, cleaning=found.state.to_json())
    return found.report, found.events


def half_lives(search: SearchSettings) -> PopularityConfig:
    """Return what popularity is counted by."""
    return PopularityConfig(search.popularity_hours / 24.0, search.trend_hours / 24.0)


def count_popularity(work: Workspace, events: EventArrays | None = None) -> None:
    """Count popularity from the stored events, and store it as an artefact.

    events: as cleaning left them, so that they need not be read again; only those of some actors where popularity was counted
    when cleaning had come to where these begin.
    """
    metadata = read_metadata(work.es, work.settings.index)
    store, now = work.events, work.now()
    position = store.log_position()
    if events is not None and events.position[1:] != position[1:]:
        events = None
    config = half_lives(work.settings.search)
    weights, scale = dict(sorted(metadata.event_weights.items())), store.rating_scale.to_setting()
    went_by: list[Any] = [weights, scale, grouping_version(metadata)]
    if config != PopularityConfig():
        went_by.append([config.half_life_days, config.trend_half_life_days])
    popularity = None
    if events is not None and events.since is not None:
        popularity = _popularity_with(work, metadata, events, now, went_by)
        events = None if popularity is None else events
    if popularity is None:
        data = load_interactions(work, metadata, now) if events is None else interactions_of(work, metadata, events, now)
        popularity = Popularity(config).fit(data, np.random.default_rng(0)) if len(data.items) else None
    if events is not None:
        position = events.position
    # What lies ahead is to be counted when its time has come.
    ahead = store.timed and (store.has_events_after(now) if events is None else events.ahead_of(now))
    if popularity is not None:
        popularity.save(popularity_folder(work.settings))
    state = None if ahead or popularity is None else {"position": list(position), "went_by": went_by}
    store.update_progress(counted=[position.change, grouping_version(metadata)], popularity=state)
    work.snapshots.invalidate()


def _popularity_with(
    work: Workspace, metadata: IndexMetadata, events: EventArrays, now: float, went_by: list[Any]
) -> Popularity | None:
    """Return the popularity that was counted last with what became of the actors' events since; None where that isn't known."""
    state = work.events.progress.get("popularity") or {}
    if events.since is None or state.get("position") != list(events.since) or state.get("went_by") != went_by:
        return None
    try:
        before = Popularity.load(popularity_folder(work.settings))
    except ModelError:
        return None
    gone, come = events.counted & ~events.counts, events.counts & ~events.counted
    removed, added = (interactions_of(work, metadata, events.where(chosen), now) for chosen in (gone, come))
    return before.with_events(added, removed)
