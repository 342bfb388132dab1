"""Features of the candidates of an answer: of the items as counted at the training, of the user from the history."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from es_recsys.dataset import History
from es_recsys.features.columns import ITEM_COLUMNS, PAIR_COLUMNS, USER_COLUMNS, column_names
from es_recsys.features.feature_table import features_of_history
from es_recsys.features.item_properties import ItemProperties

__all__ = ["ITEM", "PAIR", "USER", "ItemFeatures"]

ITEM, USER, PAIR = "item", "user", "pair"
"""What the names of the features of items, of users and of their pairs begin with."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class ItemFeatures:
    """The items' part of a feature table, as of one moment.

    find: item ids -> (n,) int64 item_idx, -1 for one that is not there. items: (n_items, g) float32 as in
    `FeatureTable.items`, its columns named `columns`. properties: of the same items.
    """

    find: Callable[[Sequence[str]], NDArray[np.int64]]
    items: NDArray[np.float32]
    properties: ItemProperties
    columns: tuple[str, ...] = column_names(ITEM_COLUMNS)

    def candidates(self, item_ids: Sequence[str], history: History, now: float) -> dict[str, Floats]:
        """Return the features of candidates: `item/`, `user/` and `pair/` with the name of a column -> (n,) float64.

        NaN is what is unknown, as all is of an item that is not there. An empty history gives no features of user and pairs.

        now: epoch seconds, for what is about the user's time; what is about the items' is as of the moment that they were
        counted. Takes under a millisecond for a hundred candidates.
        """
        item_idx = self.find(item_ids)
        found = _named(ITEM, self.columns, _known(self.items[item_idx], item_idx))
        if not history.item_ids:
            return found
        of_user = features_of_history(history, self.find(history.item_ids), self.properties, now)
        user = np.broadcast_to(of_user.user, (len(item_idx), len(of_user.user)))
        pairs = _known(of_user.pairs(item_idx), item_idx)
        return {**found, **_named(USER, column_names(USER_COLUMNS), user), **_named(PAIR, column_names(PAIR_COLUMNS), pairs)}


def _known(rows: NDArray[np.float32], item_idx: NDArray[np.int64]) -> NDArray[np.float32]:
    result: NDArray[np.float32] = np.where(item_idx[:, None] < 0, np.float32(np.nan), rows)
    return result


def _named(part: str, columns: Sequence[str], rows: NDArray[np.float32]) -> dict[str, Floats]:
    return {f"{part}/{name}": column for name, column in zip(columns, rows.T.astype(np.float64), strict=True)}
