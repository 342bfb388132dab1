"""Stored interaction stats: how items did when they were shown, counted from the answer log and read by exploration."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from es_recsys import artefact
from es_recsys.item_ids import ItemIds
from es_recsys.search.exploration import InteractionStats
from es_recsys.settings import Settings

__all__ = ["interaction_stats_folder", "load_interaction_stats", "save_interaction_stats"]

# Stores of earlier versions have it under this name.
_NAME = "exposure"


def interaction_stats_folder(settings: Settings) -> Path:
    """Return the folder of the counts; like popularity they belong to no version."""
    return settings.store_home / _NAME


def save_interaction_stats(folder: Path, stats: InteractionStats) -> None:
    """Write the counts. Raises ModelError."""
    ids = sorted(stats.by_item)
    counts = np.array([stats.by_item[item_id] for item_id in ids], np.float64).reshape(-1, 2)
    artefact.save(folder, _NAME, {"rate": stats.rate}, {**ItemIds.of(ids).arrays(), "counts": counts})


def load_interaction_stats(folder: Path, popularity: Sequence[tuple[str, float]]) -> InteractionStats:
    """Read the counts, memory-mapped; from popularity where nothing was counted. Raises ModelError."""
    if not folder.exists():
        return InteractionStats.from_popularity(popularity)
    found = artefact.load(folder, _NAME)
    with artefact.described(folder):
        return _StoredStats(_StoredCounts(ItemIds.from_arrays(found.arrays), found.arrays["counts"]), float(found.params["rate"]))


class _StoredCounts(Mapping[str, tuple[float, float]]):
    """Counts by item id, in arrays."""

    def __init__(self, ids: ItemIds, counts: NDArray[np.float64]) -> None:
        self._ids, self._counts = ids, counts

    def __getitem__(self, item_id: str) -> tuple[float, float]:
        item_idx = int(self._ids.find([item_id])[0])
        if item_idx < 0:
            raise KeyError(item_id)
        examinations, interactions = self._counts[item_idx].tolist()
        return examinations, interactions

    def __iter__(self) -> Iterator[str]:
        return iter(self._ids)

    def __len__(self) -> int:
        return len(self._ids)

    def many(self, item_ids: Sequence[str]) -> NDArray[np.float64]:
        """Return (n, 2) float64, 0 for an unknown item."""
        item_idx = self._ids.find(item_ids)
        found = np.zeros((len(item_idx), 2))
        found[item_idx >= 0] = self._counts[item_idx[item_idx >= 0]]
        return found


@dataclass(frozen=True, slots=True, eq=False)
class _StoredStats(InteractionStats):
    by_item: _StoredCounts

    def counts(self, item_ids: Sequence[str]) -> NDArray[np.float64]:
        return self.by_item.many(item_ids)
