"""Finding and loading open_clip models: by tag or from files, weights-only, never random, never waiting for a network."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from es_recsys.encoders.fingerprints import fingerprint
from es_recsys.errors import InputError, MissingExtra, ModelError

if TYPE_CHECKING:
    import torch

__all__ = ["ClipModel", "ClipSource", "load_clip"]

_PREFIX = "open_clip:"
_LOCAL = "local-dir:"
_HUB = "hf-hub:"
_CONFIG = "open_clip_config.json"
_WEIGHTS = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")
_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class ClipModel:
    """A loaded model: `preprocess` takes an RGB picture, `tokenizer` texts."""

    model: Any
    preprocess: Callable[[Any], torch.Tensor]
    tokenizer: Callable[[Sequence[str]], torch.Tensor]
    fingerprint: str
    dims: int


@dataclass(frozen=True, slots=True)
class ClipSource:
    """name: as the settings have it. model: open_clip's name. weights: tag or checkpoint; None where `model` says it all."""

    name: str
    model: str
    weights: str | None

    @classmethod
    def parse(cls, name: str) -> ClipSource:
        """Parse a name of the settings. Raises InputError where it doesn't say where the weights are."""
        rest = name.removeprefix(_PREFIX)
        for schema in (_LOCAL, _HUB):
            if rest.startswith(schema) and len(rest) > len(schema):
                return cls(name, rest, None)
        # A path has slashes too, so the sign of a checkpoint is looked for first.
        model, _, weights = rest.partition("@" if "@" in rest else "/")
        if not model or not weights:
            raise InputError(
                f'The image model "{name}" does not say where its weights are.',
                'Write "open_clip:MODEL/PRETRAINED", "open_clip:MODEL@CHECKPOINT" or "open_clip:local-dir:FOLDER".',
            )
        return cls(name, model, weights)


def load_clip(source: ClipSource, threads: int = 0) -> ClipModel:
    """Load the model in fp32 on the CPU. Raises ModelError where it can't be had or loaded, MissingExtra."""
    try:
        import open_clip
        import torch
    except ImportError as error:
        raise MissingExtra(error.name or "open-clip-torch", "image") from None
    if threads:
        torch.set_num_threads(threads)
    with _without_logging():
        try:
            _register_config(source)
            model_name, options = _open_clip_arguments(source)
            # Without require_pretrained a folder without weights gives a random model, and says nothing.
            model, _, preprocess = open_clip.create_model_and_transforms(
                model_name, require_pretrained=True, weights_only=True, precision="fp32", device="cpu", **options
            )
            tokenizer = open_clip.get_tokenizer(model_name)
        except ModelError:
            raise
        except Exception as error:
            raise _error(source, f"{type(error).__name__}: {str(error)[:300]}") from error
    model.eval()
    with torch.inference_mode():
        dims = int(model.encode_text(tokenizer(["a"])).shape[1])
    return ClipModel(model, preprocess, tokenizer, _fingerprint(model, model_name, options), dims)


def _error(source: ClipSource, reason: str) -> ModelError:
    return ModelError(
        f'The image model "{source.name}" can\'t be loaded ({reason}).',
        "Check its name and the path of its weights; without a network give a checkpoint (MODEL@FILE) or fill the hub's cache.",
    )


def _register_config(source: ClipSource) -> None:
    import open_clip

    if source.weights is not None and source.model not in open_clip.list_models():
        beside = Path(source.weights).with_name(f"{source.model}.json")
        if beside.is_file():
            open_clip.add_model_config(beside)


def _open_clip_arguments(source: ClipSource) -> tuple[str, dict[str, Any]]:
    """Return open_clip's model name and its other arguments.

    What is in the hub's cache becomes a path, so that nothing is asked.
    """
    import open_clip

    if source.model.startswith(_HUB):
        config = _cached_file(source, source.model.removeprefix(_HUB), (_CONFIG,))
        return (source.model if config is None else f"{_LOCAL}{Path(config).parent}"), {}
    if source.weights is None:
        return source.model, {}
    tag: dict[str, Any] = open_clip.get_pretrained_cfg(source.model, source.weights) or {}
    options: dict[str, Any] = {"pretrained": source.weights}
    if tag.get("quick_gelu"):
        options["force_quick_gelu"] = True  # The weights were trained with it; without, open_clip only warns.
    model_id, _, file = str(tag.get("hf_hub") or "").rpartition("/")
    weights = _cached_file(source, model_id, (file,) if file else _WEIGHTS) if model_id else None
    if weights is not None:
        names = {
            "mean": "image_mean",
            "std": "image_std",
            "interpolation": "image_interpolation",
            "resize_mode": "image_resize_mode",
        }
        options["pretrained"] = weights
        options.update({ours: tag[theirs] for theirs, ours in names.items() if theirs in tag})
    return source.model, options


def _cached_file(source: ClipSource, model_id: str, files: Sequence[str]) -> str | None:
    """Return a file in the hub's cache; None where it isn't there and the hub answers. Raises ModelError where it doesn't.

    The hub's client tries again for most of a minute when there is no network, so it is asked once with a limit first.
    """
    import huggingface_hub

    for file in files:
        path = huggingface_hub.try_to_load_from_cache(model_id, file)
        if isinstance(path, str):
            return path
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "TRUE", "YES", "ON"}:
        raise _error(source, "it is not in the hub's cache, and HF_HUB_OFFLINE is set")
    try:
        huggingface_hub.HfApi().model_info(model_id, timeout=_TIMEOUT_S)
    except Exception as error:
        raise _error(source, f"the hub can't be reached or doesn't have it: {type(error).__name__}") from error
    return None


def _fingerprint(model: Any, model_name: str, options: dict[str, Any]) -> str:
    """Return a fingerprint of weights, architecture and preprocessing.

    The same model has one fingerprint, whichever file it comes from.
    """
    import open_clip

    digest = hashlib.sha256()
    for key, value in sorted(model.state_dict().items()):
        array = value.detach().contiguous().numpy()
        digest.update(f"{key} {array.dtype} {array.shape};".encode())
        digest.update(memoryview(array.reshape(-1)).cast("B"))
    if model_name.startswith(_LOCAL):
        config = json.loads((Path(model_name.removeprefix(_LOCAL)) / _CONFIG).read_bytes()).get("model_cfg")
    else:
        config = open_clip.get_model_config(model_name)
    preprocessing = json.loads(json.dumps(getattr(model.visual, "preprocess_cfg", None), default=str))
    return fingerprint(
        {
            "weights": digest.hexdigest(),
            "config": {"quick_gelu": bool(options.get("force_quick_gelu")), **(config or {})},
            "preprocessing": preprocessing,
            "precision": "fp32",
        }.items()
    )


@contextmanager
def _without_logging() -> Iterator[None]:
    """Keep open_clip from setting up logging for the whole process, as it logs by the root logger's functions."""
    root, silent = logging.getLogger(), logging.NullHandler()
    root.addHandler(silent)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        root.removeHandler(silent)
