"""Content to vectors: encoders by settings, batches with a cache, and what of an item they read."""

from __future__ import annotations

from es_recsys.encoders.base import BrokenContent, Content, Encoder, query_vector
from es_recsys.encoders.batching import Encoded, encode_all, encode_items
from es_recsys.encoders.cache import VectorCache
from es_recsys.encoders.contents import item_content, item_text
from es_recsys.encoders.factory import encoders, image_encoder, text_encoder
from es_recsys.encoders.language import language_warning

__all__ = [
    "BrokenContent",
    "Content",
    "Encoded",
    "Encoder",
    "VectorCache",
    "encode_all",
    "encode_items",
    "encoders",
    "image_encoder",
    "item_content",
    "item_text",
    "language_warning",
    "query_vector",
    "text_encoder",
]
