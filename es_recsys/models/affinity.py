"""Affinities: items by what they are, weighed by how much that matters to people when they choose."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from es_recsys.dataset import Interactions, ItemTable
from es_recsys.errors import ModelError
from es_recsys.features.aggregates import percentile_ranks
from es_recsys.item_ids import ItemIds
from es_recsys.models.base import Model, TrainingCallback, recency_space
from es_recsys.models.conditional_logit import fit_conditional_logit
from es_recsys.models.item_attributes import ItemAttributes
from es_recsys.models.neighbours import by_liked
from es_recsys.models.types import LAST, HistoryBatch, decay

__all__ = ["Affinity", "AffinityConfig"]

_POPULARITY_DAYS = 30.0
_EXAMPLES, _EACH, _REJECTED = 3_000, 3, 100


@dataclass(frozen=True, slots=True)
class AffinityConfig:
    """half_life: after how many later events one of the history counts half; half_life_days: the same in days."""

    half_life: float = math.inf
    half_life_days: float = 60.0


class Affinity(Model):
    """Choice model over what items are.

    People choose among items by exp(score) (McFadden 1974, "Conditional logit analysis of qualitative choice behavior"),

        score[j] = sum over facets f of theta_f * (mean over the values v of j in f of a_v)
                   + theta_price * (1 - |level_j - level_u|) + theta_popularity * log(1 + p_j) / log(1 + max p)
        a_v = sum over events h on items with v of w_h d_h share_h / sum over events h with a value in f of |w_h| d_h

    a_v in -1..1 is how much of what a user did fell on a brand, a category or another trait; w_h d_h are `recent_weights`.
    level is an item's relative position by price within its category, 0..1, of a user the mean of what they liked; p_j the
    sum of the weights of its events, each halved by 30 days. The thetas, none below 0, maximise the likelihood of what people
    turned to next, against items drawn at random (conditional_logit.py).

    Items without events have traits like all others. A history in which nothing is liked brings nothing up.
    """

    name: ClassVar[str] = "affinity"
    config_class: ClassVar[type] = AffinityConfig
    kind: ClassVar[str] = "neighbours"
    reads_items: ClassVar[bool] = True
    extra_state: ClassVar[tuple[str, ...]] = ("_facets",)
    _facets: tuple[str, ...] = ()

    def fit(
        self, data: Interactions, rng: Generator, items: ItemTable | None = None, callback: TrainingCallback | None = None
    ) -> Self:
        """Learn how much each attribute matters; return itself.

        Raises ModelError where no two items share a category, a brand or another attribute.
        """
        ids = data.item_ids if items is None else np.union1d(data.item_ids, items.item_ids)
        n = len(ids)
        item_idx = np.zeros(0, np.int64) if items is None else np.searchsorted(ids, items.item_ids)
        traits = None if items is None else ItemAttributes.of(items, item_idx, n)
        if items is None or traits is None or not traits.facets:
            raise ModelError(
                "No two items share a category, a brand or another trait to train affinity on.",
                "Load items with categories, brand, tags or attributes first.",
            )
        price = np.full(n, np.nan)
        price[item_idx] = items.prices
        self._ids, self._fingerprint, self._facets = ItemIds.of(ids.tolist()), None, traits.facets
        at = np.searchsorted(ids, data.item_ids)
        counts = _counts(data, at, n)
        self._arrays = {
            **traits.arrays(),
            "levels": _price_levels(price, items, item_idx, n),
            "popularity": _squeezed(counts, counts),
            "theta": np.ones(len(traits.facets) + 2),
        }
        self._arrays["theta"] = self._learned(data, at, counts, rng)
        return self

    @classmethod
    def search_space(cls, ordered: bool, timed: bool) -> Mapping[str, tuple[Any, ...]]:
        """Return setting -> values worth trying."""
        return recency_space(ordered, timed)

    @property
    def importances(self) -> dict[str, float]:
        """Facet, "price" or "popularity" -> its theta: what the whole of it adds to a score."""
        _ = self.item_ids
        return dict(zip((*self._facets, "price", "popularity"), self._arrays["theta"].tolist(), strict=True))

    def _learned(self, data: Interactions, at: NDArray[np.int64], counts: NDArray[np.float64], rng: np.random.Generator) -> Any:
        """Return the thetas, (n_facets + 2,) float64."""
        examples = _examples(data, rng)
        rows: list[NDArray[np.float64]] = []
        choice_weights: list[float] = []
        newest = data.times.max(initial=-math.inf)
        for begin, event, value in examples:
            history = _history(data, at, begin, event)
            seen = np.unique(history.items)
            target = int(at[data.items[event]])
            others = rng.integers(0, len(counts), _REJECTED)
            others = others[(others != target) & ~np.isin(others, seen)]
            if not len(others) or not (history.weights > 0).any():
                continue
            choice = np.concatenate([[target], others])
            features = self._features(history, choice)
            # The popularity of the chosen one must not tell of the choice itself.
            own = data.weights[event] * (
                2.0 ** (-(newest - data.times[event]) / 86_400.0 / _POPULARITY_DAYS) if data.timed else 1.0
            )
            features[0, -1] = _squeezed(np.array([counts[target] - own]), counts)[0]
            rows.append(features)
            choice_weights.append(value)
        return fit_conditional_logit(rows, choice_weights) if rows else np.ones(len(self._facets) + 2)

    def _features(self, batch: HistoryBatch, item_idx: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return what each theta is multiplied by, (n, n_facets + 2), of the items at `item_idx`."""
        traits, mine = self._traits(), self._affinities(batch)
        entries, owners = traits.at(item_idx)
        codes = traits.codes[entries]
        n_facets = len(traits.facets)
        cells = owners * n_facets + traits.facet_of[codes]
        values = np.bincount(cells, weights=traits.shares[entries] * mine[codes], minlength=len(item_idx) * n_facets)
        nearness = self._price_nearness(batch, item_idx)
        return np.column_stack([values.reshape(len(item_idx), n_facets), nearness, self._arrays["popularity"][item_idx]])

    def _affinities(self, batch: HistoryBatch) -> NDArray[np.float64]:
        """Return a_v of one user, (v,) float64."""
        traits, weights = self._traits(), self._event_weights(batch)
        entries, owners = traits.at(batch.items)
        codes, share = traits.codes[entries], traits.shares[entries].astype(np.float64)
        sums = np.bincount(codes, weights=share * weights[owners], minlength=len(traits.facet_of))
        facets = traits.facet_of[codes]
        whole = np.bincount(facets, weights=share * np.abs(weights)[owners], minlength=len(traits.facets))
        result: NDArray[np.float64] = sums / np.where(whole > 0, whole, 1.0)[traits.facet_of]
        return result

    def _price_nearness(self, batch: HistoryBatch, item_idx: NDArray[np.int64] | slice) -> NDArray[np.float64]:
        levels_, weights = self._arrays["levels"], np.maximum(self._event_weights(batch), 0.0)
        mine = levels_[batch.items]
        known = ~np.isnan(mine)
        whole = float(weights[known].sum())
        if whole <= 0.0:
            return np.zeros(len(levels_[item_idx]))
        level = float(weights[known] @ mine[known]) / whole
        # An item without a price is as far as one in the middle of the other half.
        return 1.0 - np.nan_to_num(np.abs(levels_[item_idx] - level), nan=0.5)

    def _event_weights(self, batch: HistoryBatch) -> NDArray[np.float64]:
        return batch.recent_weights(self.config.half_life, self.config.half_life_days)

    def _traits(self) -> ItemAttributes:
        return ItemAttributes.from_arrays(self._arrays, self._facets)

    def score_idx(self, batch: HistoryBatch, item_idx: Any) -> list[NDArray[np.float32]]:
        """Return the score of each user at its own item_idx."""
        return [self._scored(batch.one(user), np.asarray(at, np.int64)) for user, at in enumerate(item_idx)]

    def _all_scores(self, batch: HistoryBatch) -> NDArray[np.float32]:
        return self._scored(batch, None)

    def _scored(self, batch: HistoryBatch, item_idx: NDArray[np.int64] | None) -> NDArray[np.float32]:
        """Return the scores of items for one user.

        item_idx: None for all.
        """
        at = slice(None) if item_idx is None else item_idx
        popularity = self._arrays["popularity"][at]
        if not (batch.weights > 0).any():
            return np.zeros(len(popularity), np.float32)
        traits, theta = self._traits(), self._arrays["theta"]
        code_weights = theta[traits.facet_of] * self._affinities(batch)
        sums = traits.totals(code_weights, item_idx)
        sums += theta[-2] * self._price_nearness(batch, at) + theta[-1] * popularity
        # At most 1, of an item that has all that the user ever chose, is as cheap or dear, and the most popular.
        odds: NDArray[np.float32] = np.exp(sums - theta.sum()).astype(np.float32)
        return odds

    def _contributions(self, batch: HistoryBatch, item_idx: NDArray[np.int64]) -> NDArray[np.float64]:
        traits, theta = self._traits(), self._arrays["theta"]
        owned, owners = traits.at(batch.items)
        alike = np.zeros((len(batch.items), len(item_idx)))
        for column, item in enumerate(item_idx.tolist()):
            entries, _ = traits.at(np.array([item]))
            code_weights = np.zeros(len(traits.facet_of))
            code_weights[traits.codes[entries]] = traits.shares[entries] * theta[traits.facet_of[traits.codes[entries]]]
            weights = code_weights[traits.codes[owned]] * traits.shares[owned]
            alike[:, column] = np.bincount(owners, weights=weights, minlength=len(batch.items))
        return by_liked(batch, self._event_weights(batch)[:, None] * alike)


def _counts(data: Interactions, at: NDArray[np.int64], n: int) -> NDArray[np.float64]:
    """Return the decayed weights of the positive events, (n,) float64."""
    liked = data.weights > 0
    days = (data.times.max(initial=-math.inf) - data.times[liked]) / 86_400.0
    weights = data.weights[liked] * (decay(days, _POPULARITY_DAYS) if data.timed else 1.0)
    return np.bincount(at[data.items[liked]], weights=weights, minlength=n).astype(np.float64)


def _squeezed(counts: NDArray[np.float64], whole: NDArray[np.float64]) -> NDArray[np.float64]:
    most = math.log1p(float(whole.max(initial=0.0)))
    return np.log1p(np.maximum(counts, 0.0)) / (most or 1.0)


def _price_levels(price: NDArray[np.float64], items: ItemTable, item_idx: NDArray[np.int64], n: int) -> NDArray[np.float64]:
    """Return the relative position by price within the innermost category, (n,) float64.

    0..1, NaN without a price.
    """
    groups = np.zeros(n, np.int64)
    groups[item_idx] = np.unique([one[-1] if one else "" for one in items.categories], return_inverse=True)[1]
    known = ~np.isnan(price)
    return np.where(known, percentile_ranks(np.nan_to_num(price), groups, known), np.nan)


def _examples(data: Interactions, rng: np.random.Generator) -> list[tuple[int, int, float]]:
    """Return the examples to learn from: the latest few of each user, of users at random.

    An example is where a history begins, the event after it, on an item that was new to the user, and the sum of the weights of
    all that they did with that item.
    """
    cells = data.users.astype(np.int64) * len(data.item_ids) + data.items
    _, first, inverse = np.unique(cells, return_index=True, return_inverse=True)
    pair_weights = np.bincount(inverse, weights=data.weights)[inverse]
    new = np.zeros(len(cells), bool)
    new[first] = True
    starts = np.searchsorted(data.users, np.arange(len(data.user_ids) + 1))
    wanted = new & (data.weights > 0) & (pair_weights > 0)
    wanted[starts[:-1][starts[:-1] < len(wanted)]] = False
    found: list[tuple[int, int, float]] = []
    for user in rng.permutation(len(data.user_ids)).tolist():
        begin, end = int(starts[user]), int(starts[user + 1])
        events = begin + np.flatnonzero(wanted[begin:end])[-_EACH:]
        found += [(begin, event, float(pair_weights[event])) for event in events.tolist()]
        if len(found) >= _EXAMPLES:
            break
    return found[:_EXAMPLES]


def _history(data: Interactions, at: NDArray[np.int64], begin: int, event: int) -> HistoryBatch:
    rows = np.arange(max(begin, event - LAST), event)
    history = HistoryBatch.of_rows(data, rows, np.array([len(rows)]))
    return replace(history, items=at[history.items])
