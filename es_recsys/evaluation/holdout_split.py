"""A holdout split: what models may learn from, what is known of each evaluated user, and the targets to be found."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from es_recsys.dataset import Interactions
from es_recsys.evaluation.metrics import ndcg
from es_recsys.models.types import HistoryBatch, take
from es_recsys.top_k import ScoredItems

__all__ = ["HoldoutRule", "HoldoutSplit", "Recommend", "n_items_of", "pairs_of", "validation_score"]

# Answers of many users at once: their histories, how many items, and items to leave out of each, as `Model.recommend_idx`.
Recommend = Callable[[HistoryBatch, int, Sequence[NDArray[np.int64]]], list[ScoredItems]]


@dataclass(frozen=True, slots=True, eq=False)
class HoldoutRule:
    """Rule of a holdout split: which events are held out.

    moment: events from then on are held out, of everybody. cutoffs (n_users,): time of each user from which on their own are.
    learned (n_users,): time of each user up to which models may learn from what isn't held out; later events are only known at
    query time. pairs: user * n_items + item of pairs that are held out whenever they were.
    """

    moment: float = math.inf
    cutoffs: NDArray[np.float64] | None = None
    learned: NDArray[np.float64] | None = None
    pairs: NDArray[np.int64] | None = None

    def visible(self, data: Interactions) -> NDArray[np.bool_]:
        """Return which events (n,) are known at query time."""
        visible: NDArray[np.bool_] = data.times < self.moment
        if self.cutoffs is not None:
            visible &= data.times < self.cutoffs[data.users]
        if self.pairs is not None:
            visible &= ~np.isin(pairs_of(data), self.pairs)
        return visible

    def train(self, data: Interactions) -> NDArray[np.bool_]:
        """Return which events (n,) models may learn from."""
        return self.visible(data) if self.learned is None else self.visible(data) & (data.times < self.learned[data.users])


@dataclass(frozen=True, slots=True, eq=False)
class HoldoutSplit:
    """Events to learn from, and n users whose held-out items are to be found.

    kind: how the targets were chosen, in words. train: what models may learn from. histories: what is known of the users;
    seen, targets: n arrays of item indices, to be left out of and to be found in the answer. gains: what each target counts,
    the sum of the weights of its events, so that a purchase counts for more than a view; () where all count alike.
    users (n,) int64: index of each in `train.user_ids`. visible: events known at query time (None: those of `train`).
    rule: which events are held out.
    """

    kind: str
    train: Interactions
    histories: HistoryBatch
    seen: tuple[NDArray[np.int64], ...]
    targets: tuple[NDArray[np.int64], ...]
    gains: tuple[NDArray[np.float64], ...] = ()
    users: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    visible: Interactions | None = None
    rule: HoldoutRule = field(default_factory=HoldoutRule)

    def __len__(self) -> int:
        return len(self.targets)

    def first(self, users: int) -> HoldoutSplit:
        """Return the same split with the first of its users only."""
        return self.between(0, users)

    def between(self, begin: int, end: int) -> HoldoutSplit:
        """Return the same split with some of its users, `end` left out."""
        end = min(end, len(self))
        return replace(
            self,
            histories=self.histories.some(begin, end),
            seen=self.seen[begin:end],
            targets=self.targets[begin:end],
            gains=self.gains[begin:end],
            users=self.users[begin:end],
        )

    def reweighted(self, weights: NDArray[np.float32]) -> HoldoutSplit:
        """Return the same split with other weights (n,) of the training events, and with targets that count alike.

        An event of weight 0 is not learned from, but its item stays out of the answers.
        """
        events = replace(self.train, weights=weights)
        train = take(events, weights != 0)
        return replace(self, train=train, visible=None, histories=HistoryBatch.of_users(train, self.users), gains=())

    @property
    def user_weights(self) -> NDArray[np.float64]:
        """Mean gain (n,) of each user's targets over that of all users: a user who buys counts for more than one who looks."""
        if not self.gains:
            return np.ones(len(self))
        each = np.array([own.mean() for own in self.gains])
        result: NDArray[np.float64] = each / each.mean()
        return result

    def ndcg(self, lists: list[NDArray[np.int64]], n: int) -> NDArray[np.float64]:
        """Return NDCG@n (n_users,) float64 of each user times `user_weights`: the mean is a weighted mean in [0, 1]."""
        return ndcg(lists, self.targets, n, self.gains) * self.user_weights


def validation_score(split: HoldoutSplit, n: int = 10) -> Callable[[Recommend], float]:
    """Return the function that scores a model after each epoch of its training, by NDCG@n of its answers on `split`.

    The model must learn from `split.train` alone. Item indices are those of its ids.
    """

    def score(recommend: Recommend) -> float:
        lists = [items for items, _ in recommend(split.histories, n, split.seen)]
        return float(split.ndcg(lists, n).mean()) if len(split) else 0.0

    return score


def pairs_of(data: Interactions) -> NDArray[np.int64]:
    """Return user * n_items + item (n,) of each event."""
    return data.users.astype(np.int64) * n_items_of(data) + data.items


def n_items_of(data: Interactions) -> int:
    """Return the number of items, 1 at least."""
    return max(len(data.item_ids), 1)
