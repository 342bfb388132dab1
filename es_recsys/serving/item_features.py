"""Stored item features: what behaviour says of the items, as counted by a training, in the folder of the version's models."""

from __future__ import annotations

from pathlib import Path

from es_recsys import artefact
from es_recsys.features import ITEM_COLUMNS, FeatureTable, ItemFeatures, ItemProperties
from es_recsys.item_ids import ItemIds

__all__ = ["item_features_folder", "load_item_features", "save_item_features"]

_NAME = "features"


def item_features_folder(models: Path) -> Path:
    """Return their folder. models: of the models of a version."""
    return models / _NAME


def save_item_features(folder: Path, table: FeatureTable) -> None:
    """Write the items' part of the table, about 150 bytes an item. Raises ModelError."""
    arrays = {**ItemIds.of(table.item_ids.tolist()).arrays(), **table.properties.arrays(), "items": table.items}
    artefact.save(folder, _NAME, {"now": table.now, "columns": [column.name for column in ITEM_COLUMNS]}, arrays)


def load_item_features(folder: Path) -> ItemFeatures | None:
    """Read them, memory-mapped; None for a version that has none. Raises ModelError."""
    if not folder.exists():
        return None
    found = artefact.load(folder, _NAME)
    with artefact.described(folder):
        ids, properties = ItemIds.from_arrays(found.arrays), ItemProperties.from_arrays(found.arrays)
        return ItemFeatures(ids.find, found.arrays["items"], properties, tuple(found.params["columns"]))
