from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from es_recsys.encoders import text_encoder
from es_recsys.errors import FingerprintMismatch, ModelError
from es_recsys.index.stored_metadata import vector_metadata
from es_recsys.index_metadata import IndexMetadata
from es_recsys.serving import store_encoders
from es_recsys.serving.store_encoders import StoreEncoders
from es_recsys.settings import EncoderSettings, Settings


class _Counting:
    """The real encoder, with the texts that it was given."""

    def __init__(self, encoder: Any) -> None:
        self.encoder, self.texts = encoder, list[str]()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.encoder, name)

    def encode_queries(self, texts: list[str]) -> NDArray[np.float32]:
        self.texts += texts
        return self.encoder.encode_queries(texts)  # type: ignore[no-any-return]


@pytest.fixture
def counting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[_Counting, StoreEncoders, IndexMetadata]:
    settings = Settings(home=tmp_path, encoders=EncoderSettings(image="none"))
    encoder = text_encoder(settings)
    assert encoder is not None
    counting = _Counting(encoder)
    monkeypatch.setitem(store_encoders._MAKERS, "text", lambda _settings: counting)
    return counting, StoreEncoders(settings), IndexMetadata("store", 1, vectors=vector_metadata([encoder]))


def test_a_text_is_encoded_once(counting: tuple[_Counting, StoreEncoders, IndexMetadata]) -> None:
    encoder, encoders, metadata = counting
    first, again, other = (encoders.vector(metadata, "text_vector", text) for text in ("red shoe", "red shoe", "blue shoe"))
    assert encoder.texts == ["red shoe", "blue shoe"]
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    with pytest.raises(ValueError, match="read-only"):
        first[0] = 0.0


def test_what_is_known_is_what_was_encoded_lately(
    counting: tuple[_Counting, StoreEncoders, IndexMetadata], monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder, encoders, metadata = counting
    monkeypatch.setattr(store_encoders, "_CACHED_TEXTS", 2)
    assert encoders.known_vector(metadata, "text_vector", "a") is None
    made = encoders.vector(metadata, "text_vector", "a")
    encoders.vector(metadata, "text_vector", "b")
    assert encoders.known_vector(metadata, "text_vector", "a") is made
    encoders.vector(metadata, "text_vector", "c")  # b was asked for longest ago
    assert [encoders.known_vector(metadata, "text_vector", text) is not None for text in "abc"] == [True, False, True]
    assert encoder.texts == ["a", "b", "c"]
    changed = replace(metadata.vectors["text_vector"], fingerprint="another")
    with pytest.raises(FingerprintMismatch):
        encoders.known_vector(replace(metadata, vectors={"text_vector": changed}), "text_vector", "a")


def test_texts_are_encoded_together_and_each_once(
    counting: tuple[_Counting, StoreEncoders, IndexMetadata], monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder, encoders, metadata = counting
    known = encoders.vector(metadata, "text_vector", "a")
    found = encoders.text_vectors(metadata, "text_vector", ["b", "a", "a much longer text", "b"])
    assert encoder.texts == ["a", "b", "a much longer text"]
    assert found[1] is known
    np.testing.assert_array_equal(found[0], found[3])
    assert encoders.text_vectors(metadata, "text_vector", []) == []
    for text, vector in zip(["b", "a much longer text"], [found[0], found[2]], strict=True):
        np.testing.assert_allclose(vector, encoder.encoder.encode_queries([text])[0], atol=1e-6)
        np.testing.assert_array_equal(encoders.vector(metadata, "text_vector", text), vector)
    assert len(encoder.texts) == 3
    monkeypatch.setattr(store_encoders, "_CACHED_TEXTS", 2)
    assert len(encoders.text_vectors(metadata, "text_vector", ["c", "d", "e"])) == 3
    assert [encoders.known_vector(metadata, "text_vector", text) is not None for text in "acde"] == [False, False, True, True]


def test_loading_an_encoder_holds_up_no_other(
    counting: tuple[_Counting, StoreEncoders, IndexMetadata], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, encoders, metadata = counting
    known = encoders.vector(metadata, "text_vector", "a")
    loads, loaded = threading.Event(), threading.Event()

    def load(_settings: Settings) -> None:
        loads.set()
        assert loaded.wait(60)
        raise ModelError("It is not there.")

    monkeypatch.setitem(store_encoders._MAKERS, "image", load)
    both = {**metadata.vectors, "image_vector": replace(metadata.vectors["text_vector"], model="efficientnet")}
    failures: list[ModelError] = []

    def ask() -> None:
        try:
            encoders.vector(replace(metadata, vectors=both), "image_vector", b"picture")
        except ModelError as error:
            failures.append(error)

    other = threading.Thread(target=ask)
    other.start()
    assert loads.wait(60)
    assert encoders.vector(metadata, "text_vector", "a") is known
    assert encoders.vector(metadata, "text_vector", "b") is not known
    loaded.set()
    other.join()
    assert len(failures) == 1
