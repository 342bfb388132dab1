"""Measures text, picture, sound and their sums on a catalogue that has all three: the sample store, each item with a sound.

    python scripts/fusion.py [--seed 7] [--items 1200] [--users 1500]

The last new item of each shopper is to be found among all that they have no event on, by the contents of what they did before;
then the same among items of which no event is known. Text, picture or sound alone: the cosine with the mean vector of the
history, half as much for each ten events. Late fusion adds the cosines. Learned fusion adds them with the weights that answer an
earlier question of each shopper best. Early fusion is the model `fused`, with its usual settings. Intervals are of 95 %.
"""

from __future__ import annotations

import argparse
import itertools
import math
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from figure_data import DataSet, interactions
from measuring import machine, show
from model_figures import new_items, split
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from es_recsys.dataset import ItemTable
from es_recsys.encoders import VectorCache, encode_items, encoders
from es_recsys.evaluation import bootstrap
from es_recsys.evaluation.holdout_split import HoldoutSplit
from es_recsys.evaluation.metrics import ndcg
from es_recsys.models.base import unit
from es_recsys.models.fused import Fused
from es_recsys.sample import SampleStore, sample_store, sound
from es_recsys.settings import load_settings
from es_recsys.training.item_table import table_of

N, HALF_LIFE = 10, 10.0
FIELDS = {"text": "text_vector", "picture": "image_vector", "sound": "audio_vector"}
SUMS = [names for size in (2, 3) for names in itertools.combinations(FIELDS, size)]
ALL, WITHOUT_SOUND = " + ".join(FIELDS), "text + picture"
WEIGHTS = (0.0, 0.1, 0.25, 0.5, 1.0, 2.0)
Scores = NDArray[np.float32]
Values = NDArray[np.float64]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--items", type=int, default=1_200)
    parser.add_argument("--users", type=int, default=1_500)
    arguments = parser.parse_args()
    data = with_sounds(sample_store(arguments.seed, arguments.items, arguments.users))
    chosen, test = split(data)
    parts = {"the next item": test, "the next item, among new ones": new_items(data)}
    found = {title: measure(data, chosen, part) for title, part in parts.items()}
    questions = " and ".join(f"{len(part):,}" for part in parts.values())
    show(
        f"{arguments.items:,} items, {len(data.events.items):,} events, {questions} questions; {machine()}",
        [f"NDCG@{N}", *found],
        [[name, *(told(values[name]) for values in found.values())] for name in next(iter(found.values()))],
    )
    pairs = [(f"{way}: {ALL}", f"{way}: {WITHOUT_SOUND}") for way in ("late", "learned", "early")] + [(f"learned: {ALL}", "text")]
    rows = [
        [f"{one} over {other}", *(told(values[one] - values[other], "+") for values in found.values())] for one, other in pairs
    ]
    show("differences, question by question", ["", *found], rows)
    return 0


def with_sounds(store: SampleStore) -> DataSet:
    """The store's events, and its items with the vectors of text, picture and sound."""
    settings = load_settings()
    with tempfile.TemporaryDirectory(prefix="es-recsys-fusion-") as temporary:
        base = Path(temporary)
        store.write_pictures(base)
        items = [item.model_copy(update={"audio": f"{item.item_id}.wav"}) for item in store.items]
        for item in items:
            (base / str(item.audio)).write_bytes(sound(item))
        cache = VectorCache(settings.cache)
        rows = {encoder.field: encode_items(encoder, items, base, cache).vectors for encoder in encoders(settings)}
        cache.close()
    vectors = {field: np.stack([vector for vector in own if vector is not None]) for field, own in rows.items()}
    events = interactions([(str(event.user_id), event.item_id, event.event_type) for event in store.events if event.item_id])
    return DataSet("sample", events, table_of(items, vectors), True)


def measure(data: DataSet, chosen: HoldoutSplit, part: HoldoutSplit) -> Mapping[str, Values]:
    """NDCG of each question of `part` by text, picture, sound and their sums; `chosen` has the questions that weights answer."""
    items = data.items
    assert items is not None
    rows = np.searchsorted(items.item_ids, data.events.item_ids)
    vectors = {name: items.vectors[field][rows] for name, field in FIELDS.items()}
    earlier, asked = ({name: cosines(own, each) for name, own in vectors.items()} for each in (chosen, part))
    found = {name: answered([asked[name]], [1.0], part) for name in FIELDS}
    for names in SUMS:
        found[f"late: {' + '.join(names)}"] = answered([asked[name] for name in names], [1.0] * len(names), part)
    for names in SUMS:
        weights = learned([earlier[name] for name in names], chosen)
        print("learned: " + " + ".join(f"{weight:g} {name}" for name, weight in zip(names, weights, strict=True)), flush=True)
        found[f"learned: {' + '.join(names)}"] = answered([asked[name] for name in names], weights, part)
    for names in SUMS:
        joined = early(items, names, part)
        found[f"early: {' + '.join(names)}"] = answered([cosines(joined[rows], part)], [1.0], part)
    return found


def early(items: ItemTable, names: Sequence[str], part: HoldoutSplit) -> Scores:
    """(n, d) the vector of each item of the table by the model `fused`."""
    some = replace(items, vectors={FIELDS[name]: items.vectors[FIELDS[name]] for name in names})
    model = Fused().fit(part.train, np.random.default_rng(7), some)
    return model.item_vectors[np.searchsorted(np.asarray(list(model.item_ids)), items.item_ids)]


def cosines(vectors: NDArray[np.float32], part: HoldoutSplit) -> Scores:
    """(questions, items) cosine of each item with the mean of each history."""
    asked = part.histories
    weights = csr_matrix((asked.recent_weights(HALF_LIFE, math.inf), asked.items, asked.starts), (len(asked), len(vectors)))
    return np.asarray(unit(weights @ vectors) @ vectors.T, np.float32)


def answered(scores: Sequence[Scores], weights: Sequence[float], part: HoldoutSplit) -> Values:
    """NDCG of each question by the weighted sum of scores."""
    total: Scores = np.sum([weight * each for weight, each in zip(weights, scores, strict=True)], axis=0)
    for question, seen in enumerate(part.seen):
        total[question, seen] = -np.inf
    best = np.argpartition(-total, N, axis=1)[:, :N]
    order = np.argsort(-np.take_along_axis(total, best, axis=1), axis=1, kind="stable")
    return ndcg([own[place] for own, place in zip(best, order, strict=True)], part.targets, N)


def learned(scores: Sequence[Scores], part: HoldoutSplit) -> tuple[float, ...]:
    """The weights, the first of them 1, that answer the questions best."""
    tried = [(1.0, *rest) for rest in itertools.product(WEIGHTS, repeat=len(scores) - 1)]
    return max(tried, key=lambda weights: float(answered(scores, weights, part).mean()))


def told(values: Values, sign: str = "") -> str:
    """A mean with its interval."""
    found = bootstrap(values, np.random.default_rng(0))
    return f"{found.mean:{sign}.4f} [{found.low:{sign}.4f}, {found.high:{sign}.4f}]"


if __name__ == "__main__":
    sys.exit(main())
