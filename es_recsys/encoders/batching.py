"""Many contents at once: each distinct one encoded once, or never where the cache knows it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from es_recsys.encoders.base import Content, Encoder, PartialEncodingError, validate_vectors
from es_recsys.encoders.item_content import item_content
from es_recsys.encoders.vector_cache import VectorCache
from es_recsys.errors import EncodingError
from es_recsys.types import Item

__all__ = ["EncodedContents", "encode_all", "encode_items"]

_BATCHES_AT_ONCE = 8
"""Batches an encoder gets at once: it can sort them by what they really cost, and the cache is written after each group."""


@dataclass(frozen=True, slots=True)
class EncodedContents:
    """The vectors of many contents, in order.

    vectors: a unit vector (d,) float32 a content, None where there is none. errors: row -> why it could not be encoded.
    computed: how many were encoded rather than found in the cache or repeated.
    """

    vectors: list[NDArray[np.float32] | None]
    errors: dict[int, str] = field(default_factory=dict)
    computed: int = 0


def encode_all(encoder: Encoder, contents: Sequence[Content | None], cache: VectorCache | None = None) -> EncodedContents:
    """Return a vector for each content, in order; None for None and for what can't be encoded, which `errors` explains.

    Memory grows with the vectors, not with the contents of files. Raises EncodingError where the encoder itself is at
    fault (wrong shape or type), because then no vector can be trusted.
    """
    errors: dict[int, str] = {}
    rows: dict[bytes, list[int]] = {}
    for row, content in enumerate(contents):
        if content is None:
            continue
        try:
            rows.setdefault(_digest(content), []).append(row)
        except OSError as error:
            errors[row] = f"the file can't be read ({error.strerror})"
    known = dict(cache.get(encoder.fingerprint, encoder.dims, list(rows))) if cache is not None else {}
    first = {digest: contents[same[0]] for digest, same in rows.items() if digest not in known}
    for digests, batch in _by_length(first, encoder.batch_size * _BATCHES_AT_ONCE):
        found, broken = _encode(encoder, batch)
        fresh = {digest: found[i] for i, digest in enumerate(digests) if i not in broken}
        if cache is not None:
            cache.put(encoder.fingerprint, fresh)
        known.update(fresh)
        errors.update({row: reason for i, reason in broken.items() for row in rows[digests[i]]})
    vectors: list[NDArray[np.float32] | None] = [None] * len(contents)
    for digest, same in rows.items():
        for row in same:
            vectors[row] = known.get(digest)
    return EncodedContents(vectors, dict(sorted(errors.items())), len(first))


def encode_items(
    encoder: Encoder, items: Sequence[Item], base: Path | Callable[[Item], Path], cache: VectorCache | None = None
) -> EncodedContents:
    """Encode what `encoder` reads of each item, as `encode_all`; an item whose content is refused is in `errors`.

    base: the folder that the paths of pictures and sounds start from, one for all or that of each item.
    """
    contents: list[Content | None] = []
    refused: dict[int, str] = {}
    for row, item in enumerate(items):
        try:
            contents.append(item_content(encoder, item, base if isinstance(base, Path) else base(item)))
        except EncodingError as error:
            contents.append(None)
            refused[row] = f"{error.what} {error.remedy}"
    encoded = encode_all(encoder, contents, cache)
    return EncodedContents(encoded.vectors, {**encoded.errors, **refused}, encoded.computed)


def _digest(content: Content) -> bytes:
    """Return 16 bytes that name the content; a file by what is in it. Raises OSError."""
    if isinstance(content, str):
        return hashlib.blake2b(content.encode("utf-8", "surrogatepass"), digest_size=16, person=b"text").digest()
    if isinstance(content, bytes):
        return hashlib.blake2b(content, digest_size=16, person=b"file").digest()
    with content.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16, person=b"file")).digest()


def _by_length(contents: Mapping[bytes, Content | None], size: int) -> Iterator[tuple[list[bytes], list[Content]]]:
    """Yield digests and contents, longest first, so that like lengths share a batch and little of it is padding."""
    pairs = [(digest, content) for digest, content in contents.items() if content is not None]
    pairs.sort(key=lambda pair: -len(pair[1]) if isinstance(pair[1], str) else 0)
    for start in range(0, len(pairs), size):
        chunk = pairs[start : start + size]
        yield [digest for digest, _ in chunk], [content for _, content in chunk]


def _encode(encoder: Encoder, batch: Sequence[Content]) -> tuple[NDArray[np.float32], dict[int, str]]:
    broken: dict[int, str] = {}
    try:
        vectors = encoder.encode(batch)
    except PartialEncodingError as error:
        vectors, broken = error.vectors, error.errors
    rows, bad = validate_vectors(vectors, len(batch), encoder.dims, encoder.name)
    return rows, {**bad, **broken}
