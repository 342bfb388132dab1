"""Makes sounds of many kinds and writes what encoders take from all sounds: the scale of log-mel's statistics, the mean of aisfx.

    python scripts/sound_scale.py

Harmonic tones, noises, glides, beats of noise and vowel-like sounds, 24 of each, with loudness that swells. No recording is used.
The mean is written where the package aisfx is installed.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.signal import resample_poly

from es_recsys.encoders import aisfx, log_mel
from es_recsys.encoders.fingerprints import DigestCache
from es_recsys.encoders.model_files import package_folder

_COUNT, _SEED = 24, 7
_FOLDER = Path(log_mel.__file__).parent

Sound = NDArray[np.float64]


def _sum(parts: Sequence[Sound]) -> Sound:
    return np.asarray(np.sum(parts, axis=0))


def _harmonic(rng: np.random.Generator, t: Sound, pitch: float) -> Sound:
    slope = rng.uniform(0.5, 2.0)
    partials = range(1, max(2, min(40, int(7_500 / pitch))))
    return _sum([np.sin(2 * np.pi * pitch * k * t + rng.uniform(0, 6)) * k**-slope for k in partials])


def _noise(rng: np.random.Generator, t: Sound, _pitch: float) -> Sound:
    brown = np.cumsum(rng.normal(size=len(t)))
    brown -= brown.mean()
    swing = float(np.abs(brown).max())
    return np.asarray(rng.uniform(0, 1) * brown / swing + rng.uniform(0, 0.2) * rng.normal(size=len(t)))


def _glide(rng: np.random.Generator, t: Sound, pitch: float) -> Sound:
    phase = 2 * np.pi * np.cumsum(pitch * np.exp(rng.uniform(-1.5, 1.5) * t / t[-1])) / log_mel.RATE
    partials = range(1, max(2, min(20, int(3_500 / pitch))))
    return _sum([np.sin(k * phase) / k for k in partials])


def _beat(rng: np.random.Generator, t: Sound, pitch: float) -> Sound:
    spectrum = np.fft.rfft(rng.normal(size=len(t)) * np.exp(-t * rng.uniform(1, 20)))
    hz = np.fft.rfftfreq(len(t), 1 / log_mel.RATE)
    spectrum *= np.exp(-(((np.log(hz + 1) - np.log(pitch)) / rng.uniform(0.3, 1.5)) ** 2))
    return np.fft.irfft(spectrum, len(t))


def _vowel(rng: np.random.Generator, t: Sound, _pitch: float) -> Sound:
    pulses = np.zeros(len(t))
    pulses[np.flatnonzero(np.diff(np.floor(100 * np.exp(rng.uniform(0, 1)) * t)) > 0)] = 1.0
    hz = np.fft.rfftfreq(len(t), 1 / log_mel.RATE)
    formants = (rng.uniform(250, 900), rng.uniform(800, 2_400), rng.uniform(2_200, 3_500))
    response = _sum([1 / (1 + ((hz - formant) / 90) ** 2) for formant in formants])
    return np.fft.irfft(np.fft.rfft(pulses) * response, len(t))


_KINDS: tuple[Callable[[np.random.Generator, Sound, float], Sound], ...] = (_harmonic, _noise, _glide, _beat, _vowel)


def _sounds() -> list[NDArray[np.float32]]:
    rng = np.random.default_rng(_SEED)
    found = []
    for make in _KINDS * _COUNT:
        t = np.arange(int(log_mel.RATE * rng.uniform(0.4, 3.0))) / log_mel.RATE
        sound = make(rng, t, float(np.exp(rng.uniform(np.log(60), np.log(2_000)))))
        sound *= 1 + rng.uniform(0, 1) * np.sin(2 * np.pi * rng.uniform(0.5, 8) * t + rng.uniform(0, 6))
        quiet = rng.normal(size=len(t)) * 10 ** rng.uniform(-4, -2)
        found.append((sound / np.abs(sound).max() + quiet).astype(np.float32))
    return found


def main() -> None:
    sounds = _sounds()
    statistics = np.stack([log_mel.sound_statistics([sound]) for sound in sounds]).astype(np.float64)
    scale = {"mean": statistics.mean(axis=0), "spread": statistics.std(axis=0)}
    _write("log_mel_scale.json", {name: np.round(values, 3).tolist() for name, values in scale.items()})
    if package_folder(aisfx.NAME) is not None:
        _write("aisfx_mean.json", np.round(_network_mean(sounds).astype(np.float64), 4).tolist())


def _network_mean(sounds: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """(d,) the mean of what the network of aisfx gives."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        weights = aisfx.find_weights(DigestCache(folder))
        encoder = aisfx.AisfxEncoder("", folder, aisfx.export_aisfx(weights, folder))
        there = [resample_poly(sound / np.abs(sound).max(), aisfx.RATE, log_mel.RATE).astype(np.float32) for sound in sounds]
        return np.asarray(encoder.features([aisfx.sound_blocks(sound) for sound in there]).mean(axis=0))


def _write(name: str, values: object) -> None:
    (_FOLDER / name).write_text(json.dumps(values) + "\n")
    print(name)


if __name__ == "__main__":
    main()
