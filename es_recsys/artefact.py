"""Trained models as folders: `manifest.json` and one `.npy` an array, memory-mapped when loaded; never a pickle."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from es_recsys.errors import ModelError
from es_recsys.private import FILE, FOLDER, make_folder

__all__ = ["REMEDY", "Artefact", "described", "fingerprint", "load", "save", "written_at"]

FORMAT = 1
REMEDY = "Train again with `es-recsys train`."


@dataclass(frozen=True, slots=True, eq=False)
class Artefact:
    """Trained model as it is stored.

    model: its name. params: JSON values. arrays: name -> read-only memory map. fingerprint: see `fingerprint`. layout:
    which one of the model's own, counted up where its arrays come to mean something else.
    """

    model: str
    params: Mapping[str, Any]
    arrays: Mapping[str, NDArray[Any]]
    fingerprint: str
    layout: int = 1


def fingerprint(model: str, params: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> str:
    """Return SHA-256 over name, parameters and the arrays' bytes, first 16 hex digits: two trainings differ in it."""
    digest = hashlib.sha256(json.dumps([FORMAT, model, params], sort_keys=True).encode())
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
        digest.update(array.view(np.uint8).data if array.size else b"")
    return digest.hexdigest()[:16]


def save(folder: Path, model: str, params: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]], layout: int = 1) -> None:
    """Write the folder beside its final place and rename it, so that a reader sees the whole of it or nothing.

    A folder of that name is replaced; who has it mapped keeps the old one. Raises ModelError where it can't be written.
    """
    folder = Path(folder)
    manifest = {
        "format": FORMAT,
        "model": model,
        "layout": layout,
        "params": dict(params),
        "arrays": {name: {"dtype": a.dtype.str, "shape": list(a.shape)} for name, a in sorted(arrays.items())},
        "fingerprint": fingerprint(model, params, arrays),
    }
    try:
        make_folder(folder.parent)
        draft = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
        try:
            for name, array in arrays.items():
                np.save(draft / f"{name}.npy", np.asarray(array, order="C"), allow_pickle=False)
            (draft / "manifest.json").write_text(json.dumps(manifest, indent=1, sort_keys=True) + "\n", encoding="utf-8")
            for file in draft.iterdir():
                file.chmod(FILE)
            draft.chmod(FOLDER)
            _swap(draft, folder)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    except OSError as error:
        raise ModelError(
            f"The model {model} can't be written to {folder} ({error.strerror}).", "Make room or the folder writable."
        ) from error


def load(folder: Path, *models: str) -> Artefact:
    """Load the folder that `save` wrote.

    models: names that the model may have (none: any).

    Raises ModelError that names the file, where one is missing, cut short, altered in shape, or would need a pickle.
    """
    path = Path(folder) / "manifest.json"
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        name, params, mark = (manifest[key] for key in ("model", "params", "fingerprint"))
        shapes = {str(array): (one["dtype"], one["shape"]) for array, one in manifest["arrays"].items()}
        known = manifest["format"] == FORMAT
        layout = int(manifest.get("layout", 1))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"There is no readable model in {folder} (manifest.json: {type(error).__name__}).", REMEDY) from error
    if not known:
        raise ModelError(f"The model in {folder} has format {manifest['format']!r}; this version reads {FORMAT}.", REMEDY)
    if models and name not in models:
        raise ModelError(f"The model in {folder} is {name!r}, not {models[0]!r}.", REMEDY)
    arrays = {array: _map(Path(folder) / f"{array}.npy", *expected) for array, expected in shapes.items()}
    return Artefact(name, params, arrays, mark, layout)


def written_at(folder: Path) -> float:
    """Return when the folder was written, epoch seconds; 0 where there is none."""
    try:
        return (Path(folder) / "manifest.json").stat().st_mtime
    except OSError:
        return 0.0


@contextmanager
def described(folder: Path) -> Iterator[None]:
    """Raise ModelError where what is made of an artefact inside doesn't find the parameters or arrays that it needs."""
    try:
        yield
    except (LookupError, TypeError, AttributeError, ValueError) as error:
        raise ModelError(
            f"The manifest.json in {folder} doesn't describe what is wanted ({type(error).__name__}).", REMEDY
        ) from error


def _map(path: Path, dtype: str, shape: list[int]) -> NDArray[Any]:
    try:
        # An empty file can't be mapped.
        array: NDArray[Any] = np.lib.format.open_memmap(path, mode="r") if 0 not in shape else np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise ModelError(f"The model file {path} can't be read ({type(error).__name__}).", REMEDY) from error
    if not isinstance(array, np.ndarray) or array.dtype.str != dtype or list(array.shape) != shape:
        raise ModelError(f"The model file {path} is not what its manifest says.", REMEDY)
    return array.view(np.ndarray)


def _swap(draft: Path, folder: Path) -> None:
    if not folder.exists():
        draft.rename(folder)
        return
    aside = folder.with_name(f".{folder.name}.old.{os.getpid()}")
    folder.rename(aside)
    draft.rename(folder)
    shutil.rmtree(aside, ignore_errors=True)
