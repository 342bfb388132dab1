"""What encodes the queries of a store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from es_recsys.index_metadata import IndexMetadata

__all__ = ["QueryEncoder"]


class QueryEncoder(Protocol):
    """Encoder of queries."""

    def fields(self, metadata: IndexMetadata, kind: str) -> tuple[str, ...]:
        """Return the vector fields that a query of this kind ("text", "image", "audio") can search in."""
        ...

    def vector(self, metadata: IndexMetadata, field: str, query: str | bytes) -> NDArray[np.float32]:
        """Return the query vector (d,) float32, unit length.

        Raises FingerprintMismatch, ModelError, MissingExtra, EncodingError.
        """
        ...

    def text_vectors(self, metadata: IndexMetadata, field: str, texts: Sequence[str]) -> list[NDArray[np.float32]]:
        """Return `vector` of each text, those that are not known yet encoded together. Raises as `vector` does, for all."""
        ...

    def known_vector(self, metadata: IndexMetadata, field: str, query: str | bytes) -> NDArray[np.float32] | None:
        """Return `vector` where nothing has to be loaded or encoded for it, else None. Raises FingerprintMismatch."""
        ...
