"""Sounds and words in one space: any CLAP model of transformers, from a folder.

Wu et al. 2023, "Large-scale contrastive language-audio pretraining with feature fusion and keyword-to-caption augmentation".
"""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from es_recsys.encoders.audio_loading import MAX_WINDOWS, WINDOW_S, load_windows
from es_recsys.encoders.base import l2_normalize, require_unit_vectors
from es_recsys.encoders.fingerprints import DigestCache, fingerprint
from es_recsys.encoders.read_ahead import encode_readable
from es_recsys.encoders.text_batches import encode_in_batches
from es_recsys.encoders.text_model_files import text_fingerprint
from es_recsys.encoders.transformers_logging import without_logging
from es_recsys.errors import InputError, MissingExtra, ModelError

if TYPE_CHECKING:
    import torch

__all__ = ["PREFIX", "ClapEncoder"]

PREFIX = "clap:"
_LOCAL = f"{PREFIX}local-dir:"
_FOR_SOUNDS = "preprocessor_config.json"
_EXTRA = "text"
"""Has torch and transformers."""
_MAX_BATCH = 8


@dataclass(frozen=True, slots=True)
class _Loaded:
    """A model with what prepares its sounds and its texts. length: tokens of a text that are read."""

    model: Any
    extractor: Any
    tokenizer: Any
    length: int


class ClapEncoder:
    """A CLAP model on torch, loaded by the first use of its vectors or `dims`.

    name: "clap:local-dir:FOLDER", a folder as transformers' `save_pretrained` writes it: config.json, preprocessor_config.json,
    the tokenizer, and weights in safetensors. Nothing is downloaded, and no program of the folder is run. Raises InputError for
    another form of name, ModelError where the folder is none of a CLAP model.
    """

    content = "audio"
    field = "audio_vector"
    accepts = frozenset({"audio", "text"})

    def __init__(
        self, name: str, digests: DigestCache, *, threads: int = 0, batch_size: int = 64, max_seconds: float = 1_800.0
    ) -> None:
        if not name.startswith(_LOCAL) or name == _LOCAL:
            raise InputError(f'The audio model "{name}" does not say where its weights are.', f'Write "{_LOCAL}FOLDER".')
        self.name = name
        self.batch_size = batch_size
        self._folder = Path(name.removeprefix(_LOCAL)).expanduser()
        self._threads = threads
        self._max_seconds = max_seconds
        self._lock = threading.Lock()
        self._kept: _Loaded | None = None
        self.fingerprint = _fingerprint(name, self._folder, digests)

    @property
    def dims(self) -> int:
        return int(self._load().model.config.projection_dim)

    def encode(self, batch: Sequence[Path | bytes]) -> NDArray[np.float32]:
        """Return (n, d) float32 unit vectors of sounds. Raises PartialEncodingError with those of the readable ones."""
        loaded = self._load()
        read, run = partial(_read, loaded, self._max_seconds), partial(_encode_sounds, loaded)
        vectors = encode_readable(batch, read, run, self.dims, min(self.batch_size, _MAX_BATCH))
        return require_unit_vectors(vectors, len(batch), self.dims, self.name)

    def encode_text(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return (n, d) float32 unit vectors of texts, in the space of the sounds."""
        loaded = self._load()
        vectors = encode_in_batches(texts, min(self.batch_size, _MAX_BATCH), self.dims, partial(_encode_texts, loaded))
        return require_unit_vectors(vectors, len(texts), self.dims, self.name)

    def _load(self) -> _Loaded:
        with self._lock:
            if self._kept is None:
                self._kept = _load_clap(self.name, self._folder, self._threads)
            return self._kept


def _error(name: str, reason: str) -> ModelError:
    return ModelError(
        f'The audio model "{name}" can\'t be loaded ({reason}).',
        "Give the folder of a CLAP model with its weights in safetensors, as transformers' save_pretrained writes it.",
    )


def _fingerprint(name: str, folder: Path, digests: DigestCache) -> str:
    """Return fingerprint of weights, shape, tokenizer, and how sounds are prepared. A copy elsewhere has the same one."""
    try:
        kind = json.loads((folder / "config.json").read_bytes()).get("model_type")
        prepared = json.loads((folder / _FOR_SOUNDS).read_bytes())
    except (OSError, ValueError, AttributeError) as error:
        raise _error(name, f"its config.json or {_FOR_SOUNDS} can't be read: {type(error).__name__}") from error
    if kind != "clap":
        raise _error(name, f"its config.json tells of a model of the kind {kind!r}")
    if not any(folder.glob("*.safetensors")):
        raise _error(name, "it has no weights in safetensors")
    parts = {"model": text_fingerprint(folder, digests), "sounds": prepared, "windows": [WINDOW_S, MAX_WINDOWS]}
    return fingerprint(parts.items())


def _load_clap(name: str, folder: Path, threads: int) -> _Loaded:
    """Load the model in fp32 on the CPU. Raises ModelError, MissingExtra."""
    try:
        import torch
        from transformers import AutoTokenizer, ClapFeatureExtractor, ClapModel
    except ImportError as error:
        raise MissingExtra(error.name or "transformers", _EXTRA) from None
    if threads:
        torch.set_num_threads(threads)
    try:
        with without_logging():
            loaded: Any = ClapModel.from_pretrained(folder, local_files_only=True, use_safetensors=True, output_loading_info=True)
            extractor = ClapFeatureExtractor.from_pretrained(folder, local_files_only=True)
            tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except Exception as error:
        raise _error(name, f"{type(error).__name__}: {str(error)[:300]}") from error
    model, report = loaded
    if report["missing_keys"]:
        # transformers makes them up by chance, and only warns.
        raise _error(name, f"its weights lack {', '.join(sorted(report['missing_keys'])[:3])}")
    model.float().eval()
    # The first positions of its text model are for padding.
    length = model.config.text_config.max_position_embeddings - model.config.text_config.pad_token_id - 1
    return _Loaded(model, extractor, tokenizer, length)


def _read(loaded: _Loaded, max_seconds: float, content: Path | bytes) -> torch.Tensor:
    """Return what the model sees of each window, (windows, channels, frames, bands)."""
    extractor = loaded.extractor
    windows = load_windows(content, extractor.sampling_rate, max_seconds)
    # It takes a random part of what is longer than the model reads, so that is cut here.
    size = int(extractor.nb_max_samples)
    parts = [window[start : start + size] for window in windows for start in range(0, len(window), size)]
    prepared = extractor(parts, sampling_rate=extractor.sampling_rate, return_tensors="pt")
    features: torch.Tensor = prepared["input_features"].float()
    return features


def _encode_sounds(loaded: _Loaded, sounds: Sequence[Any]) -> NDArray[np.float32]:
    import torch

    with torch.inference_mode():
        # None is longer than the model reads; the extractor would call one so by chance.
        found = [
            loaded.model.get_audio_features(input_features=part, is_longer=torch.zeros(len(part), 1, dtype=torch.bool))
            for sound in sounds
            for part in sound.split(_MAX_BATCH)
        ]
    each = np.split(np.concatenate([_features(one) for one in found]), np.cumsum([len(sound) for sound in sounds])[:-1])
    return l2_normalize(np.stack([l2_normalize(windows).mean(axis=0) for windows in each]))


def _encode_texts(loaded: _Loaded, texts: Sequence[str]) -> NDArray[np.float32]:
    import torch

    tokens = loaded.tokenizer(texts, padding=True, truncation=True, max_length=loaded.length, return_tensors="pt")
    with torch.inference_mode():
        found = loaded.model.get_text_features(input_ids=tokens["input_ids"], attention_mask=tokens["attention_mask"])
    return l2_normalize(_features(found))


def _features(found: Any) -> NDArray[np.float32]:
    """Return (n, d): transformers 5 gives an output with them, earlier ones the tensor itself."""
    return np.asarray(getattr(found, "pooler_output", found).numpy(), np.float32)
