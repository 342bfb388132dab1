"""Sounds as statistics of their log-mel spectrum and its cepstrum (Davis and Mermelstein 1980), without any weights.

How loud each band of pitch is, how its timbre (MFCC) lies, varies and moves, and how the timbre goes through the three thirds of
a window. Loudness does not matter: levels count from the loudest band on. Each number is set on the scale that it has over sounds
of many kinds, which `scripts/sound_scale.py` makes; so a sound has the same vector in every store, and no catalogue is too small.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dct, rfft

from es_recsys.encoders.audio_loading import MAX_WINDOWS, WINDOW_S, load_windows
from es_recsys.encoders.base import l2_normalize, require_unit_vectors
from es_recsys.encoders.fingerprints import fingerprint
from es_recsys.encoders.mel_bands import mel_filters
from es_recsys.encoders.read_ahead import encode_readable

__all__ = ["NAME", "RATE", "LogMelEncoder", "sound_statistics"]

NAME = "log-mel"
RATE = 16_000
"""Samples a second."""

_SCALE = Path(__file__).with_name("log_mel_scale.json")
_FRAME, _HOP, _FFT = 400, 160, 512
_BANDS, _COEFFICIENTS, _PARTS = 40, 20, 3
_LOWEST_HZ, _HIGHEST_HZ = 50.0, 8_000.0
_RANGE_DB, _HEARD_DB = 60.0, 40.0
"""Decibels below the loudest band that count, and within which a frame belongs to the sound and not to the silence around it."""

_PARAMETERS: Mapping[str, Any] = MappingProxyType(
    {
        "version": 1,
        "rate": RATE,
        "frames": [_FRAME, _HOP, _FFT],
        "bands": [_BANDS, _LOWEST_HZ, _HIGHEST_HZ],
        "decibels": [_RANGE_DB, _HEARD_DB],
        "coefficients": _COEFFICIENTS,
        "parts": _PARTS,
        "windows": [WINDOW_S, MAX_WINDOWS],
    }
)


class LogMelEncoder:
    """The audio encoder that every installation with the extra `audio` has. max_seconds: how long a sound may be."""

    name = NAME
    content = "audio"
    field = "audio_vector"
    accepts = frozenset({"audio"})

    def __init__(self, *, batch_size: int = 64, max_seconds: float = 1_800.0) -> None:
        self.batch_size = batch_size
        self._max_seconds = max_seconds
        self._mean, self._spread = _scale()
        self.dims = len(self._mean)
        scale = [self._mean.tolist(), self._spread.tolist()]
        self.fingerprint = fingerprint([("model", NAME), ("parameters", dict(_PARAMETERS)), ("scale", scale)])

    def encode(self, batch: Sequence[Path | bytes]) -> NDArray[np.float32]:
        """Return (n, d) float32 unit vectors. Raises PartialEncodingError that holds the vectors of the readable ones."""
        vectors = encode_readable(batch, partial(_read, self._max_seconds), self._run, self.dims, self.batch_size)
        return require_unit_vectors(vectors, len(batch), self.dims, self.name)

    def _run(self, statistics: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        return l2_normalize((np.stack(statistics) - self._mean) / self._spread)


def _read(max_seconds: float, content: Path | bytes) -> NDArray[np.float32]:
    return sound_statistics(load_windows(content, RATE, max_seconds))


def sound_statistics(windows: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Return the statistics (200,) float32 of a sound, the mean of its windows (samples,) at `RATE`, before they are scaled.

    In order: mean and spread of 40 bands (dB); mean and spread of 20 coefficients, the spread of their steps, and their means in
    the three thirds.
    """
    return np.asarray(np.mean([_window_statistics(window) for window in windows], axis=0), np.float32)


def _window_statistics(window: NDArray[np.float32]) -> NDArray[np.float32]:
    bands = _log_mel(window)
    heard = np.flatnonzero(bands.max(axis=1) > -_HEARD_DB)
    bands = bands[heard[0] : heard[-1] + 1]
    timbre = dct(bands, axis=1, norm="ortho")[:, :_COEFFICIENTS]
    steps = np.diff(timbre, axis=0, prepend=timbre[:1])
    thirds = np.array_split(timbre, _PARTS)
    means = [part.mean(axis=0) if len(part) else timbre.mean(axis=0) for part in thirds]
    spreads = (bands.mean(axis=0), bands.std(axis=0), timbre.mean(axis=0), timbre.std(axis=0), steps.std(axis=0))
    return np.concatenate([*spreads, *means]).astype(np.float32)


def _log_mel(window: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return (frames, bands) float32: decibels, 0 for the loudest, -60 at least."""
    padded = np.pad(window, (0, max(0, _FRAME - len(window))))
    frames = np.lib.stride_tricks.sliding_window_view(padded, _FRAME)[::_HOP] * np.hanning(_FRAME).astype(np.float32)
    power = np.abs(rfft(frames, _FFT)) ** 2
    levels = 10.0 * np.log10(power @ mel_filters(RATE, _FFT, _BANDS, _LOWEST_HZ, _HIGHEST_HZ).T + 1e-10)
    return np.asarray(np.maximum(levels - levels.max(), -_RANGE_DB), np.float32)


@cache
def _scale() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return mean and spread (200,) float32 of the statistics over made sounds."""
    stored = json.loads(_SCALE.read_bytes())
    return np.asarray(stored["mean"], np.float32), np.asarray(stored["spread"], np.float32)
