"""Texts to vectors on onnxruntime and tokenizers, without torch."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from es_recsys.encoders.base import l2_normalize, require_unit_vectors
from es_recsys.encoders.onnx_model import OnnxSession
from es_recsys.encoders.text_batches import well_formed
from es_recsys.errors import EncodingError, MissingExtra

if TYPE_CHECKING:
    from tokenizers import Tokenizer

__all__ = ["OnnxTextEncoder"]

_MAX_BATCH_TOKENS = 4_096
"""Tokens of a batch, padding included: keeps the arrays of a batch of long texts in the processor's cache."""
_MIN_FILL = 0.8
_SLACK_TOKENS = 4
"""Rows shorter than this share of the longest, and by more than these tokens, go to the next batch."""


class OnnxTextEncoder:
    """A sentence-transformers model in its ONNX form.

    folder: model.onnx and tokenizer.json. manifest: dims, max_length, pad_id, pad_left, lower, prompts (text_export.py), alone,
    mean (a vector that is taken from all others).
    languages: ISO codes that the model was made for; empty where that isn't known. The model is loaded by the first use.
    """

    content = "text"
    field = "text_vector"
    accepts = frozenset({"text"})

    def __init__(
        self,
        name: str,
        fingerprint: str,
        folder: Path,
        manifest: Mapping[str, Any],
        *,
        languages: frozenset[str] = frozenset(),
        threads: int = 0,
        batch_size: int = 64,
    ) -> None:
        self.name = name
        self.fingerprint = fingerprint
        self.languages = languages
        self.batch_size = batch_size
        self.dims = int(manifest["dims"])
        self._manifest = dict(manifest)
        self._mean = np.asarray(manifest["mean"], np.float32) if "mean" in manifest else None
        self._folder = folder
        self._threads = threads
        self._lock = threading.Lock()
        self._loaded: tuple[Tokenizer, OnnxSession] | None = None

    def encode(self, batch: Sequence[str]) -> NDArray[np.float32]:
        """Return (n, d) float32 unit vectors of documents' texts."""
        return self._encode(batch, self._manifest.get("prompts", {}).get("document", ""))

    def encode_queries(self, batch: Sequence[str]) -> NDArray[np.float32]:
        """Return (n, d) float32 unit vectors of queries; as `encode`, but with the model's prompt for queries if it has one."""
        return self._encode(batch, self._manifest.get("prompts", {}).get("query", ""))

    def tokens(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the token ids of each text as the model sees them, special ones included, cut at its length."""
        lower = bool(self._manifest.get("lower"))
        clean = [well_formed(text).strip() for text in texts]
        encodings = self._load()[0].encode_batch([text.lower() for text in clean] if lower else clean)
        return [encoding.ids for encoding in encodings]

    @property
    def unknown_token(self) -> int | None:
        """Id of the token that stands for what the tokenizer doesn't know."""
        tokenizer = self._load()[0]
        token = getattr(tokenizer.model, "unk_token", None)
        found: int | None = tokenizer.token_to_id(token) if isinstance(token, str) else None
        return found

    def _encode(self, batch: Sequence[str], prompt: str) -> NDArray[np.float32]:
        if not batch:
            return np.zeros((0, self.dims), np.float32)
        rows = self.tokens([prompt + text for text in batch])
        session = self._load()[1]
        vectors = np.empty((len(rows), self.dims), np.float32)
        # Quantised activations share one scale a batch, so that a text's vector would hang on its neighbours.
        size = 1 if self._manifest.get("alone") else self.batch_size
        for chosen in _batches([len(row) for row in rows], size):
            feed = self._feed([rows[row] for row in chosen])
            vectors[chosen] = _mean_pool(session.run(feed), feed["attention_mask"])
        if self._mean is not None:
            vectors = l2_normalize(vectors - self._mean)
        return require_unit_vectors(vectors, len(batch), self.dims, self.name)

    def _feed(self, rows: Sequence[Sequence[int]]) -> dict[str, NDArray[np.int64]]:
        """Return the padded inputs of the network, each (b, l) int64."""
        length = max(len(row) for row in rows)
        ids = np.full((len(rows), length), self._manifest["pad_id"], np.int64)
        mask = np.zeros((len(rows), length), np.int64)
        for number, row in enumerate(rows):
            span = slice(length - len(row), length) if self._manifest.get("pad_left") else slice(0, len(row))
            ids[number, span] = row
            mask[number, span] = 1
        return {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}

    def _load(self) -> tuple[Tokenizer, OnnxSession]:
        with self._lock:
            if self._loaded is None:
                tokenizer = _tokenizer(self._folder / "tokenizer.json", int(self._manifest["max_length"]))
                self._loaded = (tokenizer, OnnxSession(self._folder / "model.onnx", self._threads))
            return self._loaded


def _tokenizer(path: Path, max_length: int) -> Tokenizer:
    try:
        from tokenizers import Tokenizer
    except ImportError:
        raise MissingExtra("tokenizers", "text") from None
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:
        raise EncodingError(f"The tokenizer {path} can't be read.", "Delete its folder; it is made again.") from error
    tokenizer.enable_truncation(max_length)
    tokenizer.no_padding()
    return tokenizer


def _mean_pool(output: NDArray[np.float32], mask: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return (b, d): the output itself where the graph pools, else the unit mean of its (b, l, d) over the real tokens."""
    if output.ndim == 2:
        return output
    weights = mask[:, :, None].astype(np.float32)
    return l2_normalize((output * weights).sum(axis=1) / weights.sum(axis=1))


def _batches(lengths: Sequence[int], most: int) -> Iterator[list[int]]:
    """Yield the indices of the rows, longest first, so that rows of like length share a batch and little of it is padding."""
    order = np.argsort(-np.asarray(lengths), kind="stable").tolist()
    start = 0
    while start < len(order):
        longest = lengths[order[start]]
        end = start + max(1, min(most, _MAX_BATCH_TOKENS // max(longest, 1)))
        # Small batches are nearly as fast as large ones; padding to twice the length is twice the work.
        while lengths[order[min(end, len(order)) - 1]] < longest * _MIN_FILL - _SLACK_TOKENS:
            end = min(end, len(order)) - 1
        yield order[start:end]
        start = end
