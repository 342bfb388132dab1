"""A product's sound: a second of its maker's jingle, played on what the product is made of."""

from __future__ import annotations

import io
import wave
from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from es_recsys.sample.chance import stream
from es_recsys.types import Item

__all__ = ["sound"]

_RATE, _SECONDS = 16_000, 1.2
_HIGHEST_HZ, _LIGHTEST_G = 880.0, 50.0

# Seconds of a note, and its semitones above the lowest.
_TUNES: Mapping[str, tuple[float, tuple[int, ...]]] = MappingProxyType(
    {
        "casual": (0.2, (0, 4, 7, 4)),
        "classic": (0.25, (0, 4, 7, 12)),
        "elegant": (0.4, (0, 3, 10)),
        "minimal": (0.6, (0, 7)),
        "playful": (0.1, (0, 12, 4, 12, 7, 12)),
        "rugged": (0.17, (0, 0, 5, 0)),
        "sporty": (0.125, (0, 5, 7, 12)),
        "vintage": (0.25, (0, 3, 6, 9)),
    }
)
# How long a note rings in seconds, partials over the lowest, and the share of noise.
_TIMBRES: Mapping[str, tuple[float, tuple[float, ...], float]] = MappingProxyType(
    {
        "steel brass aluminium iron titanium alloy metal tin": (0.5, (1.0, 2.76, 5.4), 0.0),
        "glass crystal china porcelain": (0.35, (1.0, 2.3, 4.2), 0.0),
        "oak wood walnut bamboo cork": (0.06, (1.0, 3.0), 0.1),
        "ceramic stoneware terracotta": (0.15, (1.0, 1.6, 2.2), 0.05),
        "leather calfskin lambskin suede": (0.05, (1.0,), 0.4),
    }
)
_OTHER = (0.12, (1.0, 2.0, 3.0, 4.0), 0.2)


def sound(item: Item) -> bytes:
    """Play the item's sound as a WAV of 1.2 seconds, 16,000 samples a second, one channel of 16 bits.

    Pure: style tells the tune, material the timbre, weight the pitch; small variations come from the item's id.
    """
    rng = stream("sound", item.item_id)
    length, tune = _TUNES.get(str(item.attributes.get("style")), _TUNES["casual"])
    weight = float(str(item.attributes.get("weight_g", 500)))
    lowest = _HIGHEST_HZ * (max(weight, _LIGHTEST_G) / _LIGHTEST_G) ** -0.25 * 2 ** ((rng.random() - 0.5) / 6)
    played = np.zeros(round(_RATE * _SECONDS))
    begin, place = 0.0, 0
    while begin < _SECONDS - 0.05:
        note = _note(lowest * 2 ** (tune[place % len(tune)] / 12), _timbre(item), rng)
        start = round(begin * _RATE)
        played[start:] += note[: len(played) - start]
        begin, place = begin + length * (0.95 + 0.1 * rng.random()), place + 1
    return _wav(played)


def _timbre(item: Item) -> tuple[float, tuple[float, ...], float]:
    material = str(item.attributes.get("material", ""))
    return next((kind for words, kind in _TIMBRES.items() if any(word in material for word in words.split())), _OTHER)


def _note(hz: float, timbre: tuple[float, tuple[float, ...], float], rng: np.random.Generator) -> NDArray[np.float64]:
    rings, partials, share = timbre
    t = np.arange(round(_RATE * _SECONDS)) / _RATE
    parts = [np.sin(2 * np.pi * hz * each * t) * np.exp(-t * each / rings) / each for each in partials if hz * each < _RATE / 2]
    noise = (2.0 * rng.random(len(t)) - 1.0) * np.exp(-t / 0.03)
    return np.asarray(np.sum(parts, axis=0) + share * noise)


def _wav(samples: NDArray[np.float64]) -> bytes:
    """Return the bytes of a file; they need no package that reads sounds."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(_RATE)
        file.writeframes(np.round(samples / np.abs(samples).max() * 30_000).astype("<i2").tobytes())
    return buffer.getvalue()
