"""Pictures to vectors on onnxruntime, without torch."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from es_recsys.encoders.base import require_unit_vectors
from es_recsys.encoders.image_loading import load_image
from es_recsys.encoders.onnx_model import OnnxSession
from es_recsys.encoders.read_ahead import encode_readable

__all__ = ["OnnxImageEncoder", "preprocess_image"]

_MAX_BATCH = 16
"""Pictures of one run of the graph; more only takes more memory."""


class OnnxImageEncoder:
    """An image model in its ONNX form.

    folder: model.onnx. manifest: dims, resize and crop (pixels), mean and std (three each). The model is loaded by the
    first use. max_pixels: width x height that a picture may have.
    """

    content = "image"
    field = "image_vector"
    accepts = frozenset({"image"})

    def __init__(
        self,
        name: str,
        fingerprint: str,
        folder: Path,
        manifest: Mapping[str, Any],
        *,
        threads: int = 0,
        batch_size: int = 64,
        max_pixels: int = 50_000_000,
    ) -> None:
        self.name = name
        self.fingerprint = fingerprint
        self.batch_size = batch_size
        self.dims = int(manifest["dims"])
        self._manifest = dict(manifest)
        self._folder = folder
        self._threads = threads
        self._max_pixels = max_pixels
        self._lock = threading.Lock()
        self._session: OnnxSession | None = None

    def encode(self, batch: Sequence[Path | bytes]) -> NDArray[np.float32]:
        """Return (n, d) float32 unit vectors. Raises PartialEncodingError that holds the vectors of the readable ones."""
        vectors = encode_readable(batch, self._read, self._run, self.dims, min(self.batch_size, _MAX_BATCH))
        return require_unit_vectors(vectors, len(batch), self.dims, self.name)

    def _read(self, content: Path | bytes) -> NDArray[np.float32]:
        picture = load_image(content, self._max_pixels, near=int(self._manifest["resize"]))
        return preprocess_image(picture, **{key: self._manifest[key] for key in ("resize", "crop", "mean", "std")})

    def _run(self, tensors: Sequence[NDArray[np.float32]]) -> NDArray[Any]:
        with self._lock:
            if self._session is None:
                self._session = OnnxSession(self._folder / "model.onnx", self._threads)
            session = self._session
        return session.run({"pixels": np.stack(tensors)})


def preprocess_image(
    picture: Image.Image, resize: int, crop: int, mean: Sequence[float], std: Sequence[float]
) -> NDArray[np.float32]:
    """Return (3, crop, crop) float32: shorter side to `resize` (bicubic), the middle of it, normalised by channel."""
    width, height = picture.size
    scale = resize / min(width, height)
    # A picture of one pixel by many would grow beyond all measure; its ends are cut off anyway.
    if max(width, height) * scale > 16 * resize:
        span = min(width, height) * 8
        left, top = max(0, (width - span) // 2), max(0, (height - span) // 2)
        picture = picture.crop((left, top, min(width, left + span), min(height, top + span)))
        width, height = picture.size
    size = max(crop, round(width * scale)), max(crop, round(height * scale))
    left, top = (size[0] - crop) // 2, (size[1] - crop) // 2
    middle = picture.resize(size, Image.Resampling.BICUBIC).crop((left, top, left + crop, top + crop))
    values = np.asarray(middle, np.float32).transpose(2, 0, 1) / np.float32(255)
    shape = (3, 1, 1)
    normal = (values - np.asarray(mean, np.float32).reshape(shape)) / np.asarray(std, np.float32).reshape(shape)
    return np.ascontiguousarray(normal, np.float32)
