"""What followed and liked authors made, at the moment of a split in time, so that it can be weighed beside the models."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from es_recsys.dataset import Interactions, ItemTable
from es_recsys.evaluation.holdout_split import HoldoutSplit
from es_recsys.events.follows import Follows
from es_recsys.models.base import Model, TrainingCallback
from es_recsys.models.types import HistoryBatch
from es_recsys.search.retrievers import AUTHOR, author_weights
from es_recsys.training.recency import Recency, RecencyConfig, recency_of

__all__ = ["FollowedAuthors", "FollowedAuthorsConfig", "followed_authors_of", "with_followed"]


@dataclass(frozen=True, slots=True)
class FollowedAuthorsConfig:
    """As `RecencyConfig`. half_life_days: after how many days a liked item tells half as much of its author."""

    pivot_hours: float = 720.0
    moment: float = math.inf
    half_life_days: float = 60.0


class FollowedAuthors(Model):
    """What the retriever `author` scores at a moment: the weight of an item's author times the item's recency.

    Who is followed is in `HistoryBatch.followed`; who is liked is told by the items of a history.
    """

    name: ClassVar[str] = AUTHOR
    config_class: ClassVar[type] = FollowedAuthorsConfig
    kind: ClassVar[str] = "neighbours"
    reads_items: ClassVar[bool] = True

    def fit(
        self, data: Interactions, rng: Generator, items: ItemTable | None = None, callback: TrainingCallback | None = None
    ) -> Self:
        """Learn who made which item, and when; return itself. Without a catalogue nobody made anything."""
        recency = Recency(RecencyConfig(self.config.pivot_hours, self.config.moment)).fit(data, rng, items)
        ids = recency.item_ids
        owners = np.zeros(len(ids), np.int64)
        names = [""]
        if items is not None and AUTHOR in items.attributes:
            made_by = [own[0] if own else "" for own in items.attributes[AUTHOR]]
            names = sorted({"", *made_by})
            owners[ids.find(items.item_ids.tolist())] = np.searchsorted(names, made_by)
        newness = recency.score_idx(_nobody(), [np.arange(len(ids))])[0]
        return self._set_learned(list(ids), {"newness": newness, "owners": owners, "authors": np.array(names, np.str_)})

    def _all_scores(self, batch: HistoryBatch) -> NDArray[np.float32]:
        owners, names = self._arrays["owners"], self._arrays["authors"]
        events = np.maximum(batch.recent_weights(math.inf, self.config.half_life_days), 0.0)
        sums = np.bincount(owners[batch.items], weights=events, minlength=len(names))
        sums[0] = 0.0  # without an author
        liked = {str(names[code]): float(sums[code]) for code in np.flatnonzero(sums)}
        weights = np.zeros(len(names))
        for author, weight in author_weights(batch.followed[0] if batch.followed else (), liked).items():
            code = int(np.searchsorted(names, author))
            if code < len(names) and names[code] == author:
                weights[code] = weight
        scores: NDArray[np.float32] = (weights[owners] * self._arrays["newness"]).astype(np.float32)
        return scores

    def _contributions(self, batch: HistoryBatch, item_idx: NDArray[np.int64]) -> NDArray[np.float64]:
        return np.zeros((len(batch.items), len(item_idx)))


def with_followed(part: HoldoutSplit, follows: Follows | None) -> HoldoutSplit:
    """Return a split in time whose histories say whom each user followed at its moment; itself where nobody followed anybody."""
    moment = part.rule.moment
    if follows is None or not math.isfinite(moment):
        return part
    followed = tuple(follows.of(str(user_id), moment) for user_id in part.train.user_ids[part.users])
    return replace(part, histories=replace(part.histories, followed=followed)) if any(followed) else part


def followed_authors_of(
    part: HoldoutSplit, items: ItemTable | None, pivot_hours: float, half_life_days: float
) -> FollowedAuthors | None:
    """Return what followed authors made at the moment of a split in time; None where nobody follows, or no author is known."""
    if not part.histories.followed or items is None or AUTHOR not in items.attributes:
        return None
    if recency_of(part, items, pivot_hours) is None:
        return None
    config = FollowedAuthorsConfig(pivot_hours, part.rule.moment, half_life_days)
    return FollowedAuthors(config).fit(part.train, np.random.default_rng(0), items)


def _nobody() -> HistoryBatch:
    nothing = np.zeros(0)
    return HistoryBatch(np.zeros(2, np.int64), nothing.astype(np.int64), nothing.astype(np.float32), nothing, nothing)
