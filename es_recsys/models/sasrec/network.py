"""SASRec's network, written once: training runs it with PyTorch's operations, serving with those of numpy below."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["NumpyOperations", "Operations", "encode", "padded", "sequence_states"]

_EPSILON = 1e-5
Array = Any
"""An ndarray or a tensor: both have `@`, `swapaxes`, `reshape`, `clip` and indexing by integer arrays."""


class Operations(Protocol):
    """What numpy and PyTorch name differently."""

    def linear(self, x: Array, weight: Array, bias: Array) -> Array:
        """Return x W^T + b over the last axis."""
        ...

    def layer_norm(self, x: Array, weight: Array, bias: Array) -> Array:
        """Return x normalised over its last axis."""
        ...

    def softmax(self, x: Array, allowed: Array) -> Array:
        """Return the softmax over the last axis, with 0 where `allowed` is False."""
        ...

    def gelu(self, x: Array) -> Array:
        """Return the GELU of x, by tanh."""
        ...

    def normalize(self, x: Array) -> Array:
        """Return x at length 1 over its last axis."""
        ...

    def dropout(self, x: Array) -> Array:
        """Return x with some of it dropped in training."""
        ...


def encode(
    ops: Operations, params: Mapping[str, Array], heads: int, vectors: Array, distance: Array, last: Array | None = None
) -> Array:
    """Return the states h (b, l, d) of length 1 after each event of b sequences of item vectors (b, l, d), oldest first.

        x_0 = sqrt(d) v
        y = norm(x_l)
        x' = x_l + O softmax(Q(y) K(y)^T / sqrt(d / heads) + bias[t - s]) V(y)      over events s up to t, in heads
        x_l+1 = x' + W2 gelu(W1 norm(x'))
        h = norm(x_L) / |norm(x_L)|

    params: name -> array, those of block n as "blocks.n.NAME". distance (l, l): t - s of each two events. last (b,) int64:
    position of the last event of each sequence; then only its state is returned, (b, 1, d), and the last block computes
    nothing else.
    """
    x = ops.dropout(vectors * vectors.shape[2] ** 0.5)
    blocks = sum(1 for name in params if name.endswith(".out.weight"))
    for number in range(blocks):
        prefix = f"blocks.{number}."
        block = {name.removeprefix(prefix): value for name, value in params.items() if name.startswith(prefix)}
        x = _block(ops, block, heads, x, distance, last if number == blocks - 1 else None)
    if last is not None and not blocks:
        x = x[np.arange(len(x)), last][:, None]
    return ops.normalize(ops.layer_norm(x, params["norm.weight"], params["norm.bias"]))


def _block(ops: Operations, block: Mapping[str, Array], heads: int, x: Array, distance: Array, last: Array | None) -> Array:
    """Return what one block makes of its input.

    x (b, l, d) -> (b, l, d), or (b, 1, d) at the positions `last`."""
    batch, _, dims = x.shape
    y = ops.layer_norm(x, block["norm1.weight"], block["norm1.bias"])
    weight, bias = block["qkv.weight"], block["qkv.bias"]
    keys_values = _split(ops.linear(y, weight[dims:], bias[dims:]), 2 * heads)  # (b, 2 heads, l, d / heads)
    distance = distance[None]
    if last is not None:
        rows = np.arange(batch)
        x, y, distance = x[rows, last][:, None], y[rows, last][:, None], distance[0, last][:, None]
    queries = _split(ops.linear(y, weight[:dims], bias[:dims]), heads)
    logits = queries @ keys_values[:, :heads].swapaxes(2, 3) * (dims // heads) ** -0.5
    logits = logits + block["distance"][:, distance.clip(min=0)].swapaxes(0, 1)
    attention = ops.dropout(ops.softmax(logits, (distance >= 0)[:, None]))
    attended = (attention @ keys_values[:, heads:]).swapaxes(1, 2).reshape(batch, -1, dims)
    x = x + ops.dropout(ops.linear(attended, block["out.weight"], block["out.bias"]))
    inner = ops.layer_norm(x, block["norm2.weight"], block["norm2.bias"])
    inner = ops.dropout(ops.gelu(ops.linear(inner, block["wide.weight"], block["wide.bias"])))
    return x + ops.dropout(ops.linear(inner, block["narrow.weight"], block["narrow.bias"]))


def _split(rows: Array, heads: int) -> Array:
    """Split (b, l, heads * k) into heads: (b, heads, l, k)."""
    batch, length, width = rows.shape
    return rows.reshape(batch, length, heads, width // heads).swapaxes(1, 2)


class NumpyOperations:
    """`Operations` in numpy, float32, without dropout."""

    def linear(self, x: Array, weight: Array, bias: Array) -> Array:
        """Return x W^T + b."""
        return x @ weight.T + bias

    def layer_norm(self, x: Array, weight: Array, bias: Array) -> Array:
        """Return the layer norm (Ba et al. 2016)."""
        centred = x - x.mean(axis=-1, keepdims=True)
        return centred / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + np.float32(_EPSILON)) * weight + bias

    def softmax(self, x: Array, allowed: Array) -> Array:
        """Return the softmax."""
        x = np.where(allowed, x, np.float32(-np.inf))
        odds = np.exp(x - x.max(axis=-1, keepdims=True))
        return odds / odds.sum(axis=-1, keepdims=True)

    def gelu(self, x: Array) -> Array:
        """Return the GELU."""
        inner = np.tanh(np.float32(0.7978845608) * (x + np.float32(0.044715) * x * x * x))
        return np.float32(0.5) * x * (np.float32(1.0) + inner)

    def normalize(self, x: Array) -> Array:
        """Return x at length 1."""
        return x / np.maximum(np.linalg.norm(x, axis=-1, keepdims=True), 1e-12)

    def dropout(self, x: Array) -> Array:
        """Return x."""
        return x


def sequence_states(
    params: Mapping[str, NDArray[Any]], heads: int, vectors: NDArray[np.float32], sequences: Sequence[NDArray[np.int64]]
) -> NDArray[np.float32]:
    """Return the state (b, d) float32 after the last event of each of b sequences of item_idx, none empty.

    vectors (n_items, d) float32: of the items.
    """
    item_idx, lengths = padded(sequences)
    order = np.arange(item_idx.shape[1])
    found = encode(NumpyOperations(), params, heads, vectors[item_idx], order[:, None] - order, lengths - 1)
    return np.asarray(found[:, 0], np.float32)


def padded(sequences: Sequence[NDArray[np.int64]]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return item_idx (b, l) int64 with 0 after the end of each of the b sequences, and their lengths (b,) int64."""
    lengths = np.array([len(one) for one in sequences], np.int64)
    item_idx = np.zeros((len(sequences), int(lengths.max(initial=0))), np.int64)
    item_idx[np.arange(item_idx.shape[1]) < lengths[:, None]] = np.concatenate([np.zeros(0, np.int64), *sequences])
    return item_idx, lengths
