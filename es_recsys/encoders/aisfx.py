"""Sounds by a network that learned to tell sound effects apart, from the weights that the package aisfx carries (CC BY 4.0).

A. B. Ma and A. Lerch, "Representation Learning for the Automatic Indexing of Sound Effects Libraries" (ISMIR 2022). Only the
package's file of weights is read; its program is not run. The network sees 2.3 seconds at a time, of a shorter sound its
repetitions, and the mean of what it gives is taken. Its vectors lie in a narrow cone, so the mean of made sounds of many kinds
(`scripts/sound_scale.py`) is taken from all of them: sounds that have nothing in common are then near 0, and scores can be added
to those of words.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.fft import rfft
from scipy.signal import get_window

from es_recsys.encoders.aisfx_weights import write_graph
from es_recsys.encoders.audio_loading import MAX_WINDOWS, WINDOW_S, load_windows
from es_recsys.encoders.base import l2_normalize, require_unit_vectors
from es_recsys.encoders.fingerprints import DigestCache, fingerprint
from es_recsys.encoders.mel_bands import mel_filters
from es_recsys.encoders.model_files import package_folder, verify_checksum
from es_recsys.encoders.onnx_model import OnnxSession
from es_recsys.encoders.read_ahead import encode_readable
from es_recsys.errors import SetupError

__all__ = ["INSTALL", "NAME", "RATE", "AisfxEncoder", "aisfx_fingerprint", "export_aisfx", "find_weights", "sound_blocks"]

NAME = "aisfx"
RATE = 44_100
"""Samples a second."""

INSTALL = "pip install --no-deps aisfx"
"""What the package asks for beside is of 2022, and only its program needs it."""

_MEAN = Path(__file__).with_name("aisfx_mean.json")
_FILE = "models/checkpoint.pth"
_SHA256 = "499ea75909c932a2f94c35fa722fa4fabc5bcb7e84917209cc5f7402627b7eb5"
_FRAME, _HOP, _BANDS = 2_048, 1_024, 96
_BLOCK = 100
"""Frames that the network sees together."""
_LARGEST = 9.457798957824707
"""Of the levels that it learned from."""
_MAX_SOUNDS, _MAX_BLOCKS = 16, 16

_PARAMETERS: Mapping[str, Any] = MappingProxyType(
    {
        "form": "short ones repeated, centred",
        "frames": [RATE, _FRAME, _HOP, _BANDS, _BLOCK, _LARGEST],
        "windows": [WINDOW_S, MAX_WINDOWS],
    }
)


def find_weights(digests: DigestCache) -> Path:
    """Return the package's file of weights, its digest checked. Raises SetupError, EncodingError."""
    folder = package_folder(NAME)
    if folder is None:
        raise SetupError("This needs the package aisfx.", f"Install it with: {INSTALL}")
    return verify_checksum(folder / _FILE, _SHA256, digests)


def aisfx_fingerprint(path: Path, digests: DigestCache) -> str:
    """Return fingerprint of the weights and of what is made of sounds before and after."""
    parts = {"model": NAME, "weights": digests.sha256(path), "parameters": dict(_PARAMETERS), "mean": _mean().tolist()}
    return fingerprint(parts.items())


def export_aisfx(path: Path, into: Path) -> Mapping[str, Any]:
    """Write model.onnx into a folder, and return its manifest (see AisfxEncoder). Raises EncodingError, MissingExtra."""
    return {"dims": write_graph(path, into / "model.onnx", _BLOCK, _BANDS)}


class AisfxEncoder:
    """The network in its ONNX form, loaded by the first use.

    folder: model.onnx. manifest: dims. max_seconds: how long a sound may be.
    """

    name = NAME
    content = "audio"
    field = "audio_vector"
    accepts = frozenset({"audio"})

    def __init__(
        self,
        fingerprint: str,
        folder: Path,
        manifest: Mapping[str, Any],
        *,
        threads: int = 0,
        batch_size: int = 64,
        max_seconds: float = 1_800.0,
    ) -> None:
        self.fingerprint = fingerprint
        self.batch_size = batch_size
        self.dims = int(manifest["dims"])
        self._folder = folder
        self._threads = threads
        self._max_seconds = max_seconds
        self._lock = threading.Lock()
        self._session: OnnxSession | None = None

    def encode(self, batch: Sequence[Path | bytes]) -> NDArray[np.float32]:
        """Return (n, d) float32 unit vectors. Raises PartialEncodingError that holds the vectors of the readable ones."""
        size = min(self.batch_size, _MAX_SOUNDS)
        vectors = encode_readable(batch, partial(_read, self._max_seconds), self._run, self.dims, size)
        return require_unit_vectors(vectors, len(batch), self.dims, self.name)

    def features(self, sounds: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        """Return (n, d) float32, the mean of what the network gives for the blocks (b, 100, 96) of each sound, as it is."""
        blocks = np.concatenate(sounds)
        session = self._network()
        parts = [session.run({"blocks": blocks[start : start + _MAX_BLOCKS]}) for start in range(0, len(blocks), _MAX_BLOCKS)]
        ends = np.cumsum([len(sound) for sound in sounds])
        return np.stack([part.mean(axis=0) for part in np.split(np.concatenate(parts), ends[:-1])])

    def _run(self, sounds: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        return l2_normalize(self.features(sounds) - _mean())

    def _network(self) -> OnnxSession:
        with self._lock:
            if self._session is None:
                self._session = OnnxSession(self._folder / "model.onnx", self._threads)
            return self._session


def _read(max_seconds: float, content: Path | bytes) -> NDArray[np.float32]:
    return np.concatenate([sound_blocks(window) for window in load_windows(content, RATE, max_seconds)])


def sound_blocks(window: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return (blocks, 100, 96) float32: the log-mel levels of a window (samples,) at `RATE`, from 0 for silence to about 1.

    Blocks are evenly spread, the last one up to the end; what is shorter than one is repeated.
    """
    least = (_BLOCK - 1) * _HOP
    if len(window) < least:
        window = np.tile(window, -(-least // len(window)))[:least]
    padded = np.pad(window, _FRAME // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, _FRAME)[::_HOP] * _hann()
    power = np.abs(rfft(frames)) ** 2
    levels = (np.log10(1.0 + 1e4 * (power @ _filters().T)) / _LARGEST).astype(np.float32)
    starts = np.linspace(0, len(levels) - _BLOCK, -(-len(levels) // _BLOCK)).astype(int)
    return np.stack([levels[start : start + _BLOCK] for start in starts])


@cache
def _mean() -> NDArray[np.float32]:
    """Return (d,) float32, the mean of what the network gives for made sounds."""
    return np.asarray(json.loads(_MEAN.read_bytes()), np.float32)


@cache
def _hann() -> NDArray[np.float32]:
    return np.asarray(get_window("hann", _FRAME), np.float32)


@cache
def _filters() -> NDArray[np.float32]:
    """Return (bands, bins) float32, each band's weights summing to 1."""
    filters = mel_filters(RATE, _FRAME, _BANDS, 0.0, RATE / 2)
    return np.asarray(filters / filters.sum(axis=1, keepdims=True), np.float32)
