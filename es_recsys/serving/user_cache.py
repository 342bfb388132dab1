"""Users as they were read or written last, so that the next answer to one of them computes nothing again.

A profile is taken only if the stored document is still the same write, so an event shows in the next answer. That is looked
at beside the answer's search (`known`). What models say of the user is taken only with the same profile, models, items and
exclusions.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from threading import Lock
from typing import Any

from es_recsys.dataset import Profile
from es_recsys.search.request import UserState
from es_recsys.serving.operations import Document

__all__ = ["KnownProfile", "UserCache"]

_MOST_USERS = 500
"""Some 100 kB each, most of it the lists of neighbours models."""

_MOST_STATES = 4


@dataclass(frozen=True, slots=True)
class KnownProfile(Document):
    """A profile as its document was read last, whose fields are not kept."""

    profile: Profile


@dataclass(frozen=True, slots=True, eq=False)
class _User:
    """known: the profile, or its document where nobody asked for it yet. states: what they were computed from -> user state."""

    known: Document
    states: list[tuple[tuple[Any, ...], UserState]]


class UserCache:
    """The 500 users that were answered, or did something, last. Thread-safe."""

    def __init__(self) -> None:
        self._users: OrderedDict[tuple[str, str], _User] = OrderedDict()
        self._lock = Lock()

    def known(self, index: str, key: str) -> Document | None:
        """Return the profile of a key as it was read or written last."""
        with self._lock:
            user = self._users.get((index, key))
            if user is None:
                return None
            self._users.move_to_end((index, key))
            return user.known

    def profile(self, index: str, found: Document, build: Callable[[Mapping[str, Any]], Profile]) -> Profile:
        """Return the profile of a stored document. build: makes one of its source."""
        if isinstance(found, KnownProfile):
            return found.profile
        key = str(found.source.get("user_key"))
        with self._lock:
            user = self._users.get((index, key))
            if user is not None and isinstance(user.known, KnownProfile) and user.known.is_still(found):
                self._users.move_to_end((index, key))
                return user.known.profile
        known = KnownProfile({}, found.seq_no, found.primary_term, build(found.source))
        self._store(index, key, known)
        return known.profile

    def store_written(self, index: str, key: str, written: Document) -> None:
        """Store the document of a profile that was just written: who does something most often asks next."""
        self._store(index, key, written)

    def _store(self, index: str, key: str, known: Document) -> None:
        with self._lock:
            self._users[index, key] = _User(known, [])
            self._users.move_to_end((index, key))
            if len(self._users) > _MOST_USERS:
                self._users.popitem(last=False)

    def state(self, index: str, profile: Profile, inputs: tuple[Any, ...]) -> UserState | None:
        """Return the state that was stored for the very profile and inputs, which are equal or the same objects."""
        with self._lock:
            user = self._users.get((index, profile.user_key))
            if user is None or not _is_of(user.known, profile):
                return None
            return next((state for known, state in user.states if _same(known, inputs)), None)

    def store(self, index: str, profile: Profile, inputs: tuple[Any, ...], state: UserState) -> None:
        """Store the state of a profile that `profile` returned."""
        with self._lock:
            user = self._users.get((index, profile.user_key))
            if user is not None and _is_of(user.known, profile):
                user.states.append((inputs, state))
                del user.states[:-_MOST_STATES]


def _is_of(known: Document, profile: Profile) -> bool:
    return isinstance(known, KnownProfile) and known.profile is profile


def _same(one: tuple[Any, ...], other: tuple[Any, ...]) -> bool:
    return all(a is b or (isinstance(a, _VALUES) and a == b) for a, b in zip(one, other, strict=True))


_VALUES = (str, int, float, bool, frozenset, dict)
