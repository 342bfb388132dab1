"""The user tower as ONNX: made once by torch, run by onnxruntime."""

from __future__ import annotations

import io
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from es_recsys.errors import MissingExtra, ModelError
from es_recsys.models import artefact
from es_recsys.models.tower_inputs import CONTEXT, RECENCY

if TYPE_CHECKING:
    from es_recsys.models.tower_network import UserTower

__all__ = ["INPUTS", "graph_of", "session"]

INPUTS = ("vectors", "weights", "recency", "context", "segments")


def graph_of(tower: UserTower, dims: int) -> bytes:
    """The tower for any number of users and events. Inputs are `INPUTS`, outputs "user" (b, d) and "parts" (b, l, d)."""
    import torch

    shapes = ((2, 3, dims), (2, 3), (2, 3, RECENCY), (2, CONTEXT))
    example = (*(torch.ones(shape) for shape in shapes), torch.zeros(2, dtype=torch.int64))
    axes = {name: {0: "users", 1: "events"} for name in ("vectors", "weights", "recency", "parts")}
    axes |= {name: {0: "users"} for name in ("context", "segments", "user")}
    buffer = io.BytesIO()
    tower.eval()
    with warnings.catch_warnings():
        # The exporter of tracing is the one whose graphs have two free axes here, and it says that a newer one exists.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            tower,
            example,
            buffer,  # type: ignore[arg-type]
            input_names=list(INPUTS),
            output_names=["user", "parts"],
            dynamic_axes=axes,
            opset_version=17,
            dynamo=False,
        )
    return buffer.getvalue()


def session(graph: NDArray[np.uint8]) -> Any:
    """An onnxruntime session of the graph. Raises MissingExtra, ModelError for bytes that are none."""
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingExtra("onnxruntime", "train") from error
    options = onnxruntime.SessionOptions()
    # A history is little work; more threads only wait for each other, and for an Elasticsearch on the same machine.
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    try:
        made = onnxruntime.InferenceSession(graph.tobytes(), options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise ModelError(f"The graph of the user tower can't be run ({type(error).__name__}).", artefact.REMEDY) from error
    if tuple(one.name for one in made.get_inputs()) != INPUTS:
        raise ModelError("The graph of the user tower has other inputs.", artefact.REMEDY)
    return made
