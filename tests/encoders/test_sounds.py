from __future__ import annotations

import io
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from sounds import chord, noise, tone, wav

from es_recsys.encoders import audio_encoder, audio_loading, encode_items
from es_recsys.encoders.audio_loading import load_windows
from es_recsys.encoders.log_mel import RATE, LogMelEncoder
from es_recsys.errors import EncodingError, InputError, MissingExtra
from es_recsys.settings import Settings
from es_recsys.types import Item

LIMIT = 60.0


@pytest.mark.parametrize("format", ["WAV", "FLAC", "OGG", "MP3"])
def test_formats_are_told_by_content_from_bytes_and_from_a_file(tmp_path: Path, format: str) -> None:
    data = wav(tone(440), format)
    (tmp_path / "wrong.txt").write_bytes(data)
    encoder = LogMelEncoder()
    plain, coded, filed = encoder.encode([wav(tone(440)), data, tmp_path / "wrong.txt"])
    assert float(plain @ coded) > 0.9
    np.testing.assert_array_equal(coded, filed)


@pytest.mark.parametrize(("rate", "channels"), [(8_000, 1), (11_025, 2), (44_100, 2), (48_000, 6), (96_000, 1)])
def test_any_rate_and_channels_become_one(rate: int, channels: int) -> None:
    (window,) = load_windows(wav(tone(440), rate=rate, channels=channels), RATE, LIMIT)
    assert window.dtype == np.float32 and abs(len(window) - RATE) <= 2
    assert np.abs(window).max() == pytest.approx(1.0)
    spectrum = np.abs(np.fft.rfft(window))
    assert np.argmax(spectrum) * RATE / len(window) == pytest.approx(440, abs=2)


def test_loudness_does_not_matter() -> None:
    loud, quiet = LogMelEncoder().encode([wav(chord(330)), wav(0.05 * chord(330))])
    assert float(loud @ quiet) > 0.99


def test_a_long_sound_is_read_in_windows_spread_over_it_without_silent_ones() -> None:
    parts = [tone(220, 10.0), np.zeros(10 * RATE), tone(880, 10.0), tone(440, 5.0)]
    windows = load_windows(wav(np.concatenate(parts)), RATE, LIMIT)
    assert [len(window) for window in windows] == [10 * RATE] * 3
    peaks = [np.argmax(np.abs(np.fft.rfft(window))) * RATE / len(window) for window in windows]
    assert peaks[0] == pytest.approx(220, abs=1) and peaks[-1] == pytest.approx(880, abs=1)
    many = load_windows(wav(noise(1, 400.0), rate=8_000), RATE, 500.0)
    assert len(many) == audio_loading.MAX_WINDOWS


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"no sound", "formats"),
        (wav(np.zeros(RATE)), "silent"),
        (wav(np.zeros(0)), "empty"),
        (wav(tone(440, 0.01)), "less than"),
        (wav(tone(440))[:40], "formats|empty|broken"),
        (wav(tone(440), "AIFF"), "formats"),
        (wav(noise(1, 0.2), channels=9), "9 channels"),
    ],
)
def test_what_is_no_sound_is_refused(tmp_path: Path, data: bytes, reason: str) -> None:
    (tmp_path / "a.wav").write_bytes(data)
    for content in (data, tmp_path / "a.wav"):
        with pytest.raises(EncodingError, match=reason) as caught:
            load_windows(content, RATE, LIMIT)
        assert caught.value.remedy


def an_hour() -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, np.zeros(3_600 * 4_000, np.int16), 4_000, format="FLAC")
    return buffer.getvalue()


def test_an_hour_is_refused_by_the_header(monkeypatch: pytest.MonkeyPatch) -> None:
    hour = an_hour()
    monkeypatch.setattr(soundfile.SoundFile, "read", None)
    with pytest.raises(EncodingError, match=r"3,600 seconds, more than the 1,800 allowed \(encoders.max_audio_seconds\)"):
        load_windows(hour, RATE, Settings().encoders.max_audio_seconds)


def test_samples_that_are_no_numbers_are_refused() -> None:
    buffer = io.BytesIO()
    soundfile.write(buffer, np.array([0.5, np.nan] * RATE), RATE, format="WAV", subtype="FLOAT")
    with pytest.raises(EncodingError, match="NaN"):
        load_windows(buffer.getvalue(), RATE, LIMIT)


WHOLE = {format: wav(chord(440, 0.3), format) for format in ("WAV", "FLAC", "OGG", "MP3")}


@given(st.sampled_from(sorted(WHOLE)), st.data())
def test_spoilt_bytes_give_a_sound_or_an_encoding_error(format: str, data: st.DataObject) -> None:
    spoilt = bytearray(WHOLE[format][: data.draw(st.integers(1, len(WHOLE[format])))])
    for _ in range(data.draw(st.integers(0, 8))):
        spoilt[data.draw(st.integers(0, len(spoilt) - 1))] = data.draw(st.integers(0, 255))
    with suppress(EncodingError):
        assert np.isfinite(load_windows(bytes(spoilt), RATE, LIMIT)[0]).all()


def test_a_broken_sound_costs_its_item_alone(tmp_path: Path) -> None:
    sounds = {"a.wav": wav(tone(220)), "b.wav": b"broken", "c.wav": wav(np.zeros(RATE)), "d.mp3": wav(noise(1), "MP3")}
    sounds |= {
        "e.wav": b"",
        "f.flac": an_hour(),
        "g.wav": wav(np.zeros(0)),
        "h.ogg": wav(chord(330), "OGG"),
        "i.wav": wav(tone(220))[:60],
    }
    for name, data in sounds.items():
        (tmp_path / name).write_bytes(data)
    names = (*sorted(sounds), None, "absent.wav", "https://x.example/a.mp3", "../a.wav")
    items = [Item(item_id=str(number), audio=name) for number, name in enumerate(names)]
    encoder = audio_encoder(Settings())
    assert encoder is not None
    encoded = encode_items(encoder, items, tmp_path)
    assert [vector is not None for vector in encoded.vectors] == [name in ("a.wav", "d.mp3", "h.ogg") for name in names]
    reasons = {names[row]: reason for row, reason in encoded.errors.items()}
    assert set(reasons) == set(names) - {"a.wav", "d.mp3", "h.ogg", None}
    told = {"c.wav": "silent", "e.wav": "empty", "f.flac": "3,600 seconds", "g.wav": "empty", "absent.wav": "does not exist"}
    assert all(reason in reasons[name] for name, reason in told.items())
    assert "sounds are read from files" in reasons["https://x.example/a.mp3"].lower()


KINDS: dict[str, Callable[[int], np.ndarray]] = {
    "low": lambda n: tone(110 + 4 * n, 0.5 + 0.1 * n, n),
    "high": lambda n: tone(1_500 + 60 * n, 0.5 + 0.1 * n, n),
    "chord": lambda n: chord(300 + 15 * n, 0.5 + 0.1 * n, n),
    "noise": lambda n: noise(n, 0.5 + 0.1 * n),
    "beat": lambda n: noise(n, 0.8) * np.exp(-np.arange(int(0.8 * RATE)) / RATE * (12 + n)),
}


def test_sounds_of_a_kind_are_near_each_other() -> None:
    labels = np.array([kind for kind in KINDS for _ in range(8)])
    vectors = LogMelEncoder().encode([wav(make(n)) for make in KINDS.values() for n in range(8)])
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, -1)
    nearest = np.argsort(-cosines, axis=1)[:, :5]
    assert (labels[nearest] == labels[:, None]).mean() > 0.9  # by chance .18


def test_without_the_package_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "soundfile", None)
    monkeypatch.setattr(audio_loading, "find_spec", lambda name: None)
    assert audio_encoder(Settings.model_validate({"encoders": {"audio": "none"}})) is None
    with pytest.raises(MissingExtra, match=r"es-recsys\[audio\]"):
        audio_encoder(Settings())


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(InputError, match="No audio model"):
        audio_encoder(Settings.model_validate({"encoders": {"audio": "clap"}}))
