"""Bands of pitch that are evenly wide on the mel scale (O'Shaughnessy 1987)."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

__all__ = ["mel_filters"]


@cache
def mel_filters(rate: int, size: int, bands: int, lowest_hz: float, highest_hz: float) -> NDArray[np.float32]:
    """Return (bands, size // 2 + 1) float32: triangles of height 1 over the bins of a spectrum of `size` samples."""
    lowest, highest = (2_595.0 * np.log10(1.0 + hz / 700.0) for hz in (lowest_hz, highest_hz))
    edges = 700.0 * (10.0 ** (np.linspace(lowest, highest, bands + 2) / 2_595.0) - 1.0)
    hz = np.fft.rfftfreq(size, 1.0 / rate)
    rising = (hz - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - hz) / (edges[2:] - edges[1:-1])[:, None]
    return np.maximum(0.0, np.minimum(rising, falling)).astype(np.float32)
