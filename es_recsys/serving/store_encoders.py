"""A store's encoders: those that its vectors were made by, loaded at the first query or item that needs them."""

from __future__ import annotations

import threading
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

import numpy as np
import orjson
from numpy.typing import NDArray

from es_recsys.encoders import (
    Encoder,
    VectorCache,
    audio_encoder,
    encode_items,
    encode_queries,
    encode_query,
    image_encoder,
    text_encoder,
)
from es_recsys.index.stored_metadata import check_fingerprints
from es_recsys.index_metadata import IndexMetadata
from es_recsys.private import make_folder, private_opener
from es_recsys.settings import EncoderSettings, Settings
from es_recsys.types import Item
from es_recsys.vector_fields import VECTOR_FIELDS

__all__ = ["ItemErrors", "StoreEncoders", "item_vectors", "settings_of_store"]

_MAKERS: dict[str, Callable[[Settings], Encoder | None]] = {
    "text": text_encoder,
    "image": image_encoder,
    "audio": audio_encoder,
}
# Encode texts and pictures, or texts and sounds, into one space.
_MULTIMODAL = ("open_clip:", "clap:")
_CACHED_TEXTS = 10_000


def settings_of_store(settings: Settings, metadata: IndexMetadata | None, contents: Collection[str] = ()) -> Settings:
    """Return the settings with the store's own encoder for each that was left at its default.

    A store that was made from events alone has none yet, and takes the default. contents: kinds of content that items to be
    written have, of those for which a store has a field only on demand; without it and without a field there is no encoder.
    """
    default, chosen = EncoderSettings(), settings.encoders
    complete = metadata is not None and not metadata.notes.get("bare")
    update = {}
    for row in VECTOR_FIELDS.values():
        if row.source != "encoder":
            continue
        stored = None if metadata is None else metadata.vectors.get(row.name)
        is_default = getattr(chosen, row.content) == getattr(default, row.content)
        if stored is not None:
            if is_default:
                update[row.content] = stored.model
        elif (row.content not in contents) if row.on_demand else (is_default and complete):
            update[row.content] = "none"
    return settings.model_copy(update={"encoders": chosen.model_copy(update=update)})


class StoreEncoders:
    """Encodes queries for any version of a store, each text once while it is among the last 10,000. Thread-safe."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._loaded: dict[tuple[str, str], Encoder] = {}
        self._loading: defaultdict[tuple[str, str], threading.Lock] = defaultdict(threading.Lock)
        self._vectors: OrderedDict[tuple[str, str, str], NDArray[np.float32]] = OrderedDict()
        self._lock = threading.Lock()  # of the vectors; nobody waits long for it

    def fields(self, metadata: IndexMetadata, kind: str) -> tuple[str, ...]:
        """Return the vector fields that a query of this kind can search in; known by the model's name, so nothing is loaded."""
        found = []
        for name, vector in metadata.vectors.items():
            row = VECTOR_FIELDS.get(name)
            multimodal = vector.model.startswith(_MULTIMODAL)
            if row is not None and row.source == "encoder" and (row.content == kind or (kind == "text" and multimodal)):
                found.append(name)
        return tuple(found)

    def vector(self, metadata: IndexMetadata, field: str, query: str | bytes) -> NDArray[np.float32]:
        """Return the query vector (d,) float32. Raises FingerprintMismatch where this machine's model is not the store's."""
        if isinstance(query, str):
            return self.text_vectors(metadata, field, [query])[0]
        return encode_query(self._encoder(metadata, field), query)

    def text_vectors(self, metadata: IndexMetadata, field: str, texts: Sequence[str]) -> list[NDArray[np.float32]]:
        """Return `vector` of each text, those that are not known yet encoded together. Raises as `vector` does, for all."""
        found = {text: self.known_vector(metadata, field, text) for text in texts}
        unknown = [text for text, vector in found.items() if vector is None]
        if unknown:
            vectors = encode_queries(self._encoder(metadata, field), unknown)
            vectors.setflags(write=False)
            made = dict(zip(unknown, vectors, strict=True))
            self._store(_encoder_key(metadata, field), made)
            found |= made
        return [vector for text in texts if (vector := found[text]) is not None]

    def _store(self, key: tuple[str, str], vectors: Mapping[str, NDArray[np.float32]]) -> None:
        with self._lock:
            self._vectors.update(((*key, text), vector) for text, vector in vectors.items())
            while len(self._vectors) > _CACHED_TEXTS:
                self._vectors.popitem(last=False)

    def known_vector(self, metadata: IndexMetadata, field: str, query: str | bytes) -> NDArray[np.float32] | None:
        """Return `vector` of a text that was encoded before, else None. Raises FingerprintMismatch."""
        key = _encoder_key(metadata, field)
        encoder = self._loaded.get(key)
        if encoder is None or not isinstance(query, str):
            return None
        check_fingerprints(metadata, [encoder])
        with self._lock:
            vector = self._vectors.get((*key, query))
            if vector is not None:
                self._vectors.move_to_end((*key, query))
            return vector

    def _encoder(self, metadata: IndexMetadata, field: str) -> Encoder:
        content, model = key = _encoder_key(metadata, field)
        with self._lock:
            loading = self._loading[key]
        with loading:  # of this encoder alone
            encoder = self._loaded.get(key)
            if encoder is None:
                chosen = self._settings.encoders.model_copy(update={content: model})
                made = _MAKERS[content](self._settings.model_copy(update={"encoders": chosen}))
                assert made is not None  # a stored field names a model
                encoder = self._loaded[key] = made
        check_fingerprints(metadata, [encoder])
        return encoder


def _encoder_key(metadata: IndexMetadata, field: str) -> tuple[str, str]:
    """Return the content and the model's name of a vector field."""
    return VECTOR_FIELDS[field].content, metadata.vectors[field].model


class ItemErrors:
    """Item contents that could not be encoded: how many, the first few with their reasons, and all of them in a file.

    path: a JSONL file of `{"item_id", "field", "reason"}`, made at the first of them; None for no file.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path
        self.count = 0
        self.first: list[str] = []

    def add(self, item_id: str, field: str, reason: str) -> None:
        self.count += 1
        if len(self.first) < 10:
            self.first.append(f"item {item_id}, {field}: {reason}")
        if self.path is not None:
            make_folder(self.path.parent)
            with open(self.path, "ab", opener=private_opener) as file:
                file.write(orjson.dumps({"item_id": item_id, "field": field, "reason": reason}) + b"\n")


def item_vectors(
    encoders: Sequence[Encoder], base: Path | Callable[[Item], Path], cache: VectorCache, errors: ItemErrors
) -> Callable[[Sequence[Item]], list[dict[str, NDArray[np.float32] | None]]]:
    """Return the function that encodes items.

    base: the folder that the paths of pictures and sounds start from, one for all or that of each item.
    """

    def encode(items: Sequence[Item]) -> list[dict[str, NDArray[np.float32] | None]]:
        rows: list[dict[str, NDArray[np.float32] | None]] = [{} for _ in items]
        for encoder in encoders:
            encoded = encode_items(encoder, items, base, cache)
            for row, vector in zip(rows, encoded.vectors, strict=True):
                row[encoder.field] = vector
            for item_idx, reason in encoded.errors.items():
                errors.add(items[item_idx].item_id, encoder.content, reason)
        return rows

    return encode
