"""Measures picture search on photos that lie in a folder a class.

    python scripts/clothing.py FOLDER [--image MODEL]

Every photo asks for ten others, once among all vectors in memory and once through the client, from a store of the run's own:
the share of them that is of the same folder, beside what chance gives, and how many of the exact ten the served kNN finds.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np
from measuring import machine, own_store, percentile_ms, show
from numpy.typing import NDArray

from es_recsys import Client, Item
from es_recsys.encoders import encode_all, image_encoder
from es_recsys.index.fetch import scan_ids
from es_recsys.settings import EncoderSettings, Settings

N = 10
SUFFIXES = {".bmp", ".gif", ".jpeg", ".jpg", ".png", ".webp"}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--image", default=EncoderSettings().image, help="the image model, as encoders.image names it")
    arguments = parser.parse_args()
    photos = sorted(path for path in arguments.folder.glob("*/*") if path.suffix.lower() in SUFFIXES)
    if len(photos) <= N:
        print(f"{arguments.folder} has no photos in folders.", file=sys.stderr)
        return 2
    encoders = EncoderSettings(text="none", image=arguments.image)
    with own_store("clothing_measured", encoders=encoders) as client:
        photos, vectors = encoded(photos, client.settings)
        exact = nearest(vectors)
        labels = np.array([photo.parent.name for photo in photos])
        _, counts = np.unique(labels, return_counts=True)
        chance = float((counts * (counts - 1)).sum() / (len(labels) * (len(labels) - 1)))
        served, seconds = asked(client, photos, arguments.folder)
        right = float(np.mean(labels[served] == labels[:, None]))
        recall = float(np.mean([len(set(a) & set(b)) / N for a, b in zip(served.tolist(), exact.tolist(), strict=True)]))
        show(
            f"{len(photos):,} photos in {len(counts)} folders; {machine(client)}",
            ["picture queries", f"precision@{N} of the same folder", f"recall@{N} of exact search"],
            [
                ["by chance", f"{chance:.3f}", ""],
                ["exact search, numpy", f"{float(np.mean(labels[exact] == labels[:, None])):.3f}", "1"],
                ["served by kNN (goal: recall of at least .97)", f"{right:.3f}", f"{recall:.4f}"],
            ],
        )
        print(f"p50 of a picture query, encoding included: {percentile_ms(seconds, 50):.1f} ms")
    return 0


def encoded(photos: list[Path], settings: Settings) -> tuple[list[Path], NDArray[np.float32]]:
    """The photos that can be read, and their vectors (n, d)."""
    encoder = image_encoder(settings)
    if encoder is None:
        raise SystemExit('--image "none" leaves nothing to measure.')
    encoder.encode([photos[0]])  # loads the model
    started = time.perf_counter()
    result = encode_all(encoder, photos)
    seconds = time.perf_counter() - started
    for row, reason in result.errors.items():
        print(f"{photos[row]}: {reason}")
    rows = [row for row, vector in enumerate(result.vectors) if vector is not None]
    print(f"{len(rows):,} photos, {encoder.name}, {encoder.dims} dimensions: {len(rows) / seconds:.0f} photos/s")
    vectors = [vector for vector in result.vectors if vector is not None]
    return [photos[row] for row in rows], np.stack(vectors)


def nearest(vectors: NDArray[np.float32]) -> NDArray[np.intp]:
    """(n, N): the rows nearest to each row, itself left out, nearest first."""
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, -np.inf)
    return np.argsort(-cosines, axis=1, kind="stable")[:, :N]


def asked(client: Client, photos: list[Path], base: Path) -> tuple[NDArray[np.intp], list[float]]:
    """(n, N): the rows that the client finds for each photo, itself left out; and the seconds of each question."""
    names = [str(photo.relative_to(base)) for photo in photos]
    place = {name: row for row, name in enumerate(names)}
    # A generator, whose length isn't known, so that the index is one for many items: a graph, and not a scan.
    client.insert_items((Item(item_id=name, image=name, categories=(Path(name).parent.name,)) for name in names), base=base)
    assert {item_id for ids in scan_ids(client.workspace.es, f"{client.settings.index}-items") for item_id in ids} == set(names)
    found, seconds = [], []
    for photo, name in zip(photos, names, strict=True):
        started = time.perf_counter()
        answer = client.search(image=photo, n=N, exclude=[name])
        seconds.append(time.perf_counter() - started)
        found.append([place[hit.item_id] for hit in answer.hits])
    return np.array(found, np.intp), seconds


if __name__ == "__main__":
    sys.exit(main())
