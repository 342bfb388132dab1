"""Events in from files; cleaning, popularity and profiles brought up to date with them."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from es_recsys.behaviour.append import Loaded
from es_recsys.behaviour.bots import parse_bots
from es_recsys.behaviour.clean import CleaningReport, clean
from es_recsys.behaviour.interactions import interactions
from es_recsys.behaviour.profiles import ItemFeatures, empty, fold, to_document
from es_recsys.behaviour.records import StoredEvent
from es_recsys.behaviour.state import Terms
from es_recsys.behaviour.subjects import session_of, subject_key, user_of
from es_recsys.data import Rejects, check, read_events, survey_events
from es_recsys.errors import StoreNotFound
from es_recsys.flows.people import features
from es_recsys.flows.recording import update_profile
from es_recsys.flows.view import View
from es_recsys.index import catalog
from es_recsys.index.bulk import Action, Meter, bulk
from es_recsys.index.idset import IdSet
from es_recsys.index.metadata import read_meta, write_meta
from es_recsys.index.read import ids_of
from es_recsys.jobs.event_settings import EventSurvey, as_scale, keep_bots, keep_scale
from es_recsys.jobs.products import products
from es_recsys.models.popularity import Popularity
from es_recsys.ratings import RatingScale
from es_recsys.runtime.views import popularity_folder
from es_recsys.runtime.workspace import Workspace
from es_recsys.types import Item

__all__ = [
    "EventsReport",
    "ProfilesReport",
    "build_profiles",
    "fold_in",
    "load_events",
    "rebuild",
    "refresh_behaviour",
    "weigh_events",
]

Progress = Callable[[float, float | None], None]
_SUBJECTS = 500
_FEATURES_KEPT = 50_000
_FEW = 2_000


@dataclass(frozen=True, slots=True)
class ProfilesReport:
    """How many profiles were written, how many of users without events removed."""

    written: int
    removed: int
    seconds: float

    def lines(self) -> Iterator[str]:
        yield f"{self.written:,} profiles built, {self.removed:,} removed in {self.seconds:.1f} s"

    def to_dict(self) -> dict[str, Any]:
        return {"written": self.written, "removed": self.removed, "seconds": self.seconds}


@dataclass(frozen=True, slots=True)
class EventsReport:
    """What became of the events, and what cleaning set aside."""

    loaded: Loaded
    cleaning: CleaningReport
    rejected: int
    notes: tuple[str, ...]
    seconds: float

    def lines(self) -> Iterator[str]:
        it = self.loaded
        yield (
            f"{it.new:,} events added, {it.duplicates:,} known already, {it.refused:,} refused after an erasure,"
            f" {it.clamped:,} with a future time moved to now, in {self.seconds:.1f} s"
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
    rating_scale: str | RatingScale | None = None,
    bots: str | Sequence[str] | None = None,
    max_errors: int | None = 100,
    progress: Progress | None = None,
) -> EventsReport:
    """Events of files into the event store, then cleaning, popularity and profiles.

    actions: name of an action -> event type or "ignore", before those that are known. rating_scale ("0..10"): found from the
    ratings unless given. bots: "on", "off", "auto", "minute_rate=120,regular=off". Both are kept with the store, for later
    loads too. The files are checked first: with more than `max_errors` bad lines nothing is written. Where there is no
    catalogue at all, one is made of the ids in the events. Raises InputError, TooManyErrors.
    """
    started = time.monotonic()
    scale, survey = as_scale(rating_scale), EventSurvey()
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
    options["survey"] = survey_events(files, **options)
    good, rejects = check(survey.read, files, max_errors=max_errors, **options)
    store = work.events
    told, rescaled = keep_scale(store, survey, scale)
    keep_bots(store, bots)
    before = store.last_row
    quiet = Rejects(write=False)
    loaded = store.load(_counted(read_events(files, rejects=quiet, **options), good, progress), work.now())
    notes = [*told, *rejects.notes, *(f"{count:,} lines left out: {reason}" for reason, count in rejects.skipped.most_common())]
    if rejects.count:
        shown = "; ".join(map(str, rejects.first[:3]))
        notes.append(f"{rejects.count:,} lines were rejected ({shown}); all of them are in {', '.join(map(str, rejects.files))}")
    with work.explaining():
        notes += _catalogue_of_events(work)
        cleaning = _cleaned(work)
        _count_popularity(work)
        _update_profiles(work, before, rebuild_all=bool(cleaning.flagged or cleaning.lifted or rescaled))
    return EventsReport(loaded, cleaning, rejects.count, tuple(notes), time.monotonic() - started)


def build_profiles(work: Workspace, progress: Progress | None = None) -> ProfilesReport:
    """Rebuilds every profile of the live version from the stored events."""
    started = time.monotonic()
    with work.explaining():
        written, removed = rebuild(work, work.views.fresh(), progress)
    return ProfilesReport(written, removed, time.monotonic() - started)


def refresh_behaviour(work: Workspace, *, regrouped: bool = False) -> list[str]:
    """After items came or went: events on them count, or don't, and the profiles follow. Says what changed.

    regrouped: whether items are variants of other products than before, for which events on them count."""
    if not work.events.last_row:
        return []
    cleaning = _cleaned(work)
    if not (cleaning.flagged or cleaning.lifted or regrouped):
        return []
    _count_popularity(work)
    rebuild(work, work.views.fresh())
    if not (cleaning.flagged or cleaning.lifted):
        return ["Events count for the products that their items are variants of now"]
    return [f"{cleaning.lifted:,} events count again and {cleaning.flagged:,} no longer, with the items that came and went"]


def weigh_events(work: Workspace, weights: Mapping[str, float], progress: Progress | None = None) -> ProfilesReport:
    """Gives the store weights of its own for events of each type; popularity and all profiles follow. Models do with the
    next training."""
    with work.explaining():
        meta = read_meta(work.es, work.settings.index)
        write_meta(work.es, replace(meta, behaviours=dict(weights)))
        _count_popularity(work)
    return build_profiles(work, progress)


def rebuild(work: Workspace, view: View, progress: Progress | None = None) -> tuple[int, int]:
    """Writes every profile into the view's profiles index, anew from row 0; -> how many were written and removed.

    Events that came meanwhile are folded in at the end.
    """
    store = work.events
    start = store.last_row
    seen = IdSet()
    meter = Meter((lambda p: progress(p.done, p.total)) if progress is not None else None)
    report = bulk(work.patient, _profiles(work, view, seen), index=view.meta.profiles, meter=meter, refresh=True)
    gone = [key for keys in ids_of(work.es, view.meta.profiles) for key in seen.lacks(keys)]
    bulk(work.patient, (Action(key, operation="delete") for key in gone), index=view.meta.profiles)
    fold_in(work, view, {event.subject for event in store.scan(after=start)})
    return report.stored, len(gone)


def fold_in(work: Workspace, view: View, subjects: Iterable[str]) -> None:
    """Brings the profiles of some subjects up to their last event, one by one."""
    for subject in sorted(subjects):
        work.driver.run(update_profile(view, work.events, subject, work.now()))


def _profiles(work: Workspace, view: View, seen: IdSet) -> Iterator[Action]:
    store, now = work.events, work.now()
    terms = Terms.of(view.settings.profiles, store.timed, view.meta.behaviours)
    known: OrderedDict[str, ItemFeatures | None] = OrderedDict()
    for batch in _chunks(store.by_subject(), _SUBJECTS):
        _look_up(work, view, known, (row.item_id for _, rows in batch for row in rows if row.item_id is not None))
        for subject, rows in batch:
            key = subject_key(subject, view.secret)
            revision = store.revision(user_of(subject), session_id=session_of(subject))
            items = {i: it for row in rows if (i := row.item_id) is not None and (it := known.get(i)) is not None}
            seen.add(key)
            yield Action(key, to_document(fold(empty(key, terms, revision), rows, items), now))
        while len(known) > _FEATURES_KEPT:
            known.popitem(last=False)


def _look_up(work: Workspace, view: View, known: OrderedDict[str, ItemFeatures | None], item_ids: Iterable[str]) -> None:
    lacking = [item_id for item_id in dict.fromkeys(item_ids) if item_id not in known]
    found = work.driver.run(features(view, lacking))
    known.update((item_id, found.get(item_id)) for item_id in lacking)


def _update_profiles(work: Workspace, before: int, *, rebuild_all: bool) -> None:
    view = work.views.fresh()
    if not rebuild_all:
        subjects = set[str]()
        for event in work.events.scan(after=before):
            subjects.add(event.subject)
            if len(subjects) > _FEW:
                break
        if len(subjects) <= _FEW:
            fold_in(work, view, subjects)
            return
    rebuild(work, view)


def _cleaned(work: Workspace) -> CleaningReport:
    meta = read_meta(work.es, work.settings.index)
    items = {item_id for ids in ids_of(work.es, meta.index) for item_id in ids}
    items.update(products(work, meta).values())
    return clean(work.events, items, work.now(), work.settings.profiles.session_gap_s)


def _count_popularity(work: Workspace) -> None:
    meta = read_meta(work.es, work.settings.index)
    data = interactions(work.events, work.now(), weights=meta.behaviours, products=products(work, meta))
    if len(data.items):
        Popularity().fit(data, np.random.default_rng(0)).save(popularity_folder(work.settings))
    work.views.forget()


def _catalogue_of_events(work: Workspace) -> list[str]:
    """Items that are nothing but ids, for a store that has no catalogue."""
    try:
        meta = read_meta(work.es, work.settings.index)
    except StoreNotFound:
        pass
    else:
        if not meta.notes.get("bare"):
            return []
    ids = interactions(work.events).item_ids.tolist()
    if not ids:
        raise StoreNotFound(
            f"There is no store {work.settings.index!r} to tell known items by.", "Load items first: es-recsys items load FILE."
        )
    done = catalog.load(
        work.patient,
        work.settings.index,
        (Item(item_id=item_id) for item_id in ids),
        count=len(ids),
        language=work.settings.language,
    )
    meta = read_meta(work.es, work.settings.index)
    write_meta(work.es, replace(meta, notes={**meta.notes, "bare": True}))
    return [
        f"There is no catalogue: {done.added:,} items were made of the ids in the events; load the catalogue when you have it"
    ]


def _counted(events: Iterable[Any], total: int, progress: Progress | None) -> Iterator[Any]:
    for place, event in enumerate(events):
        if progress is not None and place % 1_000 == 0:
            progress(place, total)
        yield event


def _chunks(stream: Iterable[tuple[str, list[StoredEvent]]], size: int) -> Iterator[list[tuple[str, list[StoredEvent]]]]:
    chunk: list[tuple[str, list[StoredEvent]]] = []
    for one in stream:
        chunk.append(one)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
