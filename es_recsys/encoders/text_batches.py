"""Texts in batches, for encoders that read pictures or sounds beside them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["encode_in_batches", "well_formed"]


def well_formed(text: str) -> str:
    """Return a text without lone surrogates, which are no text: a tokenizer refuses the whole batch for one."""
    return text.encode("utf-8", "replace").decode("utf-8")


def encode_in_batches(
    texts: Sequence[str], size: int, dims: int, run: Callable[[Sequence[str]], NDArray[np.float32]]
) -> NDArray[np.float32]:
    """Return the vectors (n, dims) float32 of texts. run: encodes at most `size` of them, all well formed."""
    vectors = np.zeros((len(texts), dims), np.float32)
    for start in range(0, len(texts), size):
        vectors[start : start + size] = run([well_formed(text) for text in texts[start : start + size]])
    return vectors
