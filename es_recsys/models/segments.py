"""Segments of users: what groups there are, what marks each, and which one a history is nearest to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from es_recsys import artefact
from es_recsys.dataset import History, Interactions, ItemTable
from es_recsys.errors import ModelError
from es_recsys.features import FeatureTable, compute_features
from es_recsys.item_ids import ItemIds
from es_recsys.models.base import not_fitted
from es_recsys.models.clustering import LEAST_USERS, group, squared_distances
from es_recsys.models.item_embeddings import embed_items
from es_recsys.models.segment_map import SEGMENT_FEATURES, SegmentMap, placed
from es_recsys.models.segment_profiles import FEW, SegmentProfile, segment_profiles
from es_recsys.models.types import HistoryBatch, decay, encode, take
from es_recsys.models.user_features import scale_of, user_features
from es_recsys.top_k import top_k

__all__ = ["SEGMENTS", "Segments", "SegmentsConfig"]

SEGMENTS = "segments"
"""What they are called where models to train are named; and their folder beside those of a version's models."""

_LAYOUT = 2
_HALF_LIFE_DAYS = 30.0
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class SegmentsConfig:
    """Settings of `Segments`.

    most: segments at most. dims: dimensions of what items are. features: how much the features of users count beside what
    they like, 1 as much."""

    most: int = 20
    dims: int = 16
    features: float = 0.05


class Segments:
    """Groups of users.

    A user lies at x = (taste, features): the signed mean of the embeddings of their items (item_embeddings.py), beside
    features such as frequency, value and price level, as of the user's newest event (user_features.py). K-means (Lloyd 1982;
    begun as by Arthur and Vassilvitskii 2007) groups the users: centres c of the least sum of |x - c|^2 to the nearest.
    Their number is the one of the best mean silhouette, (b - a) / max(a, b) with a user's mean distances a to the own group and
    b to the nearest other one (Rousseeuw 1987), and no group has fewer than twenty (clustering.py). A history lies where the same
    events put a user in training, and belongs to its three nearest segments s in shares

        m_s proportional to exp(-2 |x - c_s|^2 / spread),   spread: the mean of |x - c|^2 over all users

    Popular in a segment s are the items j of the highest

        p_s[j] = (users of s who liked j, each halved by 30 days + 20 * share of all who did) / (users of s + 20)

    Nothing is recommended by them: after a first event their popular items answered a tenth as well as the other models, and
    added nothing to these (docs/techniques.md).
    """

    def __init__(self, config: SegmentsConfig | None = None) -> None:
        self.config = config or SegmentsConfig()
        self._described: Mapping[str, Any] = {}
        self._map: SegmentMap | None = None
        self._ids: ItemIds | None = None

    def fit(self, data: Interactions, rng: Generator, items: ItemTable | None = None) -> Self:
        """Group the users who liked something; return itself.

        Needs scikit-learn. Raises MissingExtra without it, ModelError where there
        are fewer than twenty such users."""
        table = compute_features(data, items)
        liked = data.weights > 0
        users, inverse = np.unique(data.users[liked].astype(np.int64), return_inverse=True)
        if len(users) < LEAST_USERS:
            raise ModelError(
                f"{len(users)} users are too few for a segment.", f"Load events of {LEAST_USERS} or more users first."
            )
        tastes = embed_items(data, items, table.item_ids, self.config.dims, rng)
        batch = _histories(data, users, table.item_ids)
        features = user_features(batch, table.properties)
        scale = scale_of(features, SEGMENT_FEATURES)
        rows = placed(batch, features, tastes, scale, self.config.features)
        groups, centres, tried = group(rows, self.config.most, rng)
        item_idx = np.searchsorted(table.item_ids, data.item_ids)[data.items[liked]]
        shares, user_item_pairs = _popularity(data, inverse, item_idx, groups, liked, len(table.item_ids))
        self._ids = ItemIds.of(table.item_ids.tolist())
        spread = max(squared_distances(rows, centres).min(axis=1).mean(), 1e-6)
        self._map = SegmentMap(tastes, scale, centres, float(spread), self.config.features, table.properties)
        self._described = self._describe(groups, user_item_pairs, items, table, users, shares, tried)
        return self

    @property
    def profiles(self) -> tuple[SegmentProfile, ...]:
        """What is known of each segment, the largest first."""
        names = ("categories", "words", "popular")
        return tuple(
            SegmentProfile(**{**one, **{name: tuple(one[name]) for name in names}}) for one in self._described["segments"]
        )

    @property
    def tried(self) -> dict[int, float]:
        """Number of segments -> mean silhouette, of all that were tried."""
        return {int(count): score for count, score in self._described["tried"].items()}

    def nearest(self, history: History) -> list[tuple[int, float]]:
        """Return (segment, membership), nearest first, memberships summing to 1.

        An empty list for a history that says nothing.
        """
        numbers, shares = self.map.members(encode(history, self.item_ids))
        return list(zip(numbers.tolist(), shares.tolist(), strict=True))

    @property
    def map(self) -> SegmentMap:
        """Where users lie."""
        if self._map is None:
            raise not_fitted(SEGMENTS)
        return self._map

    @property
    def item_ids(self) -> ItemIds:
        """Ids of the items that users are placed by."""
        if self._ids is None:
            raise not_fitted(SEGMENTS)
        return self._ids

    def save(self, folder: Path) -> None:
        """Write the artefact into `folder`, replacing what is there. Raises ModelError."""
        params = {"config": asdict(self.config), **self._described}
        artefact.save(folder, SEGMENTS, params, {**self.item_ids.arrays(), **self.map.arrays()}, _LAYOUT)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Map an artefact. Raises ModelError where the folder isn't whole, or is of another layout."""
        saved = artefact.load(folder, SEGMENTS)
        if saved.layout != _LAYOUT:
            raise ModelError(
                f"The segments in {folder} have layout {saved.layout}; this version reads {_LAYOUT}.", artefact.REMEDY
            )
        with artefact.described(folder):
            known = {field.name for field in fields(SegmentsConfig)}
            found = cls(SegmentsConfig(**{name: value for name, value in saved.params["config"].items() if name in known}))
            found._described = {"segments": saved.params["segments"], "tried": saved.params["tried"]}
            found._ids, found._map = ItemIds.from_arrays(saved.arrays), SegmentMap.from_arrays(saved.arrays)
        return found

    def _describe(
        self,
        groups: NDArray[np.int64],
        user_item_pairs: Any,
        items: ItemTable | None,
        table: FeatureTable,
        users: NDArray[np.int64],
        shares: NDArray[np.float64],
        tried: Mapping[int, float],
    ) -> dict[str, Any]:
        item_idx = np.zeros(0, np.int64) if items is None else np.searchsorted(table.item_ids, items.item_ids)
        liked = np.stack([np.asarray(user_item_pairs[groups == number].sum(axis=0)).ravel() for number in range(len(shares))])
        shown = [top_k(np.where(count >= FEW, row, 0.0), _SHOWN) for row, count in zip(shares, liked, strict=True)]
        popular = [[str(table.item_ids[idx]) for idx in row if liked[number, idx] >= FEW] for number, row in enumerate(shown)]
        found = segment_profiles(groups, user_item_pairs, items, item_idx, popular, table, users)
        return {"segments": [_plain(one) for one in found], "tried": {str(k): round(score, 4) for k, score in tried.items()}}


def _plain(profile: SegmentProfile) -> dict[str, Any]:
    """Return the profile as JSON gives it back, so that a loaded model says the same."""
    return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(profile).items()}


def _histories(data: Interactions, users: NDArray[np.int64], item_ids: NDArray[np.str_]) -> HistoryBatch:
    """Return the histories of these users: as many of their newest events as a profile keeps."""
    batch = HistoryBatch.of_users(take(data, data.weights != 0), users)
    return replace(batch, items=np.searchsorted(item_ids, data.item_ids)[batch.items])


def _popularity(
    data: Interactions,
    users: NDArray[np.int64],
    item_idx: NDArray[np.int64],
    groups: NDArray[np.int64],
    liked: NDArray[np.bool_],
    n_items: int,
) -> tuple[NDArray[np.float64], Any]:
    """Count what users of each segment like.

    p (k, n_items) float64 of the class, and a sparse matrix (n_users, n_items) with 1 where a user liked an item.

    A user counts once for an item, by the latest event on it.
    """
    from scipy import sparse

    times = data.times[liked]
    days = (times.max() - times) / 86_400.0 if data.timed else np.zeros(len(times))
    cell, inverse = np.unique(users.astype(np.int64) * n_items + item_idx, return_inverse=True)
    latest = np.full(len(cell), np.inf)
    np.minimum.at(latest, inverse, days)
    shape, at = (len(groups), n_items), (cell // n_items, cell % n_items)
    user_item_pairs = sparse.csr_matrix((np.ones(len(cell)), at), shape=shape)
    recent = sparse.csr_matrix((decay(latest, _HALF_LIFE_DAYS), at), shape=shape)
    sizes = np.bincount(groups)
    members = sparse.csr_matrix((np.ones(len(groups)), (groups, np.arange(len(groups)))))
    everyone = np.asarray(recent.sum(axis=0)).ravel() / len(groups)
    counted = np.asarray((members @ recent).todense())
    shares: NDArray[np.float64] = (counted + LEAST_USERS * everyone) / (sizes[:, None] + LEAST_USERS)
    return shares, user_item_pairs
