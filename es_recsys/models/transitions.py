"""Item-to-item transitions: what goes with, or comes after, what."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from es_recsys.models.base import ScoredPlaces
from es_recsys.models.cooccurrence import Counting, Rows, count, prune
from es_recsys.models.fitted import Fitted, top_of
from es_recsys.models.histories import Batch
from es_recsys.models.ids import ItemIds
from es_recsys.models.ranking import decay
from es_recsys.models.sequences import Sequences, sequences
from es_recsys.types import Interactions

__all__ = ["Transitions", "TransitionsConfig"]

# Histories that a block of a batch holds, so that its sparse product stays small.
_USERS = 512


@dataclass(frozen=True, slots=True)
class TransitionsConfig:
    """counting: how pairs are counted (see `Counting`).

    source_power, target_power: exponents of the popularity of the item that stands in the history and of the one that
    is scored. (.5, .5) is the cosine of Sarwar et al. 2001; (1, beta) the popularity-corrected walk RP3beta of Paudel
    et al. 2016; a higher target_power brings rarer items. neighbours: entries kept a row. half_life: after how many
    later events one of the history counts half (Ludewig and Jannach 2018 give the newest the most), half_life_days: the
    same in days.
    """

    counting: Counting = field(default_factory=Counting)
    source_power: float = 0.8
    target_power: float = 0.2
    neighbours: int = 300
    half_life: float = math.inf
    half_life_days: float = math.inf


class Transitions(Fitted):
    """A sparse matrix W (n_items, n_items) of at most `neighbours` entries a row:

        W[i, j] = C[i, j] / (popularity[i] ** source_power * popularity[j] ** target_power)

    where C counts pairs (cooccurrence.py). A history with signed weights w_h at places p_h (0 for the newest) and ages
    a_h (days before the newest) scores

        score[j] = sum over h of w_h * 2 ** (-p_h / half_life) * 2 ** (-a_h / half_life_days) * W[i_h, j]

    so a dislike subtracts what it goes with.
    """

    name: ClassVar[str] = "transitions"
    kind: ClassVar[str] = "neighbours"

    def __init__(self, config: TransitionsConfig | None = None) -> None:
        self.config = config or TransitionsConfig()

    def fit(self, data: Interactions, rng: np.random.Generator) -> Self:
        """Counts pairs; `rng` isn't used."""
        seq = sequences(data)
        rows = count(seq, self.config.counting, self.config.neighbours, self.config.target_power)
        return self.fit_counts(ItemIds.of(data.item_ids.tolist()), seq, rows)

    def fit_counts(self, item_ids: ItemIds, seq: Sequences, rows: Rows) -> Self:
        """Learns from counts that were made already, with at least `neighbours` a row."""
        popularity = np.maximum(seq.popularity, 1.0)
        discount = popularity**-self.config.target_power
        rows = prune(rows, discount, self.config.neighbours)
        source = np.repeat(popularity**-self.config.source_power, np.diff(rows.starts))
        values = (rows.values * source * discount[rows.items]).astype(np.float32)
        self._ids, self._fingerprint = item_ids, None
        self._arrays = {"starts": rows.starts, "items": rows.items, "values": values}
        return self

    def top(self, batch: Batch, n: int, exclude: Sequence[NDArray[np.int64]]) -> list[ScoredPlaces]:
        """The n best of each user, through one sparse product a block."""
        if len(batch) == 1:
            return super().top(batch, n, exclude)
        return [top_of(scores, n, exclude[user]) for user, scores in enumerate(self._each(batch))]

    def _each(self, batch: Batch) -> Any:
        from scipy import sparse

        size = len(self.item_ids)
        shape = (self._arrays["values"], self._arrays["items"], self._arrays["starts"])
        matrix = sparse.csr_matrix(shape, shape=(size, size))
        for begin in range(0, len(batch), _USERS):
            part = batch.some(begin, min(begin + _USERS, len(batch)))
            queries = sparse.csr_matrix((self._event_weights(part), part.items, part.starts), shape=(len(part), size))
            product = (queries @ matrix).tocsr()
            for user in range(len(part)):
                row = slice(product.indptr[user], product.indptr[user + 1])
                scores = np.zeros(size, np.float32)
                scores[product.indices[row]] = product.data[row]
                yield scores

    def scores_at(self, batch: Batch, places: Sequence[NDArray[np.int64]]) -> list[NDArray[np.float32]]:
        """The score of each user at its own places."""
        if len(batch) == 1:
            return super().scores_at(batch, places)
        return [scores[places[user]] for user, scores in enumerate(self._each(batch))]

    def _event_weights(self, batch: Batch) -> NDArray[np.float64]:
        result: NDArray[np.float64] = (
            batch.weights * decay(batch.places, self.config.half_life) * decay(batch.ages, self.config.half_life_days)
        )
        return result

    def _all_scores(self, batch: Batch) -> NDArray[np.float32]:
        starts, size = self._arrays["starts"], len(self.item_ids)
        begins, ends = starts[batch.items], starts[batch.items + 1]
        rows = [slice(b, e) for b, e in zip(begins.tolist(), ends.tolist(), strict=True)]
        if not rows:
            return np.zeros(size, np.float32)
        items = np.concatenate([self._arrays["items"][row] for row in rows])
        values = np.concatenate([self._arrays["values"][row] for row in rows])
        values = values * np.repeat(self._event_weights(batch), ends - begins)
        return np.bincount(items, weights=values, minlength=size).astype(np.float32)

    def _shares(self, batch: Batch, place: int) -> NDArray[np.float64]:
        starts = self._arrays["starts"]
        shares = np.zeros(len(batch.items))
        for event, item in enumerate(batch.items.tolist()):
            row = slice(int(starts[item]), int(starts[item + 1]))
            at = row.start + int(np.searchsorted(self._arrays["items"][row], place))
            if at < row.stop and self._arrays["items"][at] == place:
                shares[event] = self._arrays["values"][at]
        return shares * self._event_weights(batch)

    def _params(self) -> dict[str, Any]:
        # JSON has no infinity: what never halves is null.
        def plain(values: Mapping[str, Any]) -> dict[str, Any]:
            return {name: None if value == math.inf else value for name, value in values.items()}

        values = asdict(self.config)
        counting = plain(values.pop("counting"))
        return {**plain(values), "counting": counting}

    @classmethod
    def _from_params(cls, params: Mapping[str, Any]) -> Self:
        def halves(values: Mapping[str, Any]) -> dict[str, Any]:
            return {name: math.inf if value is None and name.startswith("half_life") else value for name, value in values.items()}

        counting = Counting(**halves(params["counting"]))
        return cls(TransitionsConfig(**{**halves(params), "counting": counting}))
