"""Measures search by sounds: on recordings whose names say what they are, and on sounds that it makes.

    python scripts/sounds.py FOLDER [--from-take 4] [--encoders log-mel aisfx clap:local-dir:FOLDER]

FOLDER has files like 3_theo_7.wav (digit, speaker, take), as the Free Spoken Digit Dataset names them. Every sound asks for ten
others: the share of them with the same digit, and with the same speaker, beside what chance gives. For comparison the statistics
of log-mel are scaled, or whitened, on the catalogue itself. The made sounds are tones, major and minor chords, white and brown
noise, and beats.
"""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import soundfile
from measuring import show
from numpy.typing import NDArray

from es_recsys.encoders import Encoder, audio_encoder
from es_recsys.encoders.audio_loading import load_windows
from es_recsys.encoders.base import l2_normalize
from es_recsys.encoders.log_mel import RATE, sound_statistics
from es_recsys.evaluation.statistics import bootstrap
from es_recsys.settings import load_settings

N = 10
MAX_SECONDS = 1_800.0
Vectors = NDArray[np.float32]
Labels = NDArray[np.str_]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--from-take", type=int, default=0, help="only takes from this number on")
    parser.add_argument("--encoders", nargs="+", default=["log-mel"], help="audio models, as encoders.audio names them")
    arguments = parser.parse_args()
    files = [path for path in sorted(arguments.folder.glob("*_*_*.*")) if int(path.stem.split("_")[2]) >= arguments.from_take]
    if len(files) <= N:
        print(f"{arguments.folder} has no sounds named digit_speaker_take.", file=sys.stderr)
        return 2
    labels = np.array([path.stem.split("_")[:2] for path in files])
    models = [_encoder(name) for name in arguments.encoders]
    _measure(f"{len(files)} spoken digits", models, files, {"digit": labels[:, 0], "speaker": labels[:, 1]})
    sounds, kinds = _made()
    _measure(f"{len(sounds)} made sounds of {len(set(kinds))} kinds", models, sounds, {"kind": np.array(kinds)})
    return 0


def _encoder(name: str) -> Encoder:
    settings = load_settings()
    made = audio_encoder(settings.model_copy(update={"encoders": settings.encoders.model_copy(update={"audio": name})}))
    assert made is not None
    return made


def _measure(title: str, models: Sequence[Encoder], contents: Sequence[Path | bytes], labels: Mapping[str, Labels]) -> None:
    raw = np.stack([sound_statistics(load_windows(content, RATE, MAX_SECONDS)) for content in contents])
    centred = raw - raw.mean(axis=0)
    forms = {
        **{model.name: model.encode(contents) for model in models},
        "log-mel's statistics, scaled on the catalogue": l2_normalize(centred / (centred.std(axis=0) + 1e-6)),
        "log-mel's statistics, whitened on the catalogue": l2_normalize(_whitened(centred)),
    }
    rows = [["by chance", *(f"{_chance(each):.3f}" for each in labels.values())]]
    for name, vectors in forms.items():
        rows.append([name, *(_interval(_precision(vectors, each)) for each in labels.values())])
    show(title, [f"precision@{N}", *(f"same {name}" for name in labels)], rows)


def _whitened(centred: Vectors) -> Vectors:
    """Return the rows on the axes of their covariance, each divided by its spread, shrunk towards the mean variance."""
    variances, axes = np.linalg.eigh(np.cov(centred.T))
    variances = np.maximum(variances, 0)
    return np.asarray(centred @ axes / np.sqrt(variances + variances.mean()), np.float32)


def _precision(vectors: Vectors, labels: Labels) -> NDArray[np.float64]:
    """Return (n,): of the ten nearest of each, the share with its label."""
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, -np.inf)
    nearest = np.argsort(-cosines, axis=1, kind="stable")[:, :N]
    return np.asarray((labels[nearest] == labels[:, None]).mean(axis=1))


def _chance(labels: Labels) -> float:
    _, counts = np.unique(labels, return_counts=True)
    return float((counts * (counts - 1)).sum() / (len(labels) * (len(labels) - 1)))


def _interval(values: NDArray[np.float64]) -> str:
    found = bootstrap(values, np.random.default_rng(7))
    return f"{found.mean:.3f} [{found.low:.3f}, {found.high:.3f}]"


def _made(count: int = 20) -> tuple[list[bytes], list[str]]:
    """Return the sounds and their kinds. They differ in pitch, length, loudness and background within a kind."""
    rng = np.random.default_rng(11)
    t = np.arange(3 * RATE) / RATE

    def harmonic(hz: float) -> NDArray[np.float64]:
        return np.asarray(np.sum([np.sin(2 * np.pi * hz * k * t + rng.uniform(0, 6)) / k for k in range(1, 6)], axis=0))

    def chord(third: float) -> NDArray[np.float64]:
        hz = rng.uniform(180, 400)
        return np.asarray(np.sum([harmonic(hz * ratio) for ratio in (1.0, third, 1.5)], axis=0))

    kinds: dict[str, Callable[[], NDArray[np.float64]]] = {
        "low tone": lambda: harmonic(rng.uniform(80, 200)),
        "high tone": lambda: harmonic(rng.uniform(600, 1_500)),
        "major chord": lambda: chord(5 / 4),
        "minor chord": lambda: chord(6 / 5),
        "white noise": lambda: rng.normal(size=len(t)),
        "brown noise": lambda: np.cumsum(rng.normal(size=len(t))) * 0.01,
        "slow beat": lambda: rng.normal(size=len(t)) * np.exp(-(t % 0.5) * rng.uniform(8, 16)),
        "quick beat": lambda: rng.normal(size=len(t)) * np.exp(-(t % 0.125) * rng.uniform(30, 60)),
    }
    sounds, names = [], []
    for name, make in kinds.items():
        for _ in range(count):
            sound = make()[: int(rng.uniform(1, 3) * RATE)]
            sound = rng.uniform(0.1, 0.9) * sound / np.abs(sound).max() + rng.normal(size=len(sound)) * 1e-3
            buffer = io.BytesIO()
            soundfile.write(buffer, sound, RATE, format="FLAC")
            sounds.append(buffer.getvalue())
            names.append(name)
    return sounds, names


if __name__ == "__main__":
    sys.exit(main())
