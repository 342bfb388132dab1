"""The protocol of encoders, and the checks that every vector passes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from es_recsys.errors import EncodingError, InputError

__all__ = ["Content", "Encoder", "PartialEncodingError", "encode_queries", "encode_query", "l2_normalize", "validate_vectors"]

Content = str | Path | bytes
"""A text, or a picture or a sound as its file or its bytes."""


@runtime_checkable
class Encoder(Protocol):
    """Content to unit vectors.

    name: the model as the settings name it. content: what of an item it reads ("text", "image", "audio").
    field: the vector field it fills (vector_fields.py). dims: d. accepts: what a query may be (of the same kinds).
    fingerprint: 32 hex digits over weights, tokenizer, pooling, lengths and precision; two encoders with one
    fingerprint give the same vectors (cosine at least .999).
    """

    @property
    def name(self) -> str: ...
    @property
    def content(self) -> str: ...
    @property
    def field(self) -> str: ...
    @property
    def dims(self) -> int: ...
    @property
    def fingerprint(self) -> str: ...
    @property
    def accepts(self) -> frozenset[str]: ...
    @property
    def batch_size(self) -> int: ...

    def encode(self, batch: Sequence[Any]) -> NDArray[np.float32]:
        """Return (n, d) float32, each row of length 1, in the order of `batch`; (0, d) for an empty one.

        Raises PartialEncodingError where single contents can't be read, EncodingError where the model fails.
        """
        ...


class PartialEncodingError(EncodingError):
    """Some contents of a batch can't be encoded. `errors` maps row -> reason; `vectors` (n, d) holds the other rows."""

    def __init__(self, errors: Mapping[int, str], vectors: NDArray[np.float32]) -> None:
        self.errors = dict(errors)
        self.vectors = vectors
        row, reason = next(iter(self.errors.items()))
        more = f" (and {len(self.errors) - 1} more)" if len(self.errors) > 1 else ""
        super().__init__(f"Row {row} can't be encoded: {reason.rstrip('.')}{more}.", "Mend or leave out that content.")


def l2_normalize(vectors: NDArray[Any]) -> NDArray[np.float32]:
    """Return the rows scaled to length 1, (n, d) float32. Rows without a direction (zero, NaN, Inf) become NaN."""
    rows = np.asarray(vectors, dtype=np.float32)
    with np.errstate(all="ignore"):
        return np.asarray(rows / np.linalg.norm(rows.astype(np.float64), axis=1, keepdims=True), dtype=np.float32)


def validate_vectors(vectors: NDArray[Any], count: int, dims: int, name: str) -> tuple[NDArray[np.float32], dict[int, str]]:
    """Return the vectors as (count, dims) float32, and row -> reason for rows that are not finite or not of length 1.

    Raises EncodingError where shape or type are wrong: then no row can be trusted.
    """
    rows = np.asarray(vectors)
    if rows.shape != (count, dims) or rows.dtype != np.float32:
        raise EncodingError(
            f"Encoder {name} gave {rows.shape} {rows.dtype} for {count} contents; ({count}, {dims}) float32 was due.",
            "The model is not usable as it is; check its files.",
        )
    errors: dict[int, str] = {}
    with np.errstate(all="ignore"):
        lengths = np.sqrt(np.einsum("ij,ij->i", rows, rows, dtype=np.float64))
    for row in np.flatnonzero(~(np.abs(lengths - 1.0) < 1e-3)):
        finite = bool(np.isfinite(rows[row]).all())
        errors[int(row)] = f"its vector has length {lengths[row]:.4g}" if finite else "its vector has NaN or Inf"
    return rows, errors


def require_unit_vectors(vectors: NDArray[Any], count: int, dims: int, name: str) -> NDArray[np.float32]:
    """Return the vectors that pass `validate_vectors`; any bad row raises PartialEncodingError."""
    rows, errors = validate_vectors(vectors, count, dims, name)
    if errors:
        raise PartialEncodingError(errors, rows)
    return rows


def encode_query(encoder: Encoder, query: Content) -> NDArray[np.float32]:
    """Return the vector (d,) float32 of a query: a text, or the file or the bytes of a picture or a sound.

    Models with a prompt for questions get it. Raises InputError where the encoder doesn't accept that kind or can't
    read the content.
    """
    vector: NDArray[np.float32] = encode_queries(encoder, [query])[0]
    return vector


def encode_queries(encoder: Encoder, queries: Sequence[Content]) -> NDArray[np.float32]:
    """Return the vectors (n, d) float32 of queries, at least one, all texts or all of the encoder's own kind.

    Raises InputError as `encode_query` does, also where only one of them can't be read.
    """
    kind = _kind_of(encoder, queries[0])
    if kind not in encoder.accepts:
        raise InputError(
            f"Encoder {encoder.name} can't encode a query of kind {kind}.",
            f"It accepts {' and '.join(sorted(encoder.accepts))}.",
        )
    method = "encode_text" if kind != encoder.content else "encode_queries"
    encode = getattr(encoder, method, encoder.encode)
    try:
        vectors: NDArray[np.float32] = encode(list(queries))
    except PartialEncodingError as error:
        raise InputError(f"The query can't be encoded: {next(iter(error.errors.values()))}", f"Give another {kind}.") from error
    return vectors


def _kind_of(encoder: Encoder, query: Content) -> str:
    if isinstance(query, str):
        return "text"
    return encoder.content if encoder.content != "text" else "file"
