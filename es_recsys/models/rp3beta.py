"""RP3beta: a walk of three steps from user to item to user to item, with popular ends made rarer."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Self

from numpy.random import Generator

from es_recsys.models.callback import TrainingCallback
from es_recsys.models.cooccurrence import Counting, corrected, count
from es_recsys.models.ids import ItemIds
from es_recsys.models.neighbours import Neighbours, recency_space
from es_recsys.models.params import from_json, to_json
from es_recsys.models.sequences import sequences
from es_recsys.types import Interactions, ItemTable

__all__ = ["RP3beta", "RP3betaConfig"]


@dataclass(frozen=True, slots=True)
class RP3betaConfig:
    """alpha: exponent of the walk's probabilities, 1 for the plain walk. beta: exponent of the popularity that the end is
    divided by. neighbours: entries kept a row. half_life, half_life_days: see `Neighbours`."""

    alpha: float = 0.7
    beta: float = 0.3
    neighbours: int = 300
    half_life: float = math.inf
    half_life_days: float = math.inf


class RP3beta(Neighbours):
    """Paudel, Christoffel, Newell and Bernstein 2016, "Updatable, Accurate, Diverse, and Scalable Recommendations":

        W[i, j] = (sum over users u of both of (1 / n_i * 1 / m_u) ** alpha) / n_j ** beta

    n_i events on item i, m_u events of user u; the edges of an event weigh the root of its weight. The first step of the
    walk, from the user to an item, is the history itself.
    """

    name: ClassVar[str] = "rp3beta"

    def __init__(self, config: RP3betaConfig | None = None) -> None:
        self.config = config or RP3betaConfig()

    def fit(
        self, data: Interactions, rng: Generator, items: ItemTable | None = None, callback: TrainingCallback | None = None
    ) -> Self:
        """Counts the walks; `rng` isn't used."""
        how, seq = self.config, sequences(data)
        rows = count(seq, Counting(user_power=how.alpha), how.neighbours, how.beta)
        self._learned(ItemIds.of(data.item_ids.tolist()), corrected(rows, seq.popularity, how.alpha, how.beta))
        return self

    @classmethod
    def search_space(cls, ordered: bool, timed: bool) -> Mapping[str, tuple[Any, ...]]:
        """Setting -> values worth trying."""
        return {
            **recency_space(ordered, timed),
            "beta": (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6),
            "alpha": (0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0),
        }

    @classmethod
    def default_config(cls, ordered: bool, timed: bool) -> RP3betaConfig:
        """A short memory where order tells."""
        return RP3betaConfig(half_life=4.0 if ordered else math.inf)

    def _params(self) -> dict[str, Any]:
        return to_json(asdict(self.config))

    @classmethod
    def _from_params(cls, params: Mapping[str, Any]) -> Self:
        return cls(RP3betaConfig(**from_json(params)))
