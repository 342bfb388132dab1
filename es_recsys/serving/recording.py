"""Record events: into the event store, which is the truth, and at once into the profiles of their actors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Protocol

from es_recsys.errors import WriteError
from es_recsys.events.actors import actor_of, session_of, user_of
from es_recsys.events.decayed_sums import ItemContent
from es_recsys.events.profile_documents import can_resume, resume, to_document
from es_recsys.events.profile_state import ProfileConfig, ProfileState
from es_recsys.events.profiles import fold, named_item
from es_recsys.events.records import UNKNOWN_ITEM, StoredEvent, UnfoldedRows
from es_recsys.index_metadata import profiles_alias
from es_recsys.serving.operations import CompareAndSet, Delete, Document, Flow, Get, GetLive, RunBlocking, Sleep
from es_recsys.serving.snapshot import ServingSnapshot
from es_recsys.serving.user_profiles import fetch_item_content, read_item_content
from es_recsys.types import Event

__all__ = [
    "Erasure",
    "ErasureReport",
    "Recording",
    "RecordingReport",
    "RecordingStore",
    "quarantine_unknown_items",
    "update_profile",
]

_MAX_TRIES = 40
_MIN_PAUSE_S = 0.005
_MAX_PAUSE_S = 0.5


class RecordingStore(Protocol):
    """The part of the event store that recording needs."""

    def quarantine_unknown_items(self, rows: Sequence[int]) -> None: ...
    def set_quarantine(self, reasons: Mapping[int, str | None]) -> None: ...
    def append(self, events: Sequence[Event], received_at: float | None = None) -> Any: ...
    def rows(self, user_id: str | None = None) -> list[StoredEvent]: ...
    def unfolded(self, user_id: str | None = None, *, session_id: str | None = None, after: int = 0) -> UnfoldedRows: ...
    def revision(self, user_id: str | None = None, *, session_id: str | None = None) -> int: ...
    def erase(self, user_id: str, now: float | None = None) -> int: ...


@dataclass(frozen=True, slots=True)
class RecordingReport:
    """How many events were added, were duplicates, were refused after an erasure, or had a future time set to now.

    quarantined: reason -> how many of those added are stored and don't count: ratings off the store's scale
    (`rating_out_of_range`), events on items that the store lacks (`unknown_item`), which count once these are loaded.
    """

    added: int = 0
    duplicates: int = 0
    refused: int = 0
    clamped: int = 0
    quarantined: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ErasureReport:
    """How much of a user was deleted. user_keys: of the user and the user's sessions."""

    events: int
    profiles: int
    answers: int = 0
    user_keys: tuple[str, ...] = ()


class Recording:
    """A flow that records events and may be run again: they are stored once, and the result is that of the first attempt."""

    def __init__(self, store: RecordingStore, events: Sequence[Event], now: float) -> None:
        self._store, self._events, self._now = store, events, now
        self._recorded: RecordingReport | None = None
        self._added: frozenset[int] = frozenset()
        self._unknown: set[int] = set()

    def __call__(self, snapshot: ServingSnapshot) -> Flow[RecordingReport]:
        """Store events and update the profiles of their actors, so that the very next answer shows them.

        Storing comes first: if the rest fails, the same events sent again, any later event of the actor, or the next load
        repairs the profile. Raises KeyMismatch before anything is stored, VersionChanged where another version is live than the
        snapshot's, WriteError where a profile is written to so much that no turn comes.
        """
        actors = {actor: snapshot.key_of(actor) for actor in map(_actor, self._events)}
        alias = profiles_alias(snapshot.metadata.store)
        if self._recorded is None:
            done = yield RunBlocking(lambda: self._store.append(self._events, self._now))
            self._recorded = RecordingReport(len(done.rows), done.duplicates, done.refused, done.clamped, done.quarantined)
            self._added = frozenset(row.row for row in done.rows)
        for actor, key in actors.items():
            # Profiles are read after the events were stored: who makes another version live folds what was stored before.
            read = GetLive(alias, snapshot.metadata.profiles, key)
            yield from update_profile(snapshot, self._store, actor, self._now, read, self._unknown)
        if not (unknown := len(self._unknown & self._added)):
            return self._recorded
        return replace(self._recorded, quarantined={**self._recorded.quarantined, UNKNOWN_ITEM: unknown})


def update_profile(
    snapshot: ServingSnapshot,
    store: RecordingStore,
    actor: str,
    now: float,
    read: Get | GetLive | None = None,
    unknown: set[int] | None = None,
) -> Flow[bool]:
    """Fold the rows that a stored profile lacks into it, by compare-and-set. Return whether it changed.

    read: how the profile is read, from the snapshot's version unless given. unknown: gets the rows that are set aside, as the
    store lacks their items. Raises what `read` does, and WriteError.
    """
    key = snapshot.key_of(actor)
    read = read or Get(snapshot.metadata.profiles, key)
    pause = _MIN_PAUSE_S
    for _ in range(_MAX_TRIES):
        found: Document | None = yield read
        source = None if found is None else found.source
        revision, rows, state = yield from _unfolded(snapshot, store, actor, key, source)
        if not rows and (source is None or can_resume(source, state.config, revision)):
            return False
        if not rows and state.applied_through == 0:
            yield Delete(snapshot.metadata.profiles, key)
            return True
        known = yield from read_item_content(snapshot, (item for row in rows if (item := named_item(row)) is not None))
        if (yield from quarantine_unknown_items(snapshot, store, rows, known, unknown)):
            continue
        document = to_document(fold(state, rows, known), now)
        written: Document | None = yield CompareAndSet(snapshot.metadata.profiles, key, document, found)
        # Rows that were erased or set aside while they were being folded must not outlive it in the profile.
        if written is not None and (yield RunBlocking(partial(_revision, store, actor))) == revision:
            snapshot.users.store_written(snapshot.metadata.profiles, key, written)
            return True
        # The wait depends on the key alone, so that writers of one profile don't meet again and again in step.
        yield Sleep(pause * (0.5 + int(key[-4:], 16) % 97 / 97.0))
        pause = min(pause * 1.5, _MAX_PAUSE_S)
    raise WriteError(
        "A profile is written to by too many at once.", "The events are stored; send them again, or any later event."
    )


def _unfolded(
    snapshot: ServingSnapshot, store: RecordingStore, actor: str, key: str, source: Mapping[str, Any] | None
) -> Flow[tuple[int, list[StoredEvent], ProfileState]]:
    """Return the actor's revision, the rows that a stored profile lacks, and the state to fold them into."""
    after = 0 if source is None else int(source.get("applied_through", 0))
    while True:
        unfolded: UnfoldedRows = yield RunBlocking(partial(_read_unfolded, store, actor, after))
        config = ProfileConfig.of(snapshot.settings.profiles, unfolded.timed, snapshot.metadata.event_weights)
        state = resume(source, key, config, unfolded.revision)
        if state.applied_through >= after:
            return unfolded.revision, unfolded.rows, state
        source, after = None, 0  # other settings or changed rows: it is folded anew


def quarantine_unknown_items(
    snapshot: ServingSnapshot,
    store: RecordingStore,
    rows: Iterable[StoredEvent],
    known: Mapping[str, ItemContent],
    flagged: set[int] | None = None,
) -> Flow[bool]:
    """Flag rows in the event store whose items a profile is about to lack, so that it is folded again when these arrive.

    Return whether such an item came meanwhile; then the rows are to be read again. flagged: gets the rows that stay flagged.
    """
    named = ((row, named_item(row)) for row in rows if row.quarantine is None)
    lacking = {row.row: item for row, item in named if item is not None and item not in known}
    if not lacking:
        return False
    yield RunBlocking(lambda: store.quarantine_unknown_items(list(lacking)))
    # Who loads items looks for such rows when they are in: one that came before the rows were set aside is seen here.
    came = yield from fetch_item_content(snapshot, lacking.values())
    lifted: dict[int, str | None] = {row: None for row, item_id in lacking.items() if item_id in came}
    if lifted:
        yield RunBlocking(lambda: store.set_quarantine(lifted))
    if flagged is not None:
        flagged |= lacking.keys() - lifted.keys()
    return bool(lifted)


class Erasure:
    """A flow that erases a user and may be run again: the result counts what the first attempt found."""

    def __init__(self, store: RecordingStore, user_id: str, now: float) -> None:
        self._store, self._user, self._now = store, user_id, now
        self._erased = ErasureReport(0, 0)

    def __call__(self, snapshot: ServingSnapshot) -> Flow[ErasureReport]:
        """Delete a user's events and profile.

        The tombstone in the event store comes first, so that a replay at the same moment can't bring the profile back. Raises
        KeyMismatch before anything is deleted.
        """
        if not self._erased.user_keys:
            rows = yield RunBlocking(lambda: self._store.rows(self._user))
            sessions = sorted({row.session_id for row in rows if row.session_id is not None})
            actors = (actor_of(self._user), *(actor_of(session_id=session) for session in sessions))
            keys = tuple(map(snapshot.key_of, actors))
            self._erased = ErasureReport((yield RunBlocking(lambda: self._store.erase(self._user, self._now))), 0, user_keys=keys)
        for key in self._erased.user_keys:
            gone = yield Delete(snapshot.metadata.profiles, key)
            self._erased = replace(self._erased, profiles=self._erased.profiles + gone)
        return self._erased


def _actor(event: Event) -> str:
    return actor_of(event.user_id, event.session_id)


def _revision(store: RecordingStore, actor: str) -> int:
    return store.revision(user_of(actor), session_id=session_of(actor))


def _read_unfolded(store: RecordingStore, actor: str, after: int) -> UnfoldedRows:
    return store.unfolded(user_of(actor), session_id=session_of(actor), after=after)
