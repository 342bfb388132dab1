"""Texts and pictures in one space: any model of open_clip, by name and pretrained tag or from files (Radford et al. 2021)."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from es_recsys.encoders.base import require_unit_vectors
from es_recsys.encoders.clip_loading import ClipModel, ClipSource, load_clip
from es_recsys.encoders.image_loading import load_image
from es_recsys.encoders.read_ahead import encode_readable
from es_recsys.encoders.text_batches import encode_in_batches

if TYPE_CHECKING:
    import torch

__all__ = ["ClipEncoder"]

_MAX_BATCH = 32


class ClipEncoder:
    """An open_clip model on torch, loaded by the first use of its vectors, `dims` or `fingerprint`.

    name: "open_clip:MODEL/PRETRAINED", "open_clip:MODEL@CHECKPOINT" (.safetensors, or .pt read weights-only; where
    open_clip doesn't know MODEL, MODEL.json beside the checkpoint describes it), "open_clip:local-dir:FOLDER" or
    "open_clip:hf-hub:ORGANISATION/NAME". Raises InputError for another form of name.
    """

    content = "image"
    field = "image_vector"
    accepts = frozenset({"image", "text"})

    def __init__(self, name: str, *, threads: int = 0, batch_size: int = 64, max_pixels: int = 50_000_000) -> None:
        self.name = name
        self.batch_size = batch_size
        self._source = ClipSource.parse(name)
        self._threads = threads
        self._max_pixels = max_pixels
        self._lock = threading.Lock()
        self._kept: ClipModel | None = None

    @property
    def dims(self) -> int:
        return self._load().dims

    @property
    def fingerprint(self) -> str:
        return self._load().fingerprint

    def encode(self, batch: Sequence[Path | bytes]) -> NDArray[np.float32]:
        """Return (n, d) float32 unit vectors of pictures. Raises PartialEncodingError with those of the readable ones."""
        loaded = self._load()
        read = partial(_preprocess, loaded, self._max_pixels)
        run = partial(_encode_pictures, loaded)
        vectors = encode_readable(batch, read, run, loaded.dims, min(self.batch_size, _MAX_BATCH))
        return require_unit_vectors(vectors, len(batch), loaded.dims, self.name)

    def encode_text(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return (n, d) float32 unit vectors of texts, in the space of the pictures."""
        loaded = self._load()
        vectors = encode_in_batches(texts, min(self.batch_size, _MAX_BATCH), loaded.dims, partial(_encode_texts, loaded))
        return require_unit_vectors(vectors, len(texts), loaded.dims, self.name)

    def _load(self) -> ClipModel:
        with self._lock:
            if self._kept is None:
                self._kept = load_clip(self._source, self._threads)
            return self._kept


def _preprocess(loaded: ClipModel, max_pixels: int, content: Path | bytes) -> torch.Tensor:
    return loaded.preprocess(load_image(content, max_pixels))


def _encode_pictures(loaded: ClipModel, tensors: Sequence[torch.Tensor]) -> NDArray[np.float32]:
    import torch

    with torch.inference_mode():
        vectors: NDArray[np.float32] = loaded.model.encode_image(torch.stack(list(tensors)), normalize=True).numpy()
    return vectors


def _encode_texts(loaded: ClipModel, texts: Sequence[str]) -> NDArray[np.float32]:
    import torch

    with torch.inference_mode():
        vectors: NDArray[np.float32] = loaded.model.encode_text(loaded.tokenizer(texts), normalize=True).numpy()
    return vectors
