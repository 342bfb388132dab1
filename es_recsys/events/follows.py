"""What users did about authors, so that it can be said whom they followed at a moment."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from es_recsys.event_types import EVENT_TYPES
from es_recsys.events.profiles import sign_of
from es_recsys.events.store import EventStore

__all__ = ["Follows", "read_follows"]

_Done = tuple[float, str, str, int]


@dataclass(frozen=True, slots=True, eq=False)
class Follows:
    """Events on authors.

    by_user: user id -> (time, key of the event, author, sign), in no order; the sign is 0 where one took back what was before.
    """

    by_user: Mapping[str, list[_Done]] = field(default_factory=dict)

    def of(self, user_id: str, moment: float = math.inf) -> tuple[str, ...]:
        """Return the authors whom a user followed just before `moment` (epoch seconds), by name."""
        latest: dict[str, _Done] = {}
        for done in self.by_user.get(user_id, ()):
            if done[0] < moment:
                latest[done[2]] = max(done, latest.get(done[2], done))
        return tuple(sorted(author for author, done in latest.items() if done[3] > 0))


def read_follows(store: EventStore) -> Follows:
    """Return all events on authors of a store's users, without those that are set aside."""
    by_user: dict[str, list[_Done]] = {}
    for kind in (name for name, row in EVENT_TYPES.items() if row.target == "author"):
        for row in store.scan(event_type=kind):
            if row.quarantine is None and row.user_id is not None and row.item_id is not None:
                done = (row.time, row.key, row.item_id, sign_of(kind, row.value))
                by_user.setdefault(row.user_id, []).append(done)
    return Follows(by_user)
