"""Vector fields, one row each: what fills a field and how Elasticsearch keeps it.

A new modality or model is a new row.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

__all__ = ["AS_KEYWORD", "AS_LONG", "MIN_COSINES", "VECTOR_FIELDS", "VectorField", "index_options", "is_encoder_field"]

AS_KEYWORD, AS_LONG = "_keyword", "_long"
"""Forms in which Elasticsearch keeps an attribute beside its own type: every value as the text that it is, and whole numbers
to the last digit. No attribute has such a name: a part of one between dots begins with a letter or a digit."""


@dataclass(frozen=True, slots=True)
class VectorField:
    """A dense vector field of an item.

    source: "encoder" (content to vector) or "model" (trained from events).
    content: the item's part that an encoder reads ("text", "image", "audio"), or the model's name.
    similarity: Elasticsearch's name. "cosine" for unit vectors, "max_inner_product" for factors, whose length matters.
    encodes_queries: whether its model turns a query into a vector (`Model.query_vector`); encoders say so themselves.
    quantize: whether Elasticsearch may keep fewer bits; factors are few and their ranking is fine-grained, so not there.
    on_demand: whether a store has the field from the first item with such content on, not from its beginning.
    """

    name: str
    source: str
    content: str
    similarity: str = "cosine"
    quantize: bool = True
    on_demand: bool = False
    encodes_queries: bool = False


_ROWS = (
    VectorField("text_vector", "encoder", "text"),
    VectorField("image_vector", "encoder", "image"),
    # Few catalogues have sounds, and a field takes memory for every item.
    VectorField("audio_vector", "encoder", "audio", on_demand=True),
    VectorField("als_vector", "model", "als", similarity="max_inner_product", quantize=False),
    # Unit rows: no length for a graph to lose itself among.
    VectorField("lsa_vector", "model", "lsa", similarity="max_inner_product", encodes_queries=True),
    VectorField("sasrec_vector", "model", "sasrec", similarity="max_inner_product"),
    VectorField("fused_vector", "model", "fused", similarity="max_inner_product", encodes_queries=True),
    VectorField("aligned_vector", "model", "aligned", similarity="max_inner_product", encodes_queries=True),
)

MIN_COSINES: Mapping[str, tuple[float, float]] = MappingProxyType(
    {"all-MiniLM-L6-v2": (0.3, 0.4), "minilm-int8": (0.3, 0.4), "multilingual-e5-small": (0.3, 0.15)}
)
"""Text model -> least cosine of items that the words of a query don't find: (beside others that they do find, where they find
none). By 600 judged queries for films and 150 made-up words (docs/guide.md); a model that isn't here brings in its nearest,
however far they are, unless `SearchSettings.near` says so."""

_SCANNED = 5_000
_FACTORS_SCANNED = 200_000
"""Where a scan of 64 dimensions takes some 30 ms."""

VECTOR_FIELDS: Mapping[str, VectorField] = MappingProxyType({row.name: row for row in _ROWS})


def is_encoder_field(name: str) -> bool:
    """Return whether an encoder fills the field; one without a row is that of a model, perhaps of one that is gone."""
    return name in VECTOR_FIELDS and VECTOR_FIELDS[name].source == "encoder"


def index_options(field: VectorField, dims: int, count: int) -> dict[str, Any]:
    """Return `index_options` for a field of `dims` dimensions on about `count` documents.

    Under a few thousand documents an exact scan is as fast as a graph and exact. Factors are scanned for far longer: their
    lengths differ, and a graph by inner product loses itself among the longest (docs/benchmarks.md: it found a fifth to three
    fifths of the right items, by build). Binary quantisation needs many dimensions to keep its recall; with fewer, one byte a
    dimension. What the quantised search finds is scored again by the full vectors, so scores are exact and the nearest are
    not lost to rounding.
    """
    if count <= (_SCANNED if field.quantize else _FACTORS_SCANNED):
        return {"type": "flat"}
    if not field.quantize:
        return {"type": "hnsw", "m": 32, "ef_construction": 256}
    kind = "bbq_hnsw" if dims >= 512 and count >= 1_000_000 else "int8_hnsw"
    oversample = 3.0 if kind == "bbq_hnsw" else 1.0
    return {"type": kind, "m": 16, "ef_construction": 100, "rescore_vector": {"oversample": oversample}}
