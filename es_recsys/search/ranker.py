"""A learned ranking and the features that it reads; how it is applied stands in `rerank.learned_ranking`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from es_recsys.errors import ModelError
from es_recsys.index_metadata import IndexMetadata
from es_recsys.renamed import current_feature
from es_recsys.search.forest import Forest

__all__ = ["WINDOW", "FeatureRequest", "Ranker"]

WINDOW = 100
"""How many of the best candidates a learned ranking orders."""


@dataclass(frozen=True, slots=True)
class FeatureRequest:
    """Which features are needed.

    window: of how many of the best candidates. names: those wanted of the features that need a further request; None for all.
    """

    window: int
    names: frozenset[str] | None = None

    def wants(self, part: str, *aspects: str) -> bool:
        return self.names is None or any(f"{part}/{aspect}" in self.names for aspect in aspects)


@dataclass(frozen=True, slots=True, eq=False)
class Ranker:
    """A forest over features.

    names: its features, in order. window: how many candidates it orders. spaces: vector field -> fingerprint of the encoder
    whose cosines it learned from.
    """

    forest: Forest
    names: tuple[str, ...]
    window: int = WINDOW
    spaces: Mapping[str, str] = field(default_factory=dict)

    @property
    def feature_request(self) -> FeatureRequest:
        return FeatureRequest(self.window, frozenset(self.names[column] for column in self.forest.used.tolist()))

    def suits(self, metadata: IndexMetadata) -> bool:
        """Return whether the store's vectors are still those that the forest learned from."""
        return all(
            name in metadata.vectors and metadata.vectors[name].fingerprint == fingerprint
            for name, fingerprint in self.spaces.items()
        )

    def params(self) -> dict[str, Any]:
        """Return JSON values; with the forest's arrays all that `from_params` needs."""
        forest = {"features": self.forest.features, "depth": self.forest.depth}
        return {"names": list(self.names), "window": self.window, "spaces": dict(self.spaces), **forest}

    @classmethod
    def from_params(cls, params: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Ranker:
        """Read a stored ranking. Raises ModelError where it is none."""
        try:
            names, window = tuple(current_feature(str(name)) for name in params["names"]), int(params["window"])
            features, depth, spaces = int(params["features"]), int(params["depth"]), dict(params["spaces"])
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(
                "The learned ranking has no readable settings.", "Train it again: es-recsys train ranking."
            ) from error
        if len(names) != features or window < 1:
            raise ModelError("The learned ranking and its features don't match.", "Train it again: es-recsys train ranking.")
        return cls(Forest.from_arrays(arrays, features, depth), names, window, spaces)
