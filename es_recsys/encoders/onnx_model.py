"""Models as ONNX: made once from torch, kept by fingerprint, run without torch."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from es_recsys.errors import EncodingError, MissingExtra, SetupError

__all__ = ["FORMAT", "OnnxSession", "cached_export", "vectors_agree"]

FORMAT = 1
"""Part of the folder's name; raised when what lies in an export changes."""

_MIN_COSINE = 0.999


class OnnxSession:
    """An ONNX graph on onnxruntime's CPU provider; safe to call from several threads."""

    def __init__(self, path: Path, threads: int = 0) -> None:
        try:
            import onnxruntime
        except ImportError:
            raise MissingExtra("onnxruntime", "text") from None
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        # Spinning threads would take the processor from an Elasticsearch on the same machine between two queries.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:
            raise EncodingError(
                f"The model {path} can't be loaded ({type(error).__name__}).", "Delete its folder; it is made again."
            ) from error
        self.inputs = tuple(one.name for one in self._session.get_inputs())

    def run(self, feed: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
        """Return the graph's first output."""
        try:
            return np.asarray(self._session.run(None, {name: feed[name] for name in self.inputs})[0])
        except Exception as error:
            raise EncodingError(
                f"The model failed on a batch ({type(error).__name__}).", "Try a smaller encoders.batch_size."
            ) from error


def cached_export(cache: Path, fingerprint: str, make: Callable[[Path], Mapping[str, Any]]) -> tuple[Path, dict[str, Any]]:
    """Return folder of the export of this fingerprint and its manifest. `make(folder)` fills a folder and gives the manifest.

    The folder appears whole or not at all; where two processes make it at once, the first one stays.
    Raises SetupError where the cache can't be written, and what `make` raises.
    """
    folder = cache / "onnx" / f"{fingerprint}-{FORMAT}"
    try:
        return folder, json.loads((folder / "manifest.json").read_bytes())
    except (OSError, ValueError):
        pass
    draft = folder.with_name(f".{folder.name}.{os.getpid()}.{secrets.token_hex(4)}")
    _remove_stale_drafts(folder)
    try:
        draft.mkdir(parents=True)
        manifest = dict(make(draft))
        (draft / "manifest.json").write_text(json.dumps(manifest))
        try:
            draft.rename(folder)
        except OSError:
            if not (folder / "manifest.json").is_file():
                shutil.rmtree(folder, ignore_errors=True)
                draft.rename(folder)
    except OSError as error:
        raise SetupError(
            f"The model cache {folder.parent} can't be written ({error.strerror}).",
            "Free some space or make it writable, or set ES_RECSYS_CACHE to another folder.",
        ) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return folder, manifest


def _remove_stale_drafts(folder: Path) -> None:
    """Remove drafts that a kill has left; one being made now is younger than an hour."""
    for draft in folder.parent.glob(f".{folder.name}.*"):
        with suppress(OSError):
            if time.time() - draft.stat().st_mtime > 3_600:
                shutil.rmtree(draft, ignore_errors=True)


def vectors_agree(left: NDArray[np.float32], right: NDArray[np.float32]) -> bool:
    """Return whether (n, d) unit vectors of the same contents by two forms of a model agree: cosine >= .999 on every row."""
    return bool((np.einsum("ij,ij->i", left, right) >= _MIN_COSINE).all())
