"""SASRec's forward pass in numpy: what a query runs instead of PyTorch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["padded", "states"]

_EPSILON = 1e-5
Floats = NDArray[np.float32]


def states(numbers: Mapping[str, NDArray[Any]], heads: int, vectors: Floats, lengths: NDArray[np.int64]) -> Floats:
    """(b, d) float32 unit rows: the state after the last event of each sequence, as `sasrec_network.Network` has it.

    vectors (b, l, d): of the items of the sequences, oldest first, anything after the end; lengths (b,) int64 >= 1.
    """
    x = vectors * np.float32(vectors.shape[2] ** 0.5)
    blocks = sum(1 for name in numbers if name.endswith(".out.weight"))
    rows = np.arange(len(x))
    for number in range(blocks):
        own = {name.split(".", 2)[2]: value for name, value in numbers.items() if name.startswith(f"blocks.{number}.")}
        # Of the last block only the state after the last event is read.
        asked = None if number < blocks - 1 else lengths - 1
        x = _block(own, heads, x, asked)
    last = x[:, 0] if blocks else x[rows, lengths - 1]
    h = _norm(last, numbers["norm.weight"], numbers["norm.bias"])
    return np.asarray(h / np.maximum(np.linalg.norm(h, axis=1, keepdims=True), 1e-12), np.float32)


def padded(sequences: Sequence[NDArray[np.int64]]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Places (b, l) int64 with 0 after the end of each of the b sequences, and their lengths (b,) int64."""
    lengths = np.array([len(one) for one in sequences], np.int64)
    places = np.zeros((len(sequences), int(lengths.max(initial=0))), np.int64)
    places[np.arange(places.shape[1]) < lengths[:, None]] = np.concatenate([np.zeros(0, np.int64), *sequences])
    return places, lengths


def _block(own: Mapping[str, NDArray[Any]], heads: int, x: Floats, asked: NDArray[np.int64] | None) -> Floats:
    """x (b, l, d) -> (b, l, d), or (b, 1, d) at the places that are asked for."""
    b, length, dims = x.shape
    y = _norm(x, own["norm1.weight"], own["norm1.bias"])
    weight, bias = own["qkv.weight"], own["qkv.bias"]
    kv = _split(y @ weight[dims:].T + bias[dims:], 2 * heads)  # (b, 2 heads, l, d / heads)
    places = np.broadcast_to(np.arange(length), (b, length)) if asked is None else asked[:, None]
    if asked is not None:
        rows = np.arange(b)
        x, y = x[rows, asked][:, None], y[rows, asked][:, None]
    q = _split(y @ weight[:dims].T + bias[:dims], heads)
    apart = places[:, :, None] - np.arange(length)
    logits = q @ kv[:, :heads].swapaxes(2, 3) * np.float32((dims // heads) ** -0.5)
    logits += own["distance"][:, np.maximum(apart, 0)].swapaxes(0, 1)
    logits = np.where((apart < 0)[:, None], np.float32(-np.inf), logits)
    attention = np.exp(logits - logits.max(axis=3, keepdims=True))
    attention /= attention.sum(axis=3, keepdims=True)
    seen = (attention @ kv[:, heads:]).swapaxes(1, 2).reshape(b, -1, dims)
    x = x + seen @ own["out.weight"].T + own["out.bias"]
    inner = _gelu(_norm(x, own["norm2.weight"], own["norm2.bias"]) @ own["wide.weight"].T + own["wide.bias"])
    result: Floats = x + inner @ own["narrow.weight"].T + own["narrow.bias"]
    return result


def _split(rows: Floats, heads: int) -> Floats:
    b, length, width = rows.shape
    return rows.reshape(b, length, heads, width // heads).swapaxes(1, 2)


def _norm(x: Floats, weight: NDArray[Any], bias: NDArray[Any]) -> Floats:
    centred = x - x.mean(axis=-1, keepdims=True)
    result: Floats = centred / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + np.float32(_EPSILON)) * weight + bias
    return result


def _gelu(x: Floats) -> Floats:
    inner = np.tanh(np.float32(0.7978845608) * (x + np.float32(0.044715) * x * x * x))
    result: Floats = (np.float32(0.5) * x * (np.float32(1.0) + inner)).astype(np.float32, copy=False)
    return result
