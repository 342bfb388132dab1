"""Features of users, items and pairs: what events say of them at a moment, as numbers.

`compute_features` gives one table of a store (segments, the report on users), `features_of_history` the same columns of a
history alone, `ItemFeatures` those of an answer's candidates (learned ranking). columns.py says what each column means;
`item_properties` is what has to be saved of the items to compute the rest later.
"""

from __future__ import annotations

from es_recsys.features.candidate_features import ITEM, PAIR, USER, ItemFeatures
from es_recsys.features.columns import ITEM_COLUMNS, PAIR_COLUMNS, USER_COLUMNS, Column
from es_recsys.features.feature_table import (
    FeatureTable,
    HistoryFeatures,
    compute_features,
    features_of_history,
    user_features_of_histories,
)
from es_recsys.features.item_properties import ItemProperties

__all__ = [
    "ITEM",
    "ITEM_COLUMNS",
    "PAIR",
    "PAIR_COLUMNS",
    "USER",
    "USER_COLUMNS",
    "Column",
    "FeatureTable",
    "HistoryFeatures",
    "ItemFeatures",
    "ItemProperties",
    "compute_features",
    "features_of_history",
    "user_features_of_histories",
]
