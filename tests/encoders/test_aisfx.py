"""The network of aisfx: its vectors are those of the package that carries its weights, and kinds of sounds meet in them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from sounds import chord, noise, tone, wav

from es_recsys.encoders import aisfx, aisfx_weights
from es_recsys.encoders.aisfx import AisfxEncoder, find_weights, sound_blocks
from es_recsys.encoders.factory import audio_encoder
from es_recsys.encoders.fingerprints import DigestCache
from es_recsys.encoders.model_files import package_folder
from es_recsys.errors import EncodingError, SetupError
from es_recsys.settings import Settings


@pytest.fixture(scope="module")
def encoder(encoder_settings: Callable[..., Settings]) -> AisfxEncoder:
    if package_folder("aisfx") is None:
        pytest.skip("the package aisfx is not installed")
    made = audio_encoder(encoder_settings(audio="aisfx", threads=1))
    assert isinstance(made, AisfxEncoder)
    return made


def window(samples: np.ndarray) -> np.ndarray:
    """One second at the network's own rate."""
    from scipy.signal import resample_poly

    there = resample_poly(samples, 441, 160)
    return (there / np.abs(there).max()).astype(np.float32)


def test_the_network_is_that_of_the_package(encoder: AisfxEncoder, tmp_path: Path) -> None:
    import torch
    from aisfx.models.cnn2d import EmbeddingNet

    network = EmbeddingNet("max", 3, 1, 64)
    weights = aisfx_weights._read(find_weights(DigestCache(tmp_path)))
    own = {key.removeprefix("embedding_net."): value for key, value in weights.items() if key.startswith("embedding_net.")}
    network.load_state_dict(own)
    blocks = np.concatenate([sound_blocks(window(samples)) for samples in (tone(220), chord(440), noise(3, 4.0))])
    with torch.no_grad():
        theirs = network.eval()(torch.from_numpy(blocks)).numpy()
    np.testing.assert_allclose(encoder._network().run({"blocks": blocks}), theirs, atol=1e-4)


def test_blocks_are_levels_of_the_bands_up_to_the_end() -> None:
    (short,) = sound_blocks(window(tone(440, 0.5)))
    assert short.shape == (100, 96) and short.dtype == np.float32
    assert short.max(axis=1).min() > 0.4  # what is short is repeated
    # A full tone has the power (n / 4)^2 in its bin, with the Hann window; the levels are on the scale of the training.
    pure = np.sin(2 * np.pi * 1_000 * np.arange(44_100) / 44_100).astype(np.float32)
    (block,) = sound_blocks(pure)
    hz = 700 * (10 ** (np.linspace(0, 2_595 * np.log10(1 + 22_050 / 700), 98)[1:-1] / 2_595) - 1)
    assert abs(hz[block[20].argmax()] - 1_000) < 30
    assert block.max() == pytest.approx(np.log10(1 + 1e4 * 512**2 / 2) / 9.4578, abs=0.05)
    long = sound_blocks(window(noise(1, 5.0)))
    assert long.shape == (3, 100, 96)  # 216 frames
    assert (long[-1, -2, :50] > 0.1).all()


def test_sounds_of_a_kind_are_near_each_other(encoder: AisfxEncoder) -> None:
    kinds: dict[str, Callable[[int], np.ndarray]] = {
        "low": lambda n: tone(110 + 4 * n, 0.5 + 0.1 * n, n),
        "chord": lambda n: chord(300 + 15 * n, 0.5 + 0.1 * n, n),
        "noise": lambda n: noise(n, 0.5 + 0.1 * n),
    }
    labels = np.repeat(list(kinds), 5)
    vectors = encoder.encode([wav(make(n)) for make in kinds.values() for n in range(5)])
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, -1)
    assert (labels[np.argsort(-cosines, axis=1)[:, :3]] == labels[:, None]).mean() > 0.9  # by chance .29


def test_loudness_does_not_matter(encoder: AisfxEncoder) -> None:
    loud, quiet = encoder.encode([wav(chord(330)), wav(0.3 * chord(330))])
    assert float(loud @ quiet) > 0.99


def test_a_long_sound_is_encoded_from_all_its_windows(encoder: AisfxEncoder) -> None:
    first, second = tone(220, 10.0), noise(1, 10.0)
    both, one, other = encoder.encode([wav(np.concatenate([first, second])), wav(first), wav(second)])
    assert float(both @ one) > float(one @ other) < float(both @ other)


def test_another_file_is_no_weights(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    for content in (b"", b"PK\3\4" * 100):
        (tmp_path / "checkpoint.pth").write_bytes(content)
        with pytest.raises(EncodingError, match="can't be read"):
            aisfx_weights.write_graph(tmp_path / "checkpoint.pth", tmp_path / "model.onnx", 100, 96)


def test_without_the_package_the_error_says_how_it_is_installed(
    monkeypatch: pytest.MonkeyPatch, encoder_settings: Callable[..., Settings]
) -> None:
    monkeypatch.setattr(aisfx, "package_folder", lambda name: None)
    with pytest.raises(SetupError) as caught:
        audio_encoder(encoder_settings(audio="aisfx"))
    assert "pip install --no-deps aisfx" in caught.value.remedy
