"""Who wants what: the hidden truth that a system under test is measured against."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from es_recsys.query import Query

__all__ = ["Environment", "SimulatedNeed"]


@dataclass(frozen=True, slots=True, eq=False)
class SimulatedNeed:
    """What a user wants at a moment, and how they put it.

    timestamp: epoch seconds. query: as the system gets it. utility: (n_items,) float64, how they would like each item of the
    environment. relevant: (n_items,) bool, the items that answer the query and that they don't have; any other is worth nothing.
    """

    user_id: str
    timestamp: float
    query: Query
    utility: NDArray[np.float64]
    relevant: NDArray[np.bool_]


class Environment(Protocol):
    """Users with hidden tastes, and the items that they choose from. Everything depends on the arguments alone."""

    @property
    def item_ids(self) -> tuple[str, ...]: ...
    @property
    def user_ids(self) -> tuple[str, ...]: ...
    @property
    def period(self) -> tuple[float, float]:
        """Epoch seconds between which tastes drift."""
        ...

    def utility(self, user_id: str, timestamp: float) -> NDArray[np.float64]:
        """Return (n_items,) float64: how the user likes each item at a moment."""
        ...

    def need(self, user_id: str, timestamp: float, rng: np.random.Generator) -> SimulatedNeed:
        """Draw something that the user wants at that moment."""
        ...
