"""Early fusion: all content vectors of an item as one."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, ClassVar, Self

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from es_recsys.dataset import Interactions, ItemTable
from es_recsys.errors import ModelError
from es_recsys.models.base import (
    ContentModel,
    TrainingCallback,
    content_recency_space,
    rows_of_all_items,
    unit,
)

__all__ = ["Fused", "FusedConfig"]

_ROWS = 16_384
# Where a field has a spread, the variance of what it adds is about its weight's square.
_NOTHING = 1e-12
_BESIDE = ("image_vector", "audio_vector")


@dataclass(frozen=True, slots=True)
class FusedConfig:
    """Settings of `Fused`.

    dims: of the fused vectors, at most. whitening: exponent w of the whitening, from 0 (principal components as they are)
    to 1 (all directions alike). weights: field -> what its content counts beside the others, 1 for one that isn't named.
    half_life: after how many later events one of the history counts half; half_life_days: the same in days."""

    dims: int = 128
    whitening: float = 0.5
    weights: tuple[tuple[str, float], ...] = ()
    half_life: float = 10.0
    half_life_days: float = math.inf


class Fused(ContentModel):
    """Early fusion: all content vectors of an item as one.

    Content vectors c_f of fields f (text, picture, sound), centred, weighted, joined, whitened and reduced:

        x = join over f of  g_f (c_f - mean_f) / spread_f         zeros where the item has no c_f
        e = P^T x / |P^T x|,   P = V_d diag(l_d ** (-w / 2))      V, l: eigenvectors and values of the mean of x x^T

    mean_f and spread_f (the root of the mean squared distance from it) are of the items that have the field, so that a field
    counts by its weight g_f and not by how widely its encoder spreads. With w = 1 this is PCA whitening (Kessy, Lewin and
    Strimmer 2018, "Optimal whitening and decorrelation"). What an item lacks is where the mean is, and says nothing. A
    question's own vectors go the same way.
    """

    name: ClassVar[str] = "fused"
    config_class: ClassVar[type] = FusedConfig
    field: ClassVar[str | None] = "fused_vector"
    reads_items: ClassVar[bool] = True
    inference_params: ClassVar[frozenset[str]] = frozenset({"half_life", "half_life_days"})

    def fit(
        self, data: Interactions, rng: Generator, items: ItemTable | None = None, callback: TrainingCallback | None = None
    ) -> Self:
        """Learn from the content vectors of `items`; the interactions only add ids.

        Raises ModelError where there are none, or all are alike.
        """
        contents = {name: rows for name, rows in sorted((items.vectors if items is not None else {}).items()) if rows.any()}
        if items is None or not contents:
            raise ModelError(
                "There are no content vectors to train fused on.", "Load items with an encoder for text or pictures."
            )
        means, scales = {}, {}
        for name, rows in contents.items():
            there = rows.any(axis=1)
            means[name] = rows[there].mean(axis=0, dtype=np.float64)
            spread = float(np.sqrt(((rows[there] - means[name]) ** 2).sum(axis=1).mean()))
            scales[name] = dict(self.config.weights).get(name, 1.0) / max(spread, 1e-9)
        projection = self._projection(contents, means, scales)
        arrays: dict[str, NDArray[Any]] = {}
        begin = 0
        for name, rows in contents.items():
            part = projection[begin : begin + rows.shape[1]] * scales[name]
            arrays[f"of.{name}"], arrays[f"mean.{name}"] = part.astype(np.float32), means[name].astype(np.float32)
            begin += rows.shape[1]
        ids, vectors = rows_of_all_items(data, items, _place(arrays, contents))
        return self._set_learned(ids, {"vectors": vectors, **arrays})

    @classmethod
    def search_space(cls, ordered: bool, timed: bool) -> Mapping[str, tuple[Any, ...]]:
        """Return setting -> values worth trying; a vector field stands for the weight of its content beside the text's."""
        return {
            **content_recency_space(ordered, timed),
            **dict.fromkeys(_BESIDE, (0.25, 0.5, 1.0, 2.0)),
            "whitening": (0.0, 0.25, 0.5, 0.75, 1.0),
            "dims": (64, 128, 256),
        }

    @classmethod
    def with_param(cls, config: FusedConfig, setting: str, value: Any) -> FusedConfig:
        """Return the config with one setting of `search_space` at another value."""
        if setting in _BESIDE:
            return replace(config, weights=tuple(sorted({**dict(config.weights), setting: value}.items())))
        return replace(config, **{setting: value})

    def query_vector(
        self, text: str, vectors: Mapping[str, NDArray[np.float32]] = MappingProxyType({})
    ) -> NDArray[np.float32] | None:
        """Return the (d,) float32 unit vector of a question by its vectors in the fields; None where there are none."""
        _ = self.item_ids
        # A vector of another length comes from an encoder that the training hasn't seen.
        means = {name: self._arrays[f"mean.{name}"] for name in vectors if f"mean.{name}" in self._arrays}
        known = {name: vectors[name][None, :] for name, mean in means.items() if len(mean) == len(vectors[name])}
        found = _place(self._arrays, known)[0] if known else np.zeros(0, np.float32)
        return found if found.any() else None

    def _projection(
        self, contents: Mapping[str, NDArray[np.float32]], means: Mapping[str, NDArray[np.float64]], scales: Mapping[str, float]
    ) -> NDArray[np.float64]:
        """Return the projection P, (D, d)."""
        size = len(next(iter(contents.values())))
        wide = sum(rows.shape[1] for rows in contents.values())
        second = np.zeros((wide, wide))
        for begin in range(0, size, _ROWS):
            joined = np.concatenate(
                [
                    (rows[begin : begin + _ROWS] - means[name])
                    * (scales[name] * rows[begin : begin + _ROWS].any(axis=1, keepdims=True))
                    for name, rows in contents.items()
                ],
                axis=1,
            )
            second += joined.T @ joined
        values, directions = np.linalg.eigh(second / size)
        if values[-1] <= _NOTHING:
            raise ModelError(
                "The items' contents are all alike, which tells fused nothing.", "Load more items, or use another encoder."
            )
        kept = np.flatnonzero(values > 1e-9 * values[-1])[::-1][: self.config.dims]
        directions = directions[:, kept]
        # An eigenvector has no sign of its own; one is agreed on, so that the same catalogue gives the same vectors.
        largest = np.abs(directions).argmax(axis=0)
        directions = directions * np.sign(directions[largest, np.arange(len(kept))])
        result: NDArray[np.float64] = directions * values[kept] ** (-self.config.whitening / 2.0)
        return result


def _place(arrays: Mapping[str, NDArray[Any]], contents: Mapping[str, NDArray[np.float32]]) -> NDArray[np.float32]:
    """Return the (n, d) float32 unit vectors of contents (n, D) by field, zeros where there are none."""
    total: NDArray[Any] = np.zeros((1, 1), np.float32)
    for name, rows in contents.items():
        total = total + ((rows - arrays[f"mean.{name}"]) @ arrays[f"of.{name}"]) * rows.any(axis=1, keepdims=True)
    return unit(total)
