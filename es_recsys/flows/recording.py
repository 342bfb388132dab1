"""Recording events: into the event store, which is the truth, and at once into the profiles of those who did them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from es_recsys.behaviour.profiles import fold, to_document
from es_recsys.behaviour.records import StoredEvent
from es_recsys.behaviour.state import Terms
from es_recsys.behaviour.subjects import session_of, subject_key, subject_of, user_of
from es_recsys.errors import WriteError
from es_recsys.flows.effects import Call, Delete, Flow, Get, Pause, Put
from es_recsys.flows.people import features, resumed
from es_recsys.flows.view import View
from es_recsys.types import Event

__all__ = ["Erased", "Events", "Recorded", "erase", "put_events", "update_profile"]

_TRIES = 40
_FIRST_PAUSE_S = 0.005
_LONGEST_PAUSE_S = 0.5


class Events(Protocol):
    """The part of the event store that recording needs."""

    @property
    def timed(self) -> bool: ...
    def append(self, events: Sequence[Event], received_at: float | None = None) -> Any: ...
    def rows(
        self, user_id: str | None = None, *, session_id: str | None = None, after: int = 0, limit: int | None = None
    ) -> list[StoredEvent]: ...
    def revision(self, user_id: str | None = None, *, session_id: str | None = None) -> int: ...
    def erase(self, user_id: str, now: float | None = None) -> int: ...


@dataclass(frozen=True, slots=True)
class Recorded:
    """What became of the events: new, known already, refused because their user was erased, or with a future time that
    was set to now."""

    new: int = 0
    duplicates: int = 0
    refused: int = 0
    clamped: int = 0


@dataclass(frozen=True, slots=True)
class Erased:
    """How much of a user was deleted. keys: what stood for the user and the user's sessions outside the event store."""

    events: int
    profiles: int
    answers: int = 0
    keys: tuple[str, ...] = ()


def put_events(view: View, store: Events, events: Sequence[Event], now: float) -> Flow[Recorded]:
    """Stores events and brings the profiles of their subjects up to date, so that the very next answer shows them.

    Storing comes first: if the rest fails, the same events sent again, or any later event of the subject, repairs the
    profile. Raises WriteError where a profile is written to so much that no turn comes.
    """
    appended = yield Call(lambda: store.append(events, now))
    for subject in dict.fromkeys(subject_of(event.user_id, event.session_id) for event in events):
        yield from update_profile(view, store, subject, now)
    return Recorded(len(appended.rows), appended.duplicates, appended.refused, appended.clamped)


def update_profile(view: View, store: Events, subject: str, now: float) -> Flow[bool]:
    """Folds the rows that a stored profile lacks into it, by compare-and-set. Result: whether it changed."""
    key = subject_key(subject, view.secret)
    pause = _FIRST_PAUSE_S
    for _ in range(_TRIES):
        found = yield Get(view.meta.profiles, key)
        revision, timed = yield Call(lambda: _standing(store, subject))
        terms = Terms.of(view.settings.profiles, timed, view.meta.behaviours)
        state = resumed(None if found is None else found.source, key, terms, revision)
        rows = yield Call(partial(_rows, store, subject, state.applied_through))
        if not rows and (found is None or found.source["revision"] == state.revision):
            return False
        if not rows and state.applied_through == 0:
            yield Delete(view.meta.profiles, key)
            return True
        known = yield from features(view, (row.item_id for row in rows if row.item_id is not None))
        written = yield Put(view.meta.profiles, key, to_document(fold(state, rows, known), now), found)
        # Rows that were erased or set aside while they were being folded must not outlive it in the profile.
        if written and (yield Call(lambda: _standing(store, subject)))[0] == revision:
            return True
        # The wait depends on the key alone, so that writers of one profile don't meet again and again in step.
        yield Pause(pause * (0.5 + int(key[-4:], 16) % 97 / 97.0))
        pause = min(pause * 1.5, _LONGEST_PAUSE_S)
    raise WriteError(
        "A profile is written to by too many at once.", "The events are stored; send them again, or any later event."
    )


def erase(view: View, store: Events, user_id: str, now: float) -> Flow[Erased]:
    """Deletes a user's events and profile. The tombstone in the event store comes first, so that a replay at the same
    moment can't bring the profile back."""
    sessions = yield Call(lambda: {row.session_id for row in store.rows(user_id) if row.session_id is not None})
    events = yield Call(lambda: store.erase(user_id, now))
    subjects = (subject_of(user_id), *(subject_of(session_id=session) for session in sorted(sessions)))
    keys = tuple(subject_key(subject, view.secret) for subject in subjects)
    profiles = 0
    for key in keys:
        profiles += yield Delete(view.meta.profiles, key)
    return Erased(events, profiles, keys=keys)


def _standing(store: Events, subject: str) -> tuple[int, bool]:
    return store.revision(user_of(subject), session_id=session_of(subject)), store.timed


def _rows(store: Events, subject: str, after: int) -> list[StoredEvent]:
    return store.rows(user_of(subject), session_id=session_of(subject), after=after)
