"""What behaviour says of the items, as counted at a training: kept beside the models of the version."""

from __future__ import annotations

from pathlib import Path

from es_recsys.features import ITEM_COLUMNS, FeatureTable, ItemFacts, ItemSide
from es_recsys.models import artefact
from es_recsys.models.ids import ItemIds

__all__ = ["item_side_folder", "load_item_side", "save_item_side"]

_NAME = "features"


def item_side_folder(models: Path) -> Path:
    """Where it lies in the folder of a version's models."""
    return models / _NAME


def save_item_side(folder: Path, table: FeatureTable) -> None:
    """Keeps the items' part of the table, about 150 bytes an item. Raises ModelError where it can't be written."""
    arrays = {**ItemIds.of(table.item_ids.tolist()).arrays(), **table.facts.arrays(), "items": table.items}
    artefact.save(folder, _NAME, {"now": table.now, "columns": [column.name for column in ITEM_COLUMNS]}, arrays)


def load_item_side(folder: Path) -> ItemSide | None:
    """Mapped; None for a version that has none. Raises ModelError where it can't be read."""
    if not folder.exists():
        return None
    found = artefact.load(folder, _NAME)
    with artefact.described(folder):
        ids, facts = ItemIds.from_arrays(found.arrays), ItemFacts.from_arrays(found.arrays)
        return ItemSide(ids.find, found.arrays["items"], facts, tuple(found.params["columns"]))
