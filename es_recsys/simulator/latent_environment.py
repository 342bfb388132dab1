"""An environment of any size: tastes are directions in a space that no system sees, and they turn with time.

    utility(user, item, t) = spread * cos(taste(t), item) + quality(item)
    taste(t) = cos(a) * first + sin(a) * second,    a = drift * pi / 2 * part of the period gone by

first and second are orthogonal, so with drift 0 a taste stays, and with drift 1 nothing of the first is left at the end.
Items come in groups (of nearest centre), which have a name and can be searched for.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self

import numpy as np
from numpy.typing import NDArray

from es_recsys.errors import InputError
from es_recsys.query import Query
from es_recsys.simulator.environment import SimulatedNeed
from es_recsys.types import Item

__all__ = ["LatentFactorEnvironment"]

_DAY = 86_400.0
_SPREAD = 6.0  # a quarter of the cosines in 8 dimensions then lie above what is clicked half of the time


@dataclass(frozen=True, slots=True, eq=False)
class LatentFactorEnvironment:
    """Users and items as directions of a latent space; a user's utility of an item grows with their cosine.

    items: (n_items, d) float64 unit rows; first, second: (n_users, d) unit rows, orthogonal by pairs: where a user's taste
    begins, and what it drifts to; quality, group: (n_items,). searches: share of the needs that search for a group.
    """

    item_ids: tuple[str, ...]
    user_ids: tuple[str, ...]
    period: tuple[float, float]
    items: NDArray[np.float64]
    first: NDArray[np.float64]
    second: NDArray[np.float64]
    quality: NDArray[np.float64]
    group: NDArray[np.int64]
    drift: float = 0.0
    spread: float = _SPREAD
    searches: float = 0.3

    @classmethod
    def draw(
        cls,
        rng: np.random.Generator,
        users: int,
        items: int,
        *,
        dims: int = 8,
        groups: int = 10,
        drift: float = 0.0,
        start: datetime | None = None,
        days: float = 60.0,
    ) -> Self:
        """Draw users and items at random. Raises InputError for none of either, or for no room for two directions."""
        if users < 1 or items < 1 or dims < 2 or not 1 <= groups <= items:
            raise InputError(
                "An environment has users, items, 2 dimensions or more and at most a group an item.", "Ask for more."
            )
        begin = (start or datetime(2026, 1, 1, tzinfo=UTC)).timestamp()
        first, other = _unit(rng.normal(size=(users, dims))), rng.normal(size=(users, dims))
        second = _unit(other - (other * first).sum(axis=1, keepdims=True) * first)
        vectors = _unit(rng.normal(size=(items, dims)))
        centres = vectors[rng.permutation(items)[:groups]]
        return cls(
            tuple(f"i{number:05d}" for number in range(items)),
            tuple(f"u{number:05d}" for number in range(users)),
            (begin, begin + days * _DAY),
            vectors,
            first,
            second,
            rng.normal(0.0, 0.5, items),
            np.argmax(vectors @ centres.T, axis=1),
            drift,
        )

    def catalogue(self) -> list[Item]:
        """Return the items as a store loads them: the group is all that shows."""
        return [
            Item(item_id=item_id, title=f"{_name(group)} {item_id}", categories=(_name(group),))
            for item_id, group in zip(self.item_ids, self.group.tolist(), strict=True)
        ]

    def utility(self, user_id: str, timestamp: float) -> NDArray[np.float64]:
        user = self._user(user_id)
        part = min(max((timestamp - self.period[0]) / (self.period[1] - self.period[0]), 0.0), 1.0)
        angle = self.drift * np.pi / 2.0 * part
        taste = np.cos(angle) * self.first[user] + np.sin(angle) * self.second[user]
        return np.asarray(self.spread * (self.items @ taste) + self.quality)

    def need(self, user_id: str, timestamp: float, rng: np.random.Generator) -> SimulatedNeed:
        utility = self.utility(user_id, timestamp)
        draw, item_idx = rng.random(), int(rng.random() * len(self.item_ids))
        if draw >= self.searches:
            return SimulatedNeed(user_id, timestamp, Query(user_id=user_id), utility, np.ones(len(utility), bool))
        group = int(self.group[item_idx])
        return SimulatedNeed(user_id, timestamp, Query(text=_name(group), user_id=user_id), utility, self.group == group)

    def _user(self, user_id: str) -> int:
        user_idx = int(np.searchsorted(self.user_ids, user_id))
        if user_idx == len(self.user_ids) or self.user_ids[user_idx] != user_id:
            raise InputError("The environment has no such user.", "Take one of its user_ids.")
        return user_idx


def _unit(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))


def _name(group: int) -> str:
    return f"group{group}"
