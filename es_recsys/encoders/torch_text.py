"""Texts to vectors on torch, for models that have no ONNX form."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from es_recsys.encoders.base import l2_normalize, require_unit_vectors

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

__all__ = ["TorchTextEncoder"]


class TorchTextEncoder:
    """A sentence-transformers model as it is; its first use costs the import of torch."""

    content = "text"
    field = "text_vector"
    accepts = frozenset({"text"})

    def __init__(
        self,
        name: str,
        fingerprint: str,
        model: SentenceTransformer,
        *,
        languages: frozenset[str] = frozenset(),
        batch_size: int = 64,
    ) -> None:
        self.name = name
        self.fingerprint = fingerprint
        self.languages = languages
        self.batch_size = batch_size
        self._model = model
        self.dims = int(model.encode(["a"], show_progress_bar=False).shape[1])

    def encode(self, batch: Sequence[str]) -> NDArray[np.float32]:
        """Return (n, d) float32 unit vectors of documents' texts."""
        return self._encode(batch, "document")

    def encode_queries(self, batch: Sequence[str]) -> NDArray[np.float32]:
        """Return (n, d) float32 unit vectors of questions."""
        return self._encode(batch, "query")

    def _encode(self, batch: Sequence[str], kind: str) -> NDArray[np.float32]:
        if not batch:
            return np.zeros((0, self.dims), np.float32)
        prompt = self._model.prompts.get(kind) or self._model.prompts.get(self._model.default_prompt_name or "", "")
        vectors = self._model.encode(list(batch), prompt=prompt or "", batch_size=self.batch_size, show_progress_bar=False)
        return require_unit_vectors(l2_normalize(vectors), len(batch), self.dims, self.name)
