"""Small interactions for the tests of the models."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from es_recsys.types import Interactions

# An event: item, and where they matter its weight, its time in days, and what it was, a view unless that is told.
Event = str | tuple[str, float] | tuple[str, float, float] | tuple[str, float, float, str]
Make = Callable[..., Interactions]
TYPES = ("purchase", "view")


@pytest.fixture(scope="session")
def interactions() -> Make:
    """interactions({"user": [event, ...]}, timed=False): events oldest first."""

    def make(users: Mapping[str, Sequence[Event]], timed: bool = False) -> Interactions:
        rows = []
        for user, events in enumerate(users.values()):
            for place, event in enumerate(events):
                given: tuple[Any, ...] = (event,) if isinstance(event, str) else event
                item, weight, day, kind = given + (1.0, float(place), "view")[len(given) - 1 :]
                rows.append((user, item, weight, day * 86_400.0 if timed else day, kind))
        item_ids, items = np.unique(np.array([row[1] for row in rows], dtype=np.str_), return_inverse=True)
        return Interactions(
            user_ids=np.array(list(users), dtype=np.str_),
            item_ids=item_ids,
            users=np.array([row[0] for row in rows], np.int32),
            items=items.astype(np.int32),
            weights=np.array([row[2] for row in rows], np.float32),
            times=np.array([row[3] for row in rows], np.float64),
            timed=timed,
            kinds=np.array([TYPES.index(row[4]) for row in rows], np.int8),
            event_types=TYPES,
        )

    return make
