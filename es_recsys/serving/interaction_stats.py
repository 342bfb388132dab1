"""What came of showing items, as counted from the answer log: kept beside the store, read by exploration."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from es_recsys.models import artefact
from es_recsys.models.ids import ItemIds
from es_recsys.search.explore import InteractionStats
from es_recsys.settings import Settings

__all__ = ["exposure_folder", "load_exposure", "save_exposure"]

_NAME = "exposure"


def exposure_folder(settings: Settings) -> Path:
    """Where the counts lie; like popularity they belong to no version."""
    return settings.store_home / _NAME


def save_exposure(folder: Path, exposure: InteractionStats) -> None:
    """Raises ModelError where it can't be written."""
    names = sorted(exposure.seen)
    counts = np.array([exposure.seen[name] for name in names], np.float64).reshape(-1, 2)
    artefact.save(folder, _NAME, {"rate": exposure.rate}, {**ItemIds.of(names).arrays(), "counts": counts})


def load_exposure(folder: Path, popular: Sequence[tuple[str, float]]) -> InteractionStats:
    """The counts, or what popularity says where nothing was counted. Raises ModelError where they can't be read."""
    if not folder.exists():
        return InteractionStats.of_popularity(popular)
    found = artefact.load(folder, _NAME)
    with artefact.described(folder):
        return _Stored(_Seen(ItemIds.from_arrays(found.arrays), found.arrays["counts"]), float(found.params["rate"]))


class _Seen(Mapping[str, tuple[float, float]]):
    """Counts by item id, read where they lie."""

    def __init__(self, ids: ItemIds, counts: NDArray[np.float64]) -> None:
        self._ids, self._counts = ids, counts

    def __getitem__(self, item_id: str) -> tuple[float, float]:
        place = int(self._ids.find([item_id])[0])
        if place < 0:
            raise KeyError(item_id)
        examined, done = self._counts[place].tolist()
        return examined, done

    def __iter__(self) -> Iterator[str]:
        return iter(self._ids)

    def __len__(self) -> int:
        return len(self._ids)

    def many(self, item_ids: Sequence[str]) -> NDArray[np.float64]:
        """(n, 2) float64, 0 for an item that is not there."""
        places = self._ids.find(item_ids)
        found = np.zeros((len(places), 2))
        found[places >= 0] = self._counts[places[places >= 0]]
        return found


@dataclass(frozen=True, slots=True, eq=False)
class _Stored(InteractionStats):
    seen: _Seen

    def counts(self, item_ids: Sequence[str]) -> NDArray[np.float64]:
        return self.seen.many(item_ids)
