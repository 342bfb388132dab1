"""The encoders that the settings name."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from es_recsys.encoders import efficientnet, minilm_int8, multilingual_e5
from es_recsys.encoders.base import Encoder
from es_recsys.encoders.fingerprints import DigestCache
from es_recsys.encoders.model_files import find_text_model
from es_recsys.encoders.onnx_model import cached_export
from es_recsys.encoders.onnx_text import OnnxTextEncoder
from es_recsys.encoders.text_model_files import model_languages, text_fingerprint
from es_recsys.errors import InputError
from es_recsys.settings import Settings

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

__all__ = ["audio_encoder", "encoders", "image_encoder", "text_encoder"]

_log = logging.getLogger(__name__)


def text_encoder(settings: Settings) -> Encoder | None:
    """Return the text encoder that `settings.encoders.text` names; None for "none".

    The first call for a model makes its ONNX form (seconds; all but multilingual-e5-small need torch); later ones need neither
    torch nor a network.
    Raises ModelError, MissingExtra, SetupError.
    """
    name = settings.encoders.text
    if name == "none":
        return None
    digests = DigestCache(settings.cache)
    if name == minilm_int8.NAME:
        model, tokenizer = minilm_int8.find_files(digests)
        fingerprint = minilm_int8.int8_fingerprint(model, tokenizer, digests)
        export, manifest = cached_export(settings.cache, fingerprint, lambda into: minilm_int8.copy_files(model, tokenizer, into))
        return _onnx_text(name, fingerprint, export, manifest, frozenset({"en"}), settings)
    if name == multilingual_e5.NAME:
        weights = multilingual_e5.find_weights(digests)
        fingerprint = multilingual_e5.e5_fingerprint(weights, digests)
        export, manifest = cached_export(settings.cache, fingerprint, lambda into: multilingual_e5.export_e5(weights, into))
        return _onnx_text(name, fingerprint, export, manifest, multilingual_e5.LANGUAGES, settings)
    folder = find_text_model(name, digests)
    return _sentence_encoder(name, folder, text_fingerprint(folder, digests), settings)


def _sentence_encoder(name: str, folder: Path, fingerprint: str, settings: Settings) -> Encoder:
    from es_recsys.encoders import text_export

    model: SentenceTransformer | None = None

    def make(into: Path) -> Mapping[str, Any]:
        nonlocal model
        model = text_export.load_sentence_transformer(folder, settings.encoders.threads)
        return text_export.export_text(model, into)

    try:
        export, manifest = cached_export(settings.cache, fingerprint, make)
    except text_export.ExportError as reason:
        from es_recsys.encoders.torch_text import TorchTextEncoder

        if model is None:
            raise
        _log.warning("The model %s runs on torch, which starts slowly: %s.", name, reason)
        size = settings.encoders.batch_size
        return TorchTextEncoder(name, fingerprint, model, languages=model_languages(folder), batch_size=size)
    return _onnx_text(name, fingerprint, export, manifest, model_languages(folder), settings)


def _onnx_text(
    name: str, fingerprint: str, export: Path, manifest: Mapping[str, Any], languages: frozenset[str], settings: Settings
) -> OnnxTextEncoder:
    chosen = settings.encoders
    return OnnxTextEncoder(
        name, fingerprint, export, manifest, languages=languages, threads=chosen.threads, batch_size=chosen.batch_size
    )


def image_encoder(settings: Settings) -> Encoder | None:
    """Return the image encoder that `settings.encoders.image` names; None for "none".

    "efficientnet-lite0" runs as ONNX and compares pictures with pictures. "open_clip:MODEL/PRETRAINED",
    "open_clip:MODEL@CHECKPOINT" and "open_clip:local-dir:FOLDER" need torch and take texts too.
    Raises ModelError, MissingExtra, SetupError; InputError for another name.
    """
    chosen = settings.encoders
    if chosen.image == "none":
        return None
    if chosen.image.startswith("open_clip:"):
        from es_recsys.encoders.clip import ClipEncoder

        return ClipEncoder(chosen.image, threads=chosen.threads, batch_size=chosen.batch_size, max_pixels=chosen.max_image_pixels)
    if chosen.image != efficientnet.NAME:
        raise InputError(
            f'No image model is named "{chosen.image}".',
            f'Take "{efficientnet.NAME}", "open_clip:MODEL/PRETRAINED", "open_clip:MODEL@CHECKPOINT", '
            '"open_clip:local-dir:FOLDER" or "none" in ES_RECSYS_ENCODERS__IMAGE.',
        )
    from es_recsys.encoders.onnx_image import OnnxImageEncoder  # Pillow: a search by words has no use for it

    digests = DigestCache(settings.cache)
    path = efficientnet.weights(digests)
    fingerprint = efficientnet.image_fingerprint(path, digests)
    export, manifest = cached_export(settings.cache, fingerprint, lambda into: efficientnet.export_efficientnet(path, into))
    return OnnxImageEncoder(
        chosen.image,
        fingerprint,
        export,
        manifest,
        threads=chosen.threads,
        batch_size=chosen.batch_size,
        max_pixels=chosen.max_image_pixels,
    )


def audio_encoder(settings: Settings) -> Encoder | None:
    """Return the audio encoder that `settings.encoders.audio` names; None for "none".

    "log-mel" needs no weights and compares sounds with sounds, as does "aisfx", a small network that runs as ONNX.
    "clap:local-dir:FOLDER" needs torch and takes texts too.
    Raises ModelError, MissingExtra, SetupError; InputError for another name.
    """
    chosen = settings.encoders
    if chosen.audio == "none":
        return None
    from es_recsys.encoders import aisfx, clap, log_mel  # scipy.signal: a search by words has no use for it
    from es_recsys.encoders.audio_loading import require_soundfile

    require_soundfile()
    batch_size, max_seconds, threads = chosen.batch_size, chosen.max_audio_seconds, chosen.threads
    digests = DigestCache(settings.cache)
    if chosen.audio == log_mel.NAME:
        return log_mel.LogMelEncoder(batch_size=batch_size, max_seconds=max_seconds)
    if chosen.audio.startswith(clap.PREFIX):
        return clap.ClapEncoder(chosen.audio, digests, threads=threads, batch_size=batch_size, max_seconds=max_seconds)
    if chosen.audio != aisfx.NAME:
        raise InputError(
            f'No audio model is named "{chosen.audio}".',
            f'Take "{log_mel.NAME}", "{aisfx.NAME}", "clap:local-dir:FOLDER" or "none" in ES_RECSYS_ENCODERS__AUDIO.',
        )
    path = aisfx.find_weights(digests)
    fingerprint = aisfx.aisfx_fingerprint(path, digests)
    export, manifest = cached_export(settings.cache, fingerprint, lambda into: aisfx.export_aisfx(path, into))
    return aisfx.AisfxEncoder(fingerprint, export, manifest, threads=threads, batch_size=batch_size, max_seconds=max_seconds)


def encoders(settings: Settings) -> tuple[Encoder, ...]:
    """Return all encoders of these settings."""
    found = (text_encoder(settings), image_encoder(settings), audio_encoder(settings))
    return tuple(encoder for encoder in found if encoder is not None)
