"""Sounds made by code: tones, chords and noise as files."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray

RATE = 16_000
Samples = NDArray[np.float64]


def _times(seconds: float) -> Samples:
    return np.arange(round(seconds * RATE)) / RATE


def tone(hz: float, seconds: float = 1.0, seed: int = 0) -> Samples:
    """A harmonic tone with a little noise."""
    partials = [np.sin(2 * np.pi * hz * k * _times(seconds)) / k for k in range(1, 6) if hz * k < RATE / 2]
    return np.sum(partials, axis=0) / 3 + 0.003 * noise(seed, seconds)


def chord(hz: float, seconds: float = 1.0, seed: int = 0) -> Samples:
    """A major triad."""
    return np.mean([tone(hz * ratio, seconds, seed) for ratio in (1, 5 / 4, 3 / 2)], axis=0)


def noise(seed: int, seconds: float = 1.0) -> Samples:
    return np.random.default_rng(seed).normal(size=round(seconds * RATE)) / 5


def wav(samples: Samples, format: str = "WAV", rate: int = RATE, channels: int = 1) -> bytes:
    """Return the samples (n,) at `RATE` as a file, resampled to `rate`."""
    import soundfile
    from scipy.signal import resample_poly

    there = samples if rate == RATE else resample_poly(samples, rate, RATE)
    buffer = io.BytesIO()
    soundfile.write(buffer, np.repeat(there[:, None], channels, axis=1), rate, format=format)
    return buffer.getvalue()
