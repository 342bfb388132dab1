"""Benchmark: a catalogue, and how fast it is indexed."""

from __future__ import annotations

import gc
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from statistics import median

import numpy as np
from measuring import timed
from numpy.typing import NDArray

from es_recsys import Client, Item
from es_recsys.encoders import VectorCache, encode_all, item_text, text_encoder
from es_recsys.index import catalog, mappings, stored_metadata
from es_recsys.index.bulk import BulkSettings
from es_recsys.index.bulk_actions import Action, encode_action
from es_recsys.index.documents import content_digest, to_document
from es_recsys.index.refresh import refresh_disabled
from es_recsys.index_metadata import IndexMetadata, VectorMetadata
from es_recsys.sample import SampleStore, sample_store
from es_recsys.serving import stored_forward_index
from es_recsys.serving.workspace import drop_store
from es_recsys.settings import Settings

__all__ = ["COLUMNS", "FIELD", "Catalogue", "drop", "index", "make", "store_forward_index", "throughput", "warm_up"]

COLUMNS = ["measured", "ours", "bare", "ratio", "goal"]
FIELD = "text_vector"
NOISE = 0.6


@dataclass(frozen=True, slots=True, eq=False)
class Catalogue:
    """items, with a unit vector (n, d) each, and what the index says of those; the sample store that they vary."""

    sample: SampleStore
    items: list[Item]
    vectors: NDArray[np.float32]
    metas: dict[str, VectorMetadata]

    def encode(self, items: Sequence[Item]) -> list[Mapping[str, NDArray[np.float32] | None]]:
        """The vectors, ready."""
        return [{FIELD: self.vectors[int(item.item_id.rpartition("-")[2])]} for item in items]


def make(settings: Settings, size: int) -> Catalogue:
    """`size` items: the sample store's, each with two words of other products, and a vector near its own."""
    encoder = text_encoder(settings)
    if encoder is None:
        raise SystemExit("The benchmark needs a text encoder.")
    rng = np.random.default_rng(7)
    sample = sample_store()
    originals = sample.items[:size]
    cache = VectorCache(settings.cache)
    own = encode_all(encoder, [item_text(item) for item in originals], cache).vectors
    cache.close()
    base = np.stack([vector for vector in own if vector is not None])
    words = sorted({word for item in sample.items for word in item.title.split()})
    places = np.arange(size) % len(originals)
    noise = rng.standard_normal((size, base.shape[1]), np.float32)
    vectors = base[places] + NOISE * noise / np.linalg.norm(noise, axis=1, keepdims=True)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    picked = rng.integers(len(words), size=(size, 2))
    items = [
        item.model_copy(update={"item_id": f"{item.item_id}-{row}", "title": f"{item.title} {words[a]} {words[b]}"})
        for row, (place, (a, b)) in enumerate(zip(places.tolist(), picked.tolist(), strict=True))
        for item in (originals[place],)
    ]
    return Catalogue(sample, items, np.ascontiguousarray(vectors, np.float32), stored_metadata.vector_metadata([encoder]))


def throughput(client: Client, catalogue: Catalogue, repetitions: int) -> list[str]:
    """A row: the catalogue's path against `_bulk` of the same bytes, in turns, each into a fresh index. The last one stays."""
    chunks = _chunks(catalogue)
    ours, bare = list[float](), list[float]()
    for turn in reversed(range(repetitions)):
        # Whichever comes second alternates, and nothing is left whose merges would still be going on beside it.
        if turn % 2:
            ours.append(index(client, catalogue))
            drop(client)
        bare.append(_bare(client, catalogue, chunks))
        if not turn % 2:
            ours.append(index(client, catalogue))
            if turn:
                drop(client)
    size = len(catalogue.items)
    # Each turn by its own neighbour, so that what else the machine does in the meantime counts for both.
    ratios = sorted(b / o for o, b in zip(ours, bare, strict=True))
    rates = [f"{size / median(seconds):,.0f}" for seconds in (ours, bare)]
    ratio = f"{median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"
    return ["indexing, documents/s", *rates, ratio, "at least .85"]


def warm_up(client: Client, size: int) -> None:
    """Lets the server compile its hot code, which the first of two would otherwise pay for both."""
    catalogue = make(client.settings, min(size, 6_000))
    _bare(client, catalogue, _chunks(catalogue))
    index(client, catalogue)
    drop(client)


def drop(client: Client) -> None:
    drop_store(client.workspace)


def index(client: Client, catalogue: Catalogue) -> float:
    """Seconds that our path takes to index the catalogue, and make it the live version."""
    es, store = client.workspace.job_es, client.settings.index
    gc.collect()

    def load() -> None:
        report = catalog.load(es, store, catalogue.items, catalogue.encode, vectors=catalogue.metas, count=len(catalogue.items))
        assert report.added == len(catalogue.items), report

    return timed(load)


def store_forward_index(client: Client) -> None:
    """Store the forward index of the catalogue, as `items load` does at its end."""
    stored_forward_index.store_forward_index(
        client.workspace.job_es, client.settings, client.workspace.snapshots.latest().metadata
    )


def _bare(client: Client, catalogue: Catalogue, chunks: Sequence[bytes]) -> float:
    """As many requests at once as ours has, the same settings, and searches see the documents at the end."""
    es, name = client.workspace.job_es, f"bare-{client.settings.index}"
    es.indices.delete(index=name, ignore_unavailable=True)
    metadata = IndexMetadata(client.settings.index, 1, vectors=catalogue.metas)
    gc.collect()

    def send(chunk: bytes) -> None:
        answer = es.bulk(index=name, operations=[chunk], filter_path=["errors"])  # type: ignore[list-item]
        assert not answer["errors"]

    def load() -> None:
        es.indices.create(index=name, **mappings.items_body(metadata, len(catalogue.items)))
        with refresh_disabled(es, name), ThreadPoolExecutor(BulkSettings().in_flight) as pool:
            list(pool.map(send, chunks))

    seconds = timed(load)
    es.indices.delete(index=name)
    return seconds


def _chunks(catalogue: Catalogue) -> list[bytes]:
    """The documents as NDJSON, cut as ours are."""
    limits = BulkSettings()
    fingerprints = {name: metadata.fingerprint for name, metadata in catalogue.metas.items()}
    dims = {name: metadata.dims for name, metadata in catalogue.metas.items()}
    chunks: list[list[bytes]] = [[]]
    size = 0
    for item, vectors in zip(catalogue.items, catalogue.encode(catalogue.items), strict=True):
        line = encode_action(Action(item.item_id, to_document(item, vectors, content_digest(item, fingerprints))), dims)
        if len(chunks[-1]) >= limits.chunk_documents or size + line.size > limits.chunk_bytes:
            chunks.append([])
            size = 0
        chunks[-1].append(line.header + line.body)
        size += line.size
    return [b"".join(chunk) for chunk in chunks]
