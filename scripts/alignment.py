"""Measures whether words find pictures once text and picture encoders are aligned on a catalogue's own pairs.

    python scripts/alignment.py FOLDER      photos in a folder a class; the text of one is its class and its main colour
    python scripts/alignment.py sample      the sample store, its titles and descriptions

Four fifths of the items are learned from. The text of each other item is then asked among the pictures of all the others: the
share whose own picture is among the ten nearest (Recall@10), the most that could be where texts repeat, and the share of the
ten that is of the same class (the innermost category), beside what chance gives.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from measuring import machine, show
from numpy.typing import NDArray
from PIL import Image

from es_recsys import Item
from es_recsys.dataset import Interactions, ItemTable
from es_recsys.encoders import VectorCache, encode_items, encoders
from es_recsys.models.aligned import IMAGE, TEXT, Aligned, AlignedConfig
from es_recsys.models.base import unit
from es_recsys.sample import sample_store
from es_recsys.settings import load_settings
from es_recsys.training.item_table import table_of

N = 10
SUFFIXES = {".bmp", ".gif", ".jpeg", ".jpg", ".png", ".webp"}
COLOURS = {
    "black": (25, 25, 25),
    "grey": (128, 128, 128),
    "white": (235, 235, 235),
    "red": (180, 40, 40),
    "brown": (110, 70, 45),
    "beige": (210, 185, 150),
    "yellow": (220, 190, 60),
    "green": (60, 110, 60),
    "blue": (50, 70, 150),
    "pink": (225, 150, 170),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", help='a folder, or "sample"')
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--dims", type=int, default=AlignedConfig().dims)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="es-recsys-alignment-") as temporary:
        if arguments.source == "sample":
            store, base = sample_store(), Path(temporary)
            store.write_pictures(base)
            items = list(store.items)
        else:
            base = Path(arguments.source)
            items = photos(base)
        table = encoded(items, base)
    if len(table.item_ids) < 10 * N:
        print(f"{arguments.source} has {len(table.item_ids)} items with a text and a picture.", file=sys.stderr)
        return 2
    measure(table, AlignedConfig(dims=arguments.dims), arguments.seed)
    return 0


def stacked(vectors: Iterable[NDArray[np.float32] | None]) -> NDArray[np.float32]:
    """(n, d); all items of the table have a text and a picture, so none is missing."""
    return np.stack([vector for vector in vectors if vector is not None])


def measure(table: ItemTable, config: AlignedConfig, seed: int) -> None:
    """Trains on four fifths of the table and shows what the rest finds."""
    order = np.random.default_rng(seed).permutation(len(table.item_ids))
    learned, held = np.sort(order[len(order) // 5 :]), np.sort(order[: len(order) // 5])
    started = time.perf_counter()
    model = Aligned(config).fit(no_events(), np.random.default_rng(seed), part(table, learned))
    seconds = time.perf_counter() - started
    classes = np.array([table.categories[row][-1] for row in held])
    texts = [table.texts[row] for row in held]
    words = stacked(model.query_vector(text, {TEXT: table.vectors[TEXT][row]}) for text, row in zip(texts, held, strict=True))
    seen = stacked(model.query_vector("", {IMAGE: table.vectors[IMAGE][row]}) for row in held)
    chance = unit(np.random.default_rng(1).normal(size=words.shape))
    alike = np.array([texts.count(text) for text in texts])
    same = (classes[:, None] == classes).mean()
    rows = [
        ["by chance", *figures(chance, seen, classes)],
        [f"aligned, {config.dims} dimensions", *figures(words, seen, classes)],
        ["the most there could be", f"{np.minimum(1.0, N / alike).mean():.3f}", "1.000"],
    ]
    show(
        f"{len(learned):,} items learned from, {len(held):,} asked for, {len(set(texts)):,} texts among these; {machine()}",
        ["text to picture", f"Recall@{N}", f"precision@{N} of the class (chance {same:.3f})"],
        rows,
    )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{seconds:.1f} s of training; peak memory {peak:.0f} MiB")


def figures(words: NDArray[np.float32], pictures: NDArray[np.float32], classes: NDArray[np.str_]) -> list[str]:
    """Recall of the own picture, and precision of the class, at N."""
    nearest = np.argsort(-(words @ pictures.T), axis=1, kind="stable")[:, :N]
    own = (nearest == np.arange(len(words))[:, None]).any(axis=1)
    return [f"{own.mean():.3f}", f"{(classes[nearest] == classes[:, None]).mean():.3f}"]


def photos(folder: Path) -> list[Item]:
    """The photos of a folder a class, described by class and colour."""
    found = []
    for path in sorted(path for path in folder.glob("*/*") if path.suffix.lower() in SUFFIXES):
        kind, name = path.parent.name, str(path.relative_to(folder))
        found.append(Item(item_id=name, title=f"{colour(path)} {kind}", categories=(kind,), image=name))
    return found


def colour(path: Path) -> str:
    """The name nearest to the median colour of the middle of a photo."""
    with Image.open(path) as photo:
        wide, high = photo.size
        middle = photo.convert("RGB").crop((wide // 3, high // 3, wide - wide // 3, high - high // 3)).resize((16, 16))
    median = np.median(np.asarray(middle).reshape(-1, 3), axis=0)
    return min(COLOURS, key=lambda name: float(((median - np.array(COLOURS[name])) ** 2).sum()))


def encoded(items: list[Item], base: Path) -> ItemTable:
    """The items that have both vectors, by the encoders of the settings."""
    settings = load_settings()
    vectors = {}
    cache = VectorCache(settings.cache)
    for encoder in encoders(settings):
        rows = encode_items(encoder, items, base, cache).vectors
        vectors[encoder.field] = np.stack([np.zeros(encoder.dims, np.float32) if row is None else row for row in rows])
    cache.close()
    table = table_of(items, vectors)
    both = table.vectors[TEXT].any(axis=1) & table.vectors[IMAGE].any(axis=1)
    return part(table, np.flatnonzero(both))


def part(table: ItemTable, rows: NDArray[np.intp]) -> ItemTable:
    """Some rows of a table."""
    return ItemTable(
        item_ids=table.item_ids[rows],
        texts=[table.texts[row] for row in rows],
        titles=[table.titles[row] for row in rows],
        categories=[table.categories[row] for row in rows],
        brands=[table.brands[row] for row in rows],
        prices=table.prices[rows],
        created=table.created[rows],
        vectors={name: vectors[rows] for name, vectors in table.vectors.items()},
    )


def no_events() -> Interactions:
    """Alignment reads the catalogue alone."""
    none, ids = np.zeros(0, np.int32), np.zeros(0, np.str_)
    return Interactions(ids, ids, none, none, np.zeros(0, np.float32), np.zeros(0))


if __name__ == "__main__":
    sys.exit(main())
