"""Events in from files; cleaning, popularity and profiles brought up to date with them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import tzinfo
from pathlib import Path
from typing import Any

import numpy as np

from es_recsys.behaviour.append import Loaded
from es_recsys.behaviour.bots import parse_bots
from es_recsys.behaviour.clean import CleaningReport, clean
from es_recsys.behaviour.interactions import interactions
from es_recsys.behaviour.store import EventStore
from es_recsys.behaviours import BEHAVIOURS
from es_recsys.counting import counted
from es_recsys.data import Rejects, check, read_events, survey_events
from es_recsys.data.rating_survey import RatingTally
from es_recsys.errors import StoreNotFound
from es_recsys.index import catalog
from es_recsys.index.catalog import CatalogReport
from es_recsys.index.metadata import read_meta, write_meta
from es_recsys.index.read import ids_of, state_of
from es_recsys.jobs.event_settings import CheckedEvents, as_scale, as_zone, check_times, keep_bots, keep_scale
from es_recsys.jobs.folding import catch_up, rebuild
from es_recsys.jobs.prepared import prepare_store
from es_recsys.jobs.products import products, variants_mark
from es_recsys.meta import StoreMeta
from es_recsys.models.popularity import Popularity
from es_recsys.ratings import RatingScale
from es_recsys.runtime.views import popularity_folder
from es_recsys.runtime.workspace import Workspace
from es_recsys.types import Item

__all__ = [
    "EventsReport",
    "ProfilesReport",
    "build_profiles",
    "catalogue_state",
    "load_events",
    "mend_profiles",
    "refresh_behaviour",
    "set_rating_scale",
    "unsettled",
    "weigh_events",
]

Progress = Callable[[float, float | None], None]
_ON_ITEMS = tuple(name for name, row in BEHAVIOURS.items() if row.sign)


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


@dataclass(frozen=True, slots=True)
class EventsReport:
    """What became of the events, and what cleaning set aside. fields: what lines were used without: `field`, `reason`,
    `count`, `examples`."""

    loaded: Loaded
    cleaning: CleaningReport
    rejected: int
    notes: tuple[str, ...]
    seconds: float
    fields: tuple[dict[str, Any], ...] = ()

    def lines(self) -> Iterator[str]:
        it = self.loaded
        yield (
            f"{counted(it.new, 'event', 'events')} added, {it.duplicates:,} known already, {it.refused:,} refused after an"
            f" erasure, {it.clamped:,} with a future time moved to now, in {self.seconds:.1f} s"
        )
        yield from self.cleaning.lines()
        yield from self.notes

    def to_dict(self) -> dict[str, Any]:
        it = self.loaded
        return {
            "added": it.new,
            "duplicates": it.duplicates,
            "refused": it.refused,
            "clamped": it.clamped,
            "rejected": self.rejected,
            "cleaning": self.cleaning.to_dict(),
            "fields": list(self.fields),
            "notes": list(self.notes),
            "seconds": self.seconds,
        }


def load_events(
    work: Workspace,
    files: Sequence[Path],
    *,
    timestamps: bool = True,
    columns: Mapping[str, str] | None = None,
    constants: Mapping[str, Any] | None = None,
    separator: str | None = None,
    actions: Mapping[str, str] | None = None,
    header: bool = True,
    encoding: str | None = None,
    timezone: str | tzinfo | None = None,
    day_first: bool | None = None,
    rating_scale: str | RatingScale | None = None,
    bots: str | Sequence[str] | None = None,
    max_errors: int | None = 100,
    progress: Progress | None = None,
) -> EventsReport:
    """Events of files into the event store, then cleaning, popularity and profiles.

    actions: name of an action -> event type or "ignore", before those that are known. timezone: of times that name none
    ("Asia/Tokyo"; UTC). day_first: what 01/02/2021 is, None for what the files show. rating_scale ("0..10"): found from the
    ratings unless given. bots: "on", "off", "auto", "minute_rate=120,regular=off". These two are kept with the store, for
    later loads too. The files are checked first: with more than `max_errors` bad lines nothing is written. Where there is
    no catalogue at all, one is made of the ids in the events. Raises InputError, also where no line can be used, or times
    are local and their zone isn't known; TooManyErrors.
    """
    started = time.monotonic()
    zone, scale, checked = as_zone(timezone), as_scale(rating_scale), CheckedEvents(work.now())
    parse_bots(bots or ())
    options: dict[str, Any] = {
        "columns": columns,
        "constants": constants,
        "separator": separator,
        "header": header,
        "encoding": encoding,
        "timestamps": timestamps,
        "actions": actions,
    }
    options["survey"] = survey_events(files, zone=zone, day_first=day_first, **options)
    good, rejects = check(checked.read, files, max_errors=max_errors, **options)
    if not good:
        raise rejects.nothing("event", files)
    about_times = check_times(checked.ahead, timezone is not None)
    _confirm_key(work)
    store = work.events
    told = keep_scale(store, checked.ratings, scale)
    keep_bots(store, bots)
    quiet = Rejects(write=False)
    loaded = store.load(_counted(read_events(files, rejects=quiet, **options), good, progress), work.now())
    notes = [*about_times, *told, *checked.remarks(), *rejects.remarks()]
    with work.explaining():
        notes += _catalogue_of_events(work)
        cleaning = _cleaned(work)
        _count_popularity(work)
        catch_up(work, work.views.fresh())
    fields = tuple(rejects.field_dicts())
    return EventsReport(loaded, cleaning, rejects.count, tuple(notes), time.monotonic() - started, fields)


def set_rating_scale(work: Workspace, scale: str | RatingScale) -> None:
    """Reads all ratings of the store on a scale ("0..10"), those that are stored too; popularity and profiles follow.

    Raises InputError, KeyMismatch.
    """
    _confirm_key(work)
    keep_scale(work.events, RatingTally(), as_scale(scale))
    with work.explaining():
        try:
            _cleaned(work)
        except StoreNotFound:  # nothing is made of events before there is a catalogue
            return
        _count_popularity(work)
        catch_up(work, work.views.fresh())


def build_profiles(work: Workspace, progress: Progress | None = None) -> ProfilesReport:
    """Rebuilds every profile of the live version from the stored events."""
    started = time.monotonic()
    with work.explaining():
        written, removed = rebuild(work, work.views.fresh(), progress)
    return ProfilesReport(written, removed, time.monotonic() - started)


def mend_profiles(work: Workspace, progress: Progress | None = None) -> ProfilesReport:
    """`build_profiles`, after what a load that was cut off has left to be cleaned and counted."""
    with work.explaining():
        if unsettled(work.events):
            _cleaned(work)
            _count_popularity(work)
    return build_profiles(work, progress)


def unsettled(store: EventStore) -> bool:
    """Whether a load of events was cut off, or goes on, before its events were cleaned."""
    progress = store.progress
    return bool(progress.get("loaded", 0) > progress.get("cleaned", 0))


def catalogue_state(work: Workspace) -> dict[str, Any] | None:
    """The catalogue in service as `refresh_behaviour` compares it; None where there is none."""
    with work.explaining():
        try:
            return _state(work, read_meta(work.es, work.settings.index))
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
    with work.explaining():
        meta = read_meta(work.es, work.settings.index)
        state = _state(work, meta)
        if _only_changed(store.progress.get("catalogue"), before, state, written):
            store.note_progress(catalogue=state)
        else:
            found = _cleaned(work)
            if found.flagged or found.lifted:
                notes.append(
                    f"{counted(found.lifted, 'event counts', 'events count')} again and {found.flagged:,} no longer, with the"
                    " items that came and went"
                )
        if regrouped and not notes:
            notes.append("Events count for the products that their items are variants of now")
        if store.progress.get("counted") != [store.position().change, variants_mark(meta)]:
            _count_popularity(work)
        catch_up(work, work.views.fresh())
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
    with work.explaining():
        meta = read_meta(work.es, work.settings.index)
        write_meta(work.es, replace(meta, behaviours=dict(weights)))
        _count_popularity(work)
    return build_profiles(work, progress)


def _state(work: Workspace, meta: StoreMeta) -> dict[str, Any]:
    return {**state_of(work.patient, meta.index), "variants": variants_mark(meta)}


def _cleaned(work: Workspace) -> CleaningReport:
    meta = read_meta(work.es, work.settings.index)
    # Both are read first: what comes while events are looked at is for the next look.
    marks = {"cleaned": work.events.last_row, "catalogue": _state(work, meta)}
    items = {item_id for ids in ids_of(work.es, meta.index) for item_id in ids}
    items.update(products(work, meta).values())
    found = clean(work.events, items, work.now(), work.settings.profiles.session_gap_s)
    work.events.note_progress(**marks)
    return found


def _count_popularity(work: Workspace) -> None:
    meta = read_meta(work.es, work.settings.index)
    change = work.events.position().change
    data = interactions(work.events, work.now(), weights=meta.behaviours, products=products(work, meta))
    if len(data.items):
        Popularity().fit(data, np.random.default_rng(0)).save(popularity_folder(work.settings))
    work.events.note_progress(counted=[change, variants_mark(meta)])
    work.views.forget()


def _confirm_key(work: Workspace) -> None:
    """Before anything is written. Raises KeyMismatch."""
    with work.explaining():
        try:
            work.confirm_key(read_meta(work.es, work.settings.index))
        except StoreNotFound:
            return


def _catalogue_of_events(work: Workspace) -> list[str]:
    """Items that are nothing but ids, for a store that has no catalogue."""
    try:
        meta = read_meta(work.es, work.settings.index)
    except StoreNotFound:
        if not work.events.item_ids(_ON_ITEMS):
            raise StoreNotFound(
                f"There is no store {work.settings.index!r} to tell known items by.",
                "Load items first: es-recsys items load FILE.",
            ) from None
        _load_bare(work, ())
        meta = read_meta(work.es, work.settings.index)
    if not meta.notes.get("bare"):
        if work.es.count(index=meta.index)["count"]:
            return []
        # Said before the first item, so that a run that is cut off is not taken for a catalogue.
        write_meta(work.es, replace(meta, notes={**meta.notes, "bare": True}))
    done = _load_bare(work, work.events.item_ids(_ON_ITEMS))
    return [
        f"There is no catalogue: {counted(done.added, 'item was', 'items were')} made of the ids in the events; load the"
        " catalogue when you have it"
    ]


def _load_bare(work: Workspace, ids: Sequence[str]) -> CatalogReport:
    items = (Item(item_id=item_id) for item_id in ids)
    prepare_store(work, {}, work.settings.language, len(ids))
    return catalog.load(work.patient, work.settings.index, items, count=len(ids), language=work.settings.language)


def _counted(events: Iterable[Any], total: int, progress: Progress | None) -> Iterator[Any]:
    for place, event in enumerate(events):
        if progress is not None and place % 1_000 == 0:
            progress(place, total)
        yield event
