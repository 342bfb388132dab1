"""Sounds from files that nobody vouches for: the header decides before anything is decoded."""

from __future__ import annotations

import io
from importlib.util import find_spec
from math import gcd
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.signal import resample_poly

from es_recsys.errors import EncodingError, MissingExtra, SetupError

__all__ = ["FORMATS", "MAX_WINDOWS", "WINDOW_S", "load_windows", "require_soundfile"]

FORMATS = ("WAV", "FLAC", "OGG", "MP3")
"""Told by the content; the file's name is not looked at."""

WINDOW_S = 10.0
"""Seconds that are looked at together."""

MAX_WINDOWS = 12
"""Windows of one sound, spread over a longer one."""

_CONTAINERS = {"WAV", "WAVEX", "RF64", "FLAC", "OGG", "MP3"}
_MIN_SECONDS = 0.05
_RATES = (4_000, 192_000)
_MAX_CHANNELS = 8
_SILENCE = 10 ** (-70 / 20)
"""Largest amplitude, of 1, that still is silence: 70 dB below full scale."""


def require_soundfile() -> None:
    """Raise MissingExtra where the package that reads sounds is not installed."""
    if find_spec("soundfile") is None:
        raise MissingExtra("soundfile", "audio")


def load_windows(content: Path | bytes, rate: int, max_seconds: float) -> list[NDArray[np.float32]]:
    """Return windows (samples,) float32 of a sound, one channel at `rate` Hz, its largest amplitude 1, in order.

    A sound of up to 10 s is one window; of a longer one up to 12 windows of 10 s are read, evenly spread, but no silent ones.
    max_seconds: length allowed, checked on the header. Raises EncodingError: empty, broken, silent, too long, no sound.
    """
    try:
        with _open(content) as file:
            _check_header(file, max_seconds)
            windows = [_read(file, start, rate) for start in _starts(file.frames, file.samplerate)]
    except (EncodingError, MemoryError):
        raise
    except Exception as error:
        raise _error(f"it is broken or cut off ({type(error).__name__})") from None
    loudest = max(float(np.abs(window).max(initial=0.0)) for window in windows)
    if loudest <= _SILENCE:
        raise _error("it is silent")
    return [window / np.float32(loudest) for window in windows if np.abs(window).max(initial=0.0) > _SILENCE]


def _error(reason: str) -> EncodingError:
    return EncodingError(f"The sound can't be used: {reason}.", f"Give one of {', '.join(FORMATS)}, whole and not too long.")


def _open(content: Path | bytes) -> Any:
    require_soundfile()
    try:
        import soundfile
    except OSError as error:
        raise SetupError(
            f"The package soundfile finds no libsndfile ({error}).", "Install it with the system's packages: libsndfile1."
        ) from error
    if isinstance(content, bytes):
        if not content:
            raise _error("it is empty")
        source: Any = io.BytesIO(content)
    else:
        try:
            if content.stat().st_size == 0:
                raise _error("it is empty")
        except OSError as error:
            raise _error(f"the file can't be read ({error.strerror})") from None
        source = str(content)
    try:
        return soundfile.SoundFile(source)
    except Exception:
        raise _error("it has none of the formats that can be read") from None


def _check_header(file: Any, max_seconds: float) -> None:
    if file.format not in _CONTAINERS:
        raise _error("it has none of the formats that can be read")
    if not _RATES[0] <= file.samplerate <= _RATES[1]:
        raise _error(f"it has {file.samplerate:,} samples a second, and {_RATES[0]:,} to {_RATES[1]:,} are read")
    if file.channels > _MAX_CHANNELS:
        raise _error(f"it has {file.channels} channels, more than {_MAX_CHANNELS}")
    seconds = file.frames / file.samplerate
    if seconds > max_seconds:
        raise _error(f"it lasts {seconds:,.0f} seconds, more than the {max_seconds:,.0f} allowed (encoders.max_audio_seconds)")
    if seconds < _MIN_SECONDS:
        raise _error("it is empty" if file.frames == 0 else f"it lasts less than {_MIN_SECONDS:g} seconds")


def _starts(frames: int, rate: int) -> list[int]:
    """Return the first frame of each window."""
    size = round(WINDOW_S * rate)
    count = min(max(frames // size, 1), MAX_WINDOWS)
    return [0] if count == 1 else np.linspace(0, frames - size, count).astype(int).tolist()


def _read(file: Any, start: int, rate: int) -> NDArray[np.float32]:
    file.seek(start)
    frames = file.read(round(WINDOW_S * file.samplerate), dtype="float32", always_2d=True)
    if not len(frames):
        raise _error("it is cut off")
    mono = frames.mean(axis=1, dtype=np.float32)
    if not np.isfinite(mono).all():
        raise _error("it has NaN or infinite samples")
    common = gcd(file.samplerate, rate)
    if file.samplerate == rate:
        return np.asarray(mono, np.float32)
    return np.asarray(resample_poly(mono, rate // common, file.samplerate // common), np.float32)
