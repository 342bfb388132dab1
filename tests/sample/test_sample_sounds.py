"""Sounds of products: valid, short, the same each time, and telling style, material and weight."""

from __future__ import annotations

import io
import wave
from functools import cache

import numpy as np

from es_recsys.sample import sample_store, sound
from es_recsys.types import Item


@cache
def items() -> tuple[Item, ...]:
    return sample_store(items=86, users=2, days=1).items


def samples(item: Item) -> np.ndarray:
    with wave.open(io.BytesIO(sound(item))) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (16_000, 1, 2)
        return np.frombuffer(file.readframes(file.getnframes()), "<i2") / 32_768


def changed(**attributes: str | int) -> np.ndarray:
    first = items()[0]
    base = {"style": "classic", "material": "polished oak", "weight_g": 800}
    return samples(first.model_copy(update={"attributes": {**first.attributes, **base, **attributes}}))


def loudest_hz(heard: np.ndarray) -> float:
    return float(np.fft.rfftfreq(len(heard), 1 / 16_000)[np.abs(np.fft.rfft(heard)).argmax()])


def test_the_audio_category_alone_has_sounds() -> None:
    with_sound = {item.categories for item in items() if item.audio}
    assert with_sound == {("Electronics", "Audio", "Headphones"), ("Electronics", "Audio", "Speakers")}
    assert all(bool(item.audio) == ("Audio" in item.categories) for item in items())


def test_sounds_are_short_loud_enough_and_differ() -> None:
    heard = [samples(item) for item in items()]
    assert {len(each) for each in heard} == {19_200}
    assert all(0.8 < np.abs(each).max() < 1 for each in heard)
    assert len({each.tobytes() for each in heard}) == len(heard)
    assert sound(items()[5]) == sound(items()[5])


def test_weight_tells_the_pitch_and_material_how_long_it_rings() -> None:
    assert loudest_hz(changed(style="minimal", weight_g=100)) > 1.5 * loudest_hz(changed(style="minimal", weight_g=5_000))
    energy = {
        name: (changed(style="minimal", material=name)[4_000:8_000] ** 2).sum() for name in ("brushed brass", "polished oak")
    }
    assert energy["brushed brass"] > 10 * energy["polished oak"]


def test_style_tells_the_tune() -> None:
    def onsets(style: str) -> int:
        loud = (changed(style=style).reshape(-1, 160) ** 2).mean(axis=1)
        return int((loud[1:] > 4 * loud[:-1] + 1e-4).sum())

    assert onsets("playful") > 2 * onsets("minimal")
