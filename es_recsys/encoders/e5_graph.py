"""The network of multilingual-e5-small as an ONNX graph whose matrices stay in 4 bits: a BERT and its mean over tokens.

onnxruntime multiplies by the 4 bits themselves, which takes half of the time of a search's query and of the file that 32 bits
take. The operators of the domain com.microsoft are onnxruntime's own.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from es_recsys.encoders.e5_weights import BLOCK, E5Weights, Matrix
from es_recsys.errors import MissingExtra

if TYPE_CHECKING:
    from onnx import NodeProto, TensorProto

__all__ = ["write_graph"]

_OPSET, _IR_VERSION = 18, 9
_INT32, _FLOAT, _INT64 = 6, 1, 7
# onnxruntime may round activations to one byte, each block by itself, so that a text's vector doesn't hang on its neighbours.
_ONE_BYTE = 4


def write_graph(weights: E5Weights, path: Path) -> None:
    """Write the graph: `input_ids` and `attention_mask`, each (b, l) int64, to `vectors` (b, d) float32 of length 1.

    Raises MissingExtra.
    """
    try:
        import onnx
    except ImportError:
        raise MissingExtra("onnx", "multilingual") from None
    graph = _Graph()
    hidden = _embeddings(graph, weights)
    for layer in range(weights.layers):
        hidden = _layer(graph, weights, f"l{layer}", hidden)
    _pooled(graph, hidden)
    ids, mask = (onnx.helper.make_tensor_value_info(name, _INT64, ["b", "l"]) for name in ("input_ids", "attention_mask"))
    vectors = onnx.helper.make_tensor_value_info("vectors", _FLOAT, ["b", weights.width])
    made = onnx.helper.make_graph(graph.nodes, "multilingual-e5-small", [ids, mask], [vectors], graph.constants)
    opsets = [onnx.helper.make_opsetid("", _OPSET), onnx.helper.make_opsetid("com.microsoft", 1)]
    onnx.save(onnx.helper.make_model(made, opset_imports=opsets, ir_version=_IR_VERSION), path)


class _Graph:
    """The nodes and constants of a graph as it grows."""

    def __init__(self) -> None:
        self.nodes: list[NodeProto] = []
        self.constants: list[TensorProto] = []

    def constant(self, name: str, values: Any, kind: Any = np.float32) -> str:
        from onnx import numpy_helper

        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(values, dtype=kind), name))
        return name

    def node(self, operator: str, inputs: list[str], name: str, domain: str = "", **settings: Any) -> str:
        """Add an operator; return its output, which has the name."""
        from onnx import helper

        self.nodes.append(helper.make_node(operator, inputs, [name], domain=domain, **settings))
        return name

    def own(self, operator: str, inputs: list[str], name: str, **settings: Any) -> str:
        """Add an operator of onnxruntime's own."""
        return self.node(operator, inputs, name, "com.microsoft", **settings)

    def product(self, inputs: str, matrix: Matrix, name: str) -> str:
        """Add `inputs` @ matrix.T; the operator has neighbouring weights in a byte."""
        rows, columns = matrix.codes.shape
        pairs = matrix.codes.reshape(rows, columns // BLOCK, BLOCK // 2, 2)
        codes = self.constant(f"{name}.codes", pairs[..., 0] | pairs[..., 1] << 4, np.uint8)
        scales = self.constant(f"{name}.scales", matrix.scales.reshape(-1))
        shape = {"K": columns, "N": rows, "bits": 4, "block_size": BLOCK, "accuracy_level": _ONE_BYTE}
        return self.own("MatMulNBits", [inputs, codes, scales], name, **shape)


def _embeddings(graph: _Graph, weights: E5Weights) -> str:
    """Add the sum of the embeddings of token, position and the one type of text, normalised."""
    matrix, width = weights.matrices["emb.word"], weights.width
    blocks = matrix.codes.reshape(len(matrix.codes), width // BLOCK, BLOCK)
    halves = blocks[..., : BLOCK // 2] | blocks[..., BLOCK // 2 :] << 4
    looked_up = graph.node("Gather", [graph.constant("words", halves, np.uint8), "input_ids"], "word.halves")
    low = graph.node("BitwiseAnd", [looked_up, graph.constant("low", 15, np.uint8)], "word.low")
    high = graph.node("BitShift", [looked_up, graph.constant("half", 4, np.uint8)], "word.high", direction="RIGHT")
    codes = graph.node("Cast", [graph.node("Concat", [low, high], "word.codes", axis=-1)], "word.numbers", to=_FLOAT)
    centred = graph.node("Sub", [codes, graph.constant("eight", 8.0)], "word.centred")
    scales = graph.constant("words.scales", matrix.scales[..., None], np.float16)
    scale = graph.node("Cast", [graph.node("Gather", [scales, "input_ids"], "word.scales")], "word.scale", to=_FLOAT)
    shape = graph.constant("shape", [0, 0, width], np.int64)
    words = graph.node("Reshape", [graph.node("Mul", [centred, scale], "word.blocks"), shape], "word")
    types = weights.vectors["emb.type"].reshape(-1, width)
    positions = graph.constant("positions", weights.vectors["emb.pos"] + types[0])
    zero = graph.constant("zero", [0], np.int64)
    length = graph.node("Shape", ["input_ids"], "length", start=1, end=2)
    there = graph.node("Slice", [positions, zero, length, zero], "position")
    norm = [graph.constant(name, weights.vectors[name]) for name in ("emb.ln.w", "emb.ln.b")]
    graph.node("Cast", ["attention_mask"], "mask", to=_INT32)
    total = graph.node("Add", [words, there], "embedding")
    return graph.node("LayerNormalization", [total, *norm], "embedded", axis=-1, epsilon=weights.epsilon)


def _layer(graph: _Graph, weights: E5Weights, layer: str, hidden: str) -> str:
    def product(inputs: str, part: str) -> str:
        return graph.product(inputs, weights.matrices[f"{layer}.{part}.w"], f"{layer}.{part}")

    def vector(part: str) -> str:
        return graph.constant(f"{layer}.{part}", weights.vectors[f"{layer}.{part}"])

    def added(output: str, part: str, norm: str, name: str) -> str:
        rest = [vector(f"{norm}.w"), vector(f"{norm}.b"), vector(f"{part}.b")]
        return graph.own("SkipLayerNormalization", [output, hidden, *rest], f"{layer}.{name}", epsilon=weights.epsilon)

    biases = np.concatenate([weights.vectors[f"{layer}.{part}.b"] for part in "qkv"])
    inputs = [*(product(hidden, part) for part in "qkv"), graph.constant(f"{layer}.biases", biases), "mask"]
    attended = graph.own("MultiHeadAttention", inputs, f"{layer}.attended", num_heads=weights.heads)
    hidden = added(product(attended, "ao"), "ao", "aln", "attention")
    wide = graph.own("BiasGelu", [product(hidden, "fi"), vector("fi.b")], f"{layer}.wide")
    return added(product(wide, "fo"), "fo", "oln", "output")


def _pooled(graph: _Graph, hidden: str) -> None:
    """Add the mean over the real tokens, brought to length 1."""
    real = graph.node("Cast", ["attention_mask"], "real", to=_FLOAT)
    weight = graph.node("Unsqueeze", [real, graph.constant("last", [2], np.int64)], "weight")
    kept = graph.node("Mul", [hidden, weight], "kept")
    total = graph.node("ReduceSum", [kept, graph.constant("tokens", [1], np.int64)], "total", keepdims=0)
    graph.node("LpNormalization", [total], "vectors", axis=-1, p=2)
