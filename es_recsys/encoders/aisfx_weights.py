"""The network of the package aisfx: its file of weights, read without running anything in it, as an ONNX graph.

Four blocks of two 3 x 3 convolutions (VGG, Simonyan and Zisserman 2015), with batch normalisation, 64 to 512 channels wide; the
first three end by the largest of 2 x 2. What is left is averaged over the bands, and of its moments the largest is taken.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from es_recsys.encoders.base import l2_normalize
from es_recsys.encoders.onnx_model import OnnxSession, vectors_agree
from es_recsys.errors import EncodingError, MissingExtra

if TYPE_CHECKING:
    import torch

__all__ = ["write_graph"]

_BLOCKS = 4
_EXTRA = "text"
"""Has torch, onnx and onnxruntime."""


def write_graph(path: Path, into: Path, frames: int, bands: int) -> int:
    """Write the graph: `blocks` (b, frames, bands) to (b, d) float32, checked against torch; return d.

    Raises EncodingError where the weights are others, or the two forms differ; MissingExtra.
    """
    try:
        import onnx  # noqa: F401  torch's exporter writes with it
        import torch
    except ImportError as error:
        raise MissingExtra(error.name or "torch", _EXTRA) from None

    class Network(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = _layers(_read(path))

        def forward(self, blocks: Any) -> Any:
            return self.layers(blocks[:, None]).mean(dim=3).amax(dim=2)

    network = Network().eval()
    examples = np.random.default_rng(7).uniform(0, 1, (3, frames, bands)).astype(np.float32)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network,
            (torch.from_numpy(examples),),
            str(into),
            input_names=["blocks"],
            output_names=["vectors"],
            dynamic_axes={"blocks": {0: "b"}, "vectors": {0: "b"}},
            opset_version=17,
            dynamo=False,
        )
        expected = network(torch.from_numpy(examples)).numpy()
    if not vectors_agree(l2_normalize(OnnxSession(into).run({"blocks": examples})), l2_normalize(expected)):
        raise EncodingError("The ONNX form of aisfx gives other vectors than torch.", "Install torch and onnx again.")
    return int(expected.shape[1])


def _read(path: Path) -> Mapping[str, torch.Tensor]:
    """Return name -> tensor. Beside them the file has numbers of classes, as numpy's scalars, which are not used."""
    import torch

    # The file names numpy's maker of scalars as it was called before numpy 2.
    scalar: Any = (np.int64(0).__reduce__()[0], "numpy.core.multiarray.scalar")
    try:
        with torch.serialization.safe_globals([scalar, np.dtype, type(np.dtype(np.int64))]):
            return dict(torch.load(path, map_location="cpu", weights_only=True)[0])
    except Exception as error:
        raise EncodingError(
            f"The weights {path} can't be read ({type(error).__name__}).", "Install the package aisfx again."
        ) from error


def _layers(weights: Mapping[str, torch.Tensor]) -> torch.nn.Sequential:
    import torch

    layers: list[torch.nn.Module] = []
    for block in range(1, _BLOCKS + 1):
        for part in (1, 2):
            name = f"embedding_net.conv_block{block}"
            kernel = weights[f"{name}.conv{part}.weight"]
            convolution = torch.nn.Conv2d(kernel.shape[1], kernel.shape[0], 3, padding=1, bias=False)
            convolution.load_state_dict({"weight": kernel})
            norm = torch.nn.BatchNorm2d(kernel.shape[0])
            norm.load_state_dict({key: weights[f"{name}.bn{part}.{key}"] for key in norm.state_dict()})
            layers += [convolution, norm, torch.nn.ReLU()]
        if block < _BLOCKS:
            layers.append(torch.nn.MaxPool2d(2))
    return torch.nn.Sequential(*layers)
