"""What the files of a sentence-transformers model say, read without torch."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from es_recsys.encoders.fingerprints import DigestCache, fingerprint
from es_recsys.errors import ModelError

__all__ = ["model_languages", "text_fingerprint"]

# Vary between copies of one model and don't change its vectors.
_COSMETIC = {"architectures", "dtype", "torch_dtype", "transformers_version", "use_cache", "gradient_checkpointing"}
_TOKENIZER_FILES = ("vocab.txt", "vocab.json", "merges.txt", "spiece.model", "sentencepiece.bpe.model", "tokenizer.model")


def text_fingerprint(folder: Path, digests: DigestCache, precision: str = "fp32") -> str:
    """Return fingerprint of the model in `folder`: weights, module chain and pooling, tokenizer, lengths, prompts, precision.

    A copy elsewhere, or its ONNX form, has the same one. Raises ModelError.
    """
    try:
        files = sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix != ".md")
        return digests.get_or_compute(
            f"text {precision}", files, lambda: fingerprint([*_fingerprint_parts(folder, digests), ("precision", precision)])
        )
    except (OSError, ValueError) as error:
        raise ModelError(
            f"The model folder {folder} can't be read ({type(error).__name__}).", "Give a complete model folder."
        ) from error


def _fingerprint_parts(folder: Path, digests: DigestCache) -> Iterator[tuple[str, Any]]:
    listed = folder / "modules.json"
    modules = json.loads(listed.read_bytes()) if listed.is_file() else [{"path": "", "type": "Transformer"}]
    for number, module in enumerate(modules):
        # The class's own name only: its place moved between versions of the library.
        yield f"module {number}", str(module["type"]).rpartition(".")[2]
        part = folder / module["path"]
        if part.is_dir():
            yield from _module_parts(str(number), part, digests)
    prompts = _json(folder / "config_sentence_transformers.json")
    yield "prompts", {key: text for key, text in (prompts.get("prompts") or {}).items() if text}
    yield "default prompt", prompts.get("default_prompt_name")


def _module_parts(number: str, folder: Path, digests: DigestCache) -> Iterator[tuple[str, Any]]:
    weights = sorted(folder.glob("*.safetensors")) or sorted(folder.glob("*.bin"))
    for file in weights:
        yield f"{number} {file.name}", digests.sha256(file)
    for name in ("config.json", "sentence_bert_config.json"):
        yield f"{number} {name}", _json(folder / name)
    tokenizer = folder / "tokenizer.json"
    if tokenizer.is_file():
        # Truncation and padding in it are set anew when it is used; hashing the rest keeps copies equal.
        rest = {key: value for key, value in _json(tokenizer).items() if key not in {"truncation", "padding"}}
        yield f"{number} tokenizer", fingerprint(rest.items())
        return
    for name in _TOKENIZER_FILES:
        if (folder / name).is_file():
            yield f"{number} {name}", digests.sha256(folder / name)


def _json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    values = json.loads(path.read_bytes())
    return {key: value for key, value in values.items() if not key.startswith("_") and key not in _COSMETIC}


def model_languages(folder: Path) -> frozenset[str]:
    """Return the ISO 639-1 codes in the front matter of the model's card; empty where it says nothing."""
    try:
        card = (folder / "README.md").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return frozenset()
    front = re.match(r"---\s*\n(.*?)\n---", card, re.DOTALL)
    block = re.search(r"^language:[ \t]*(.*(?:\n[ \t]*-[ \t]+.*)*)", front.group(1), re.MULTILINE) if front else None
    return frozenset(re.findall(r"[a-z]{2,3}\b", block.group(1).lower())) if block else frozenset()
