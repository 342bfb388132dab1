"""Text and pictures in one space, learned from the catalogue's own pairs: words find pictures without any CLIP weights."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Self

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from es_recsys.dataset import Interactions, ItemTable
from es_recsys.errors import MissingExtra, ModelError
from es_recsys.models.aligned.config import AlignedConfig
from es_recsys.models.base import (
    ContentModel,
    TrainingCallback,
    content_recency_space,
    rows_of_all_items,
    unit,
)

__all__ = ["IMAGE", "TEXT", "Aligned"]

TEXT, IMAGE = "text_vector", "image_vector"

_MIN_PAIRS = 20


class Aligned(ContentModel):
    """Texts and pictures in one space, by two linear heads.

    Two linear heads over the frozen encoders' vectors t of an item's text and p of its picture,

        a(t) = A (t - mean_t),   b(p) = B (p - mean_p)

    trained so that of a batch's pictures an item's own is nearest to its text, and the other way round: InfoNCE (van den Oord et
    al. 2018), symmetric as in ConVIRT (Zhang et al. 2020) and CLIP (Radford et al. 2021). Over n pairs of a batch,

        loss = -1 / 2n sum_i ( mean over own j of log softmax_j s_ij  +  mean over own j of log softmax_j s_ji )
        s_ij = sharpness a(t_i) . b(p_j) / |a(t_i)| |b(p_j)|

    where items of the same text or the same picture count as each other's own, and sharpness is learned, from 1 / temperature
    to at most 100. After the training each side's mean is taken away, because the two sides otherwise lie in two
    cones (the modality gap of Liang et al. 2022), and items with and without a picture could not be compared.

    An item lies at its picture's b, or at its text's a where it has no picture; the words of a query lie at their a. It
    knows what the catalogue shows, and no open vocabulary.
    """

    name: ClassVar[str] = "aligned"
    config_class: ClassVar[type] = AlignedConfig
    field: ClassVar[str | None] = "aligned_vector"
    reads_items: ClassVar[bool] = True
    inference_params: ClassVar[frozenset[str]] = frozenset({"half_life", "half_life_days"})
    renamed_params: ClassVar[Mapping[str, str]] = MappingProxyType(
        {"rate": "learning_rate", "decay": "weight_decay", "batch": "batch_size", "held": "validation_pairs"}
    )

    def fit(
        self, data: Interactions, rng: Generator, items: ItemTable | None = None, callback: TrainingCallback | None = None
    ) -> Self:
        """Learn from the text and picture vectors of `items`; the interactions only add ids. Needs the package torch.

        Raises MissingExtra without it, ModelError where fewer than 20 items have both.
        """
        vectors = items.vectors if items is not None else {}
        text, image = vectors.get(TEXT), vectors.get(IMAGE)
        pairs = np.zeros(0, bool) if text is None or image is None else text.any(axis=1) & image.any(axis=1)
        if items is None or text is None or image is None or pairs.sum() < _MIN_PAIRS:
            raise ModelError(
                f"{int(pairs.sum())} items have both a text and a picture; training aligned takes {_MIN_PAIRS}.",
                "Load items with titles and pictures, with an encoder for each.",
            )
        try:
            from es_recsys.models.aligned.train import align
        except ImportError as error:
            raise MissingExtra("torch", "train") from error
        heads = align(self.config, text[pairs], image[pairs], int(rng.integers(2**31)), callback or TrainingCallback())
        self._arrays = {f"{side}_{part}": array for side, head in heads.items() for part, array in head.items()}
        rows = np.where(image.any(axis=1, keepdims=True), self._side("image", image), self._side("text", text))
        ids, spread = rows_of_all_items(data, items, rows)
        return self._set_learned(ids, {"vectors": spread, **self._arrays})

    @classmethod
    def search_space(cls, ordered: bool, timed: bool) -> Mapping[str, tuple[Any, ...]]:
        """Return setting -> values worth trying."""
        return {**content_recency_space(ordered, timed), "dims": (64, 128, 256)}

    def query_vector(
        self, text: str, vectors: Mapping[str, NDArray[np.float32]] = MappingProxyType({})
    ) -> NDArray[np.float32] | None:
        """Return the (d,) float32 unit vector of a query: of its words where it has some, else of its picture."""
        _ = self.item_ids
        side, field = ("text", TEXT) if text.strip() else ("image", IMAGE)
        vector = vectors.get(field)
        if vector is None or len(vector) != len(self._arrays[f"{side}_mean"]):
            return None
        found = self._side(side, vector[None, :])[0]
        return found if found.any() else None

    def _side(self, side: str, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return (n, d) unit vectors of one side, zeros for rows of zeros."""
        mean, head, centre = (self._arrays[f"{side}_{part}"] for part in ("mean", "head", "centre"))
        return unit((unit((rows - mean) @ head) - centre) * rows.any(axis=1, keepdims=True))
