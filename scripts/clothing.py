"""Measures picture search on photos that lie in a folder a class.

    python scripts/clothing.py FOLDER [--served] [--image MODEL]

Every photo asks for ten others: the share of them that is of the same folder, beside what chance gives. With --served the
photos are also indexed in a store of their own, on the embedded node or at ES_RECSYS_URL, and asked for through the client;
then recall@10 says how many of the exact ten the served kNN finds. The store is dropped at the end.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from es_recsys import Client, Item
from es_recsys.encoders import encode_all, image_encoder
from es_recsys.settings import EncoderSettings, Settings, load_settings

N = 10
SUFFIXES = {".bmp", ".gif", ".jpeg", ".jpg", ".png", ".webp"}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--served", action="store_true", help="also through a store on Elasticsearch")
    parser.add_argument("--image", default=EncoderSettings().image, help="the image model, as encoders.image names it")
    arguments = parser.parse_args()
    photos = sorted(path for path in arguments.folder.glob("*/*") if path.suffix.lower() in SUFFIXES)
    if len(photos) <= N:
        print(f"{arguments.folder} has no photos in folders.", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as home:
        settings = load_settings(
            index="clothing_measured", home=Path(home), encoders=EncoderSettings(text="none", image=arguments.image)
        )
        photos, vectors = encoded(photos, settings)
        exact = nearest(vectors)
        in_memory(photos, exact)
        if arguments.served:
            served(photos, exact, arguments.folder, settings)
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


def in_memory(photos: list[Path], exact: NDArray[np.intp]) -> None:
    labels = np.array([photo.parent.name for photo in photos])
    _, counts = np.unique(labels, return_counts=True)
    chance = float((counts * (counts - 1)).sum() / (len(labels) * (len(labels) - 1)))
    print(f"exact: precision@{N} of the same folder {np.mean(labels[exact] == labels[:, None]):.3f}, by chance {chance:.3f}")


def served(photos: list[Path], exact: NDArray[np.intp], base: Path, settings: Settings) -> None:
    from es_recsys import engine
    from es_recsys.index import versions

    names = [str(photo.relative_to(base)) for photo in photos]
    with Client(settings=settings, keep=False) as client:
        try:
            client.insert_items((Item(item_id=name, image=name) for name in names), base=base)
            right, found, milliseconds = 0, 0, []
            for photo, name, row in zip(photos, names, exact, strict=True):
                # The item that asks is left out of its own answer.
                answer = client.search(image=photo, n=N, exclude=[name])
                hits = [hit.item_id for hit in answer.hits]
                right += sum(Path(hit).parent.name == photo.parent.name for hit in hits)
                found += len({names[place] for place in row} & set(hits))
                milliseconds.append(answer.took_ms)
        finally:
            with engine.connect(settings, client.workspace.url) as elastic:
                versions.drop_store(elastic, settings.index)
    asked = N * len(photos)
    print(f"served: precision@{N} {right / asked:.3f}, recall@{N} of exact search {found / asked:.4f}")
    print(f"        p50 of a picture query, encoding included {np.median(milliseconds):.1f} ms")


if __name__ == "__main__":
    sys.exit(main())
