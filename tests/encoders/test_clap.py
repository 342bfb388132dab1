"""CLAP models from a folder: words and sounds in one space, nothing of the folder run, no weights made up."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from clap_model import tiny_clap
from sounds import chord, noise, tone, wav

from es_recsys.encoders.base import encode_query
from es_recsys.encoders.clap import ClapEncoder
from es_recsys.encoders.factory import audio_encoder
from es_recsys.encoders.fingerprints import DigestCache
from es_recsys.errors import InputError, ModelError
from es_recsys.settings import Settings

pytest.importorskip("transformers", reason="the package transformers is not installed")


@pytest.fixture(scope="module")
def name(tmp_path_factory: pytest.TempPathFactory) -> str:
    return tiny_clap(tmp_path_factory.mktemp("clap") / "model", 3)


@pytest.fixture(scope="module")
def encoder(name: str, encoder_settings: Callable[..., Settings]) -> ClapEncoder:
    made = audio_encoder(encoder_settings(audio=name))
    assert isinstance(made, ClapEncoder)
    return made


def copied(name: str, folder: Path) -> Path:
    return Path(shutil.copytree(name.removeprefix("clap:local-dir:"), folder / "copy"))


def loaded_from(folder: Path) -> ClapEncoder:
    return ClapEncoder(f"clap:local-dir:{folder}", DigestCache(folder.parent))


def test_the_vectors_are_those_of_the_model_itself(encoder: ClapEncoder, name: str) -> None:
    import torch
    from transformers import AutoTokenizer, ClapFeatureExtractor, ClapModel

    folder = name.removeprefix("clap:local-dir:")
    model = ClapModel.from_pretrained(folder).eval()
    samples = (tone(330, 10.0) / np.abs(tone(330, 10.0)).max()).astype(np.float32)
    features = ClapFeatureExtractor.from_pretrained(folder)(samples, sampling_rate=16_000, return_tensors="pt")
    tokens = AutoTokenizer.from_pretrained(folder)(["low tone"], return_tensors="pt")
    with torch.inference_mode():
        sound = model.get_audio_features(**features)
        text = model.get_text_features(input_ids=tokens["input_ids"], attention_mask=tokens["attention_mask"])
    for ours, theirs in ((encoder.encode([wav(tone(330, 10.0))]), sound), (encoder.encode_text(["low tone"]), text)):
        vector = getattr(theirs, "pooler_output", theirs).numpy()[0]
        assert ours[0] @ vector / np.linalg.norm(vector) > 0.999


def test_words_and_sounds_meet_in_one_space(encoder: ClapEncoder) -> None:
    assert encoder.accepts == {"audio", "text"} and encoder.dims == 32
    vector = encode_query(encoder, "a low tone")
    np.testing.assert_allclose(vector, encoder.encode_text(["a low tone"])[0], atol=1e-6)
    assert np.abs(encoder.encode_text(["low tone", "noise"]) @ vector).max() < 0.9999
    several = encoder.encode_text(["noise", "a low tone", "music of a red shoe " * 40, "\ud800"])
    np.testing.assert_allclose(several[1], vector, atol=1e-5)


def test_a_long_sound_is_the_mean_of_its_windows(encoder: ClapEncoder) -> None:
    parts = [chord(300, 10.0), noise(1, 10.0)]
    parts = [part / np.abs(part).max() for part in parts]
    long, one, other = encoder.encode([wav(0.9 * part) for part in (np.concatenate(parts), *parts)])
    assert float(long @ (one + other)) / np.linalg.norm(one + other) > 0.999


def test_a_model_that_fuses_is_not_left_to_chance(tmp_path: Path, encoder_settings: Callable[..., Settings]) -> None:
    fusing = audio_encoder(encoder_settings(audio=tiny_clap(tmp_path / "fusing", 3, fusion=True)))
    assert isinstance(fusing, ClapEncoder)
    sounds = [wav(tone(220)), wav(noise(1)), wav(chord(440))]
    np.testing.assert_array_equal(fusing.encode(sounds), fusing.encode(sounds))
    np.testing.assert_allclose(np.concatenate([fusing.encode([sound]) for sound in sounds]), fusing.encode(sounds), atol=1e-5)


def test_a_copy_has_the_same_fingerprint_and_another_preparation_another(encoder: ClapEncoder, name: str, tmp_path: Path) -> None:
    folder = copied(name, tmp_path)
    assert loaded_from(folder).fingerprint == encoder.fingerprint
    prepared = json.loads((folder / "preprocessor_config.json").read_bytes())
    (folder / "preprocessor_config.json").write_text(json.dumps({**prepared, "frequency_max": 7_000}))
    assert loaded_from(folder).fingerprint != encoder.fingerprint


def test_a_folder_that_is_none_of_a_clap_model_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="FileNotFoundError"):
        loaded_from(tmp_path / "absent")
    folder = copied(name, tmp_path)
    config = json.loads((folder / "config.json").read_bytes())
    (folder / "config.json").write_text(json.dumps({**config, "model_type": "bert"}))
    with pytest.raises(ModelError, match="'bert'"):
        loaded_from(folder)
    (folder / "config.json").write_text("[]")
    with pytest.raises(ModelError, match=r"config\.json"):
        loaded_from(folder)


def test_weights_are_read_from_safetensors_alone(name: str, tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file

    folder = copied(name, tmp_path)
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    torch.save(weights, folder / "pytorch_model.bin")
    with pytest.raises(ModelError, match="no weights in safetensors"):
        loaded_from(folder)


def test_weights_that_are_missing_are_not_made_up(name: str, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = copied(name, tmp_path)
    weights = load_file(folder / "model.safetensors")
    lost = next(key for key in weights if "text_projection" in key)
    save_file({key: value for key, value in weights.items() if key != lost}, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(ModelError, match=f"lack {lost}"):
        loaded_from(folder).encode([wav(tone(220))])


@pytest.mark.parametrize("name", ["clap:", "clap:local-dir:", "clap:laion/clap-htsat-unfused"])
def test_a_name_that_says_no_folder_is_refused(name: str, encoder_settings: Callable[..., Settings]) -> None:
    with pytest.raises(InputError, match="where its weights are"):
        audio_encoder(encoder_settings(audio=name))
