"""Benchmark: how fast texts are encoded."""

from __future__ import annotations

from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np
from measuring import timed

from es_recsys.encoders import VectorCache, encode_all, item_text, text_encoder
from es_recsys.encoders.fingerprints import DigestCache
from es_recsys.encoders.model_files import find_text_model
from es_recsys.encoders.text_export import load_sentence_transformer
from es_recsys.sample import sample_store
from es_recsys.settings import Settings

__all__ = ["encoding"]

BATCH = 64
SHARE = 4
"""One text of so many is encoded."""


def encoding(settings: Settings, repetitions: int) -> list[list[str]]:
    """Rows: distinct texts of the sample store by our encoder and by SentenceTransformer, in turns; and by the cache."""
    encoder = text_encoder(settings)
    if encoder is None:
        return []
    name = settings.encoders.text
    model = load_sentence_transformer(find_text_model(name, DigestCache(settings.cache)), settings.encoders.threads)
    texts = sorted({text for item in sample_store().items if (text := item_text(item)) is not None})[::SHARE]
    encode_all(encoder, texts[:BATCH])
    model.encode(texts[:BATCH], batch_size=BATCH, show_progress_bar=False)
    ours, bare = list[float](), list[float]()
    for _ in range(repetitions):
        bare.append(timed(lambda: model.encode(texts, batch_size=BATCH, show_progress_bar=False)))
        ours.append(timed(lambda: encode_all(encoder, texts)))
    with TemporaryDirectory() as folder:
        cache = VectorCache(Path(folder))
        first = timed(lambda: encode_all(encoder, texts, cache))
        second = median([timed(lambda: encode_all(encoder, texts, cache)) for _ in range(repetitions)])
        cache.close()
    slow, fast = len(texts) / median(ours), len(texts) / median(bare)
    theirs = model.encode(texts[:BATCH], batch_size=BATCH, show_progress_bar=False, normalize_embeddings=True)
    mine = np.stack([vector for vector in encode_all(encoder, texts[:BATCH]).vectors if vector is not None])
    alike = float((mine * theirs).sum(axis=1).min())
    words = float(np.mean([len(text.split()) for text in texts]))
    return [
        [f"{name}: {len(texts):,} texts of {words:.0f} words, texts/s", f"{slow:,.0f}", f"{fast:,.0f}", f"{slow / fast:.2f}",
         "at least .95"],
        ["least cosine between ours and bare", f"{alike:.6f}", "", "", ""],
        ["second run, from the cache, s (bare: first run)", f"{second:.3f}", f"{first:.2f}", f"{first / second:.0f} x faster",
         "at least 20"],
    ]  # fmt: skip
