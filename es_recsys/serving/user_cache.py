"""Users as they were read last, so that the next answer to one of them computes nothing again.

A profile is taken only if the stored document is still the same write, so an event shows in the next answer. That is looked
at beside the answer's search (`known`). What models say of
the user is taken only with the same profile, models, items and exclusions.
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

    def is_still(self, found: Document | None) -> bool:
        """Return whether a document is the same write."""
        return found is not None and (found.primary_term, found.seq_no) == (self.primary_term, self.seq_no)


@dataclass(frozen=True, slots=True, eq=False)
class _User:
    """known: the profile. states: what they were computed from -> user state, the newest last."""

    known: KnownProfile
    states: list[tuple[tuple[Any, ...], UserState]]


class UserCache:
    """The 500 users that were answered last. Thread-safe."""

    def __init__(self) -> None:
        self._users: OrderedDict[tuple[str, str], _User] = OrderedDict()
        self._lock = Lock()

    def known(self, index: str, key: str) -> KnownProfile | None:
        """Return the profile of a key as it was read last."""
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
            if user is not None and user.known.is_still(found):
                self._users.move_to_end((index, key))
                return user.known.profile
        known = KnownProfile({}, found.seq_no, found.primary_term, build(found.source))
        user = _User(known, [])
        with self._lock:
            self._users[index, key] = user
            if len(self._users) > _MOST_USERS:
                self._users.popitem(last=False)
        return known.profile

    def state(self, index: str, profile: Profile, inputs: tuple[Any, ...]) -> UserState | None:
        """Return the state that was stored for the very profile and inputs, which are equal or the same objects."""
        with self._lock:
            user = self._users.get((index, profile.user_key))
            if user is None or user.known.profile is not profile:
                return None
            return next((state for known, state in user.states if _same(known, inputs)), None)

    def store(self, index: str, profile: Profile, inputs: tuple[Any, ...], state: UserState) -> None:
        """Store the state of a profile that `profile` returned."""
        with self._lock:
            user = self._users.get((index, profile.user_key))
            if user is not None and user.known.profile is profile:
                user.states.append((inputs, state))
                del user.states[:-_MOST_STATES]


def _same(one: tuple[Any, ...], other: tuple[Any, ...]) -> bool:
    return all(a is b or (isinstance(a, _VALUES) and a == b) for a, b in zip(one, other, strict=True))


_VALUES = (str, int, float, bool, frozenset, dict)
