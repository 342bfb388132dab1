"""What behaviour says of users, items and their pairs at a moment, as numbers."""

from __future__ import annotations

from es_recsys.features.candidates import ITEM, PAIR, USER, ItemSide
from es_recsys.features.columns import ITEM_COLUMNS, PAIR_COLUMNS, USER_COLUMNS, Column
from es_recsys.features.facts import ItemFacts
from es_recsys.features.table import FeatureTable, HistoryFeatures, features, of_history, users_of

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
    "ItemFacts",
    "ItemSide",
    "features",
    "of_history",
    "users_of",
]
