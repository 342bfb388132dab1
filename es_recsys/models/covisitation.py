"""Co-visitation: what goes with, or comes after, what."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self

import numpy as np
from numpy.random import Generator

from es_recsys.cooccurrence import CooccurrenceConfig, corrected, count, prune
from es_recsys.dataset import Interactions, ItemTable
from es_recsys.item_ids import ItemIds
from es_recsys.linear_algebra import CSR
from es_recsys.models.base import TrainingCallback
from es_recsys.models.neighbours import Neighbours
from es_recsys.sequences import UserSequences, user_sequences

__all__ = ["CoVisitation", "CoVisitationConfig"]


@dataclass(frozen=True, slots=True)
class CoVisitationConfig:
    """counting: how pairs are counted (see `CooccurrenceConfig`).

    source_power, target_power: exponents of the popularity of the item that stands in the history and of the one that
    is scored. (.5, .5) is the cosine of Sarwar et al. 2001; (1, beta) the popularity-corrected walk RP3beta of Paudel
    et al. 2016; a higher target_power brings rarer items. neighbours: entries kept a row. half_life: after how many
    later events one of the history counts half (Ludewig and Jannach 2018 give the newest the most), half_life_days: the
    same in days.
    """

    counting: CooccurrenceConfig = field(default_factory=CooccurrenceConfig)
    source_power: float = 0.8
    target_power: float = 0.2
    neighbours: int = 1_000
    half_life: float = math.inf
    half_life_days: float = math.inf


class CoVisitation(Neighbours):
    """Item-to-item weights from counts of what the same users had soon after, or near, each other.

    A sparse matrix W (n_items, n_items) of at most `neighbours` entries a row:

        W[i, j] = C[i, j] / (popularity[i] ** source_power * popularity[j] ** target_power)

    where C counts, over the users with m events each, pairs of an event p on i and another one q on j (cooccurrence.py):

        C[i, j] = sum over users of m ** -user_power * sum over pairs of r_p r_q b decay ** (|p - q| - 1),   |p - q| <= window

    r is an event's strength (cooccurrence.py), faded by its age; b is 1 where j comes after i, else `backward`. These are the
    sequential rules of Ludewig and Jannach 2018, "Evaluation of session-based recommendation algorithms"; without a window all
    pairs of a history count alike, each item by its strongest event, as in Sarwar et al. 2001. A history scores as in
    `Neighbours`.
    """

    name: ClassVar[str] = "covisitation"
    config_class: ClassVar[type] = CoVisitationConfig

    def fit(
        self, data: Interactions, rng: Generator, items: ItemTable | None = None, callback: TrainingCallback | None = None
    ) -> Self:
        """Count pairs; return itself. `rng` isn't used."""
        seq = user_sequences(data)
        rows = count(seq, self.config.counting, self.config.neighbours, self.config.target_power)
        return self.fit_counts(ItemIds.of(data.item_ids.tolist()), seq, rows)

    @classmethod
    def search_space(cls, ordered: bool, timed: bool) -> Mapping[str, tuple[Any, ...]]:
        """Return setting -> values worth trying; "window" stands for a window and its decay."""
        if not ordered:
            return {
                "target_power": (0.0, 0.1, 0.2, 0.3, 0.4),
                "source_power": (0.4, 0.6, 0.8, 1.0),
                "window": ((20, 0.9), (50, 0.97), (None, 1.0)),
                "user_power": (0.0, 0.25, 0.5, 0.75, 1.0),
            }
        moves: dict[str, tuple[Any, ...]] = {
            "half_life": (1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0, math.inf),
            "target_power": (0.0, 0.1, 0.2, 0.3, 0.4, 0.5),
            "source_power": (0.3, 0.4, 0.5, 0.6, 0.8, 1.0),
            "window": ((5, 0.7), (10, 0.8), (20, 0.9), (50, 0.97), (None, 1.0)),
            "backward": (0.1, 0.25, 0.4, 0.5, 0.7, 1.0),
            "user_power": (0.0, 0.3, 0.5, 0.75, 1.0),
        }
        if timed:
            moves["half_life_days"] = (1.0, 3.0, 10.0, 30.0, 90.0, math.inf)
            moves["pair_half_life_days"] = (10.0, 30.0, 90.0, 365.0, math.inf)
        return moves

    @classmethod
    def default_config(cls, ordered: bool, timed: bool) -> CoVisitationConfig:
        """Return settings for the whole history where order tells nothing, else a window of ten and a short memory."""
        if not ordered:
            return CoVisitationConfig(CooccurrenceConfig(None, 1.0, 1.0, 0.75), 0.8, 0.2)
        return CoVisitationConfig(CooccurrenceConfig(10, 0.8, 0.5, 0.3), 0.5, 0.2, half_life=3.0)

    @classmethod
    def with_param(cls, config: CoVisitationConfig, setting: str, value: Any) -> CoVisitationConfig:
        """Return the config with one setting at another value."""
        counting = config.counting
        if setting == "window":
            counting = replace(counting, window=value[0], decay=value[1])
        elif setting == "pair_half_life_days":
            counting = replace(counting, half_life_days=value)
        elif setting in ("backward", "user_power"):
            counting = replace(counting, **{setting: value})
        else:
            return replace(config, **{setting: value})
        return replace(config, counting=counting)

    def fit_counts(self, item_ids: ItemIds, seq: UserSequences, rows: CSR) -> Self:
        """Learn from counts that were made already, with at least `neighbours` a row."""
        how = self.config
        rows = prune(rows, np.maximum(seq.popularity, 1.0) ** -how.target_power, how.neighbours)
        self._learned(item_ids, corrected(rows, seq.popularity, how.source_power, how.target_power))
        return self
