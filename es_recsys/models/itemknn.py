"""Item-kNN: the nearest items by the cosine of the users who had them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from es_recsys.models.callback import TrainingCallback
from es_recsys.models.cooccurrence import Counting, Rows, counts, joined, prune
from es_recsys.models.ids import ItemIds
from es_recsys.models.neighbours import Neighbours, recency_space
from es_recsys.models.params import from_json, to_json
from es_recsys.models.sequences import Sequences, cells, sequences
from es_recsys.types import Interactions, ItemTable

__all__ = ["ItemKNN", "ItemKNNConfig"]


@dataclass(frozen=True, slots=True)
class ItemKNNConfig:
    """neighbours: entries kept a row. shrinkage: added to the denominator, in events; likeness that rests on few users is
    lowered by it. user_power: a user with m events counts m ** -user_power, 0 for the plain cosine. normalise: whether
    each row is scaled to unit length. half_life, half_life_days: see `Neighbours`."""

    neighbours: int = 200
    shrinkage: float = 5.0
    user_power: float = 0.5
    normalise: bool = True
    half_life: float = math.inf
    half_life_days: float = math.inf


class ItemKNN(Neighbours):
    """The cosine of two items' columns (Sarwar, Karypis, Konstan and Riedl 2001), shrunk (Bell and Koren 2007):

        W[i, j] = x_i . x_j / (|x_i| |x_j| + shrinkage)      of each row i the `neighbours` highest

    x_i (n_users,) holds the root of the weight of each user's strongest event on i, times the root of
    m_u ** -user_power. Rows of unit length let rare items say as much as popular ones (Deshpande and Karypis 2004).
    """

    name: ClassVar[str] = "itemknn"

    def __init__(self, config: ItemKNNConfig | None = None) -> None:
        self.config = config or ItemKNNConfig()

    def fit(
        self, data: Interactions, rng: Generator, items: ItemTable | None = None, callback: TrainingCallback | None = None
    ) -> Self:
        """Counts pairs; `rng` isn't used."""
        seq = sequences(data)
        rows = joined(self._nearest(seq))
        if self.config.normalise:
            rows = _unit(rows)
        self._learned(ItemIds.of(data.item_ids.tolist()), rows)
        return self

    @classmethod
    def search_space(cls, ordered: bool, timed: bool) -> Mapping[str, tuple[Any, ...]]:
        """Setting -> values worth trying."""
        return {
            **recency_space(ordered, timed),
            "user_power": (0.0, 0.25, 0.5, 0.75, 1.0),
            "shrinkage": (0.0, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 100.0),
            "neighbours": (20, 50, 100, 200, 400),
            "normalise": (True, False),
        }

    @classmethod
    def default_config(cls, ordered: bool, timed: bool) -> ItemKNNConfig:
        """A short memory where order tells."""
        return ItemKNNConfig(half_life=4.0 if ordered else math.inf)

    def _nearest(self, seq: Sequences) -> Iterator[Rows]:
        norms, begin = self._norms(seq), 0
        for block in counts(seq, Counting(user_power=self.config.user_power)):
            own = np.repeat(norms[begin : begin + len(block.starts) - 1], np.diff(block.starts))
            own *= norms[block.items]
            own += np.float32(self.config.shrinkage)
            begin += len(block.starts) - 1
            yield prune(Rows(block.starts, block.items, block.values / own), None, self.config.neighbours)

    def _norms(self, seq: Sequences) -> NDArray[np.float32]:
        users, items, strengths = cells(seq, seq.strengths)
        power = np.maximum(seq.lengths, 1).astype(np.float64) ** -self.config.user_power
        square = np.bincount(items, weights=strengths.astype(np.float64) ** 2 * power[users], minlength=len(seq.popularity))
        return np.sqrt(square).astype(np.float32)

    def _params(self) -> dict[str, Any]:
        return to_json(asdict(self.config))

    @classmethod
    def _from_params(cls, params: Mapping[str, Any]) -> Self:
        return cls(ItemKNNConfig(**from_json(params)))


def _unit(rows: Rows) -> Rows:
    row = np.repeat(np.arange(len(rows.starts) - 1), np.diff(rows.starts))
    length = np.sqrt(np.bincount(row, weights=rows.values.astype(np.float64) ** 2, minlength=len(rows.starts) - 1))
    return Rows(rows.starts, rows.items, (rows.values / length[row]).astype(np.float32))
