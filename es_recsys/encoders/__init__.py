"""Content to vectors: (n, d) float32, each row of length 1.

`text_encoder`, `image_encoder` and `audio_encoder` build what the settings name; `encode_items` encodes what they read of items,
each distinct content once, with a cache on disk; `encode_query` encodes a query, `encode_queries` several. Models run as ONNX,
exported from torch once and kept by fingerprint; what has no ONNX form, and open_clip, runs on torch. Nothing here knows an index
or a store.
"""

from __future__ import annotations

from es_recsys.encoders.base import Content, Encoder, PartialEncodingError, encode_queries, encode_query
from es_recsys.encoders.batching import EncodedContents, encode_all, encode_items
from es_recsys.encoders.factory import audio_encoder, encoders, image_encoder, text_encoder
from es_recsys.encoders.item_content import item_content, item_text
from es_recsys.encoders.language import UNKNOWN_LANGUAGE_REMEDY, knows_language, why_unknown
from es_recsys.encoders.model_files import DEFAULT_TEXT
from es_recsys.encoders.multilingual_e5 import NAME as MULTILINGUAL
from es_recsys.encoders.vector_cache import VectorCache

__all__ = [
    "DEFAULT_TEXT",
    "MULTILINGUAL",
    "UNKNOWN_LANGUAGE_REMEDY",
    "Content",
    "EncodedContents",
    "Encoder",
    "PartialEncodingError",
    "VectorCache",
    "audio_encoder",
    "encode_all",
    "encode_items",
    "encode_queries",
    "encode_query",
    "encoders",
    "image_encoder",
    "item_content",
    "item_text",
    "knows_language",
    "text_encoder",
    "why_unknown",
]
