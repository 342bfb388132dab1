from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from es_recsys.encoders import text_encoder
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


def test_a_text_is_encoded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(home=tmp_path, encoders=EncoderSettings(image="none"))
    encoder = text_encoder(settings)
    assert encoder is not None
    counting = _Counting(encoder)
    monkeypatch.setitem(store_encoders._MAKERS, "text", lambda _settings: counting)
    metadata = IndexMetadata("store", 1, vectors=vector_metadata([encoder]))
    encoders = StoreEncoders(settings)
    first, again, other = (encoders.vector(metadata, "text_vector", text) for text in ("red shoe", "red shoe", "blue shoe"))
    assert counting.texts == ["red shoe", "blue shoe"]
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    with pytest.raises(ValueError, match="read-only"):
        first[0] = 0.0
