"""Words alone on real judged queries: the default boosts must stay well above a plain title-and-text query."""

from __future__ import annotations

import csv
import gzip
import json
import math
import random
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from es_recsys.index import mappings
from es_recsys.index.documents import to_document
from es_recsys.index_metadata import IndexMetadata
from es_recsys.search.answer import complete, finish
from es_recsys.search.context import Context
from es_recsys.search.gather import gather
from es_recsys.search.plan import plan
from es_recsys.training.lexical_weights import Judged, collect, tune
from es_recsys.types import Item

pytestmark = [pytest.mark.engine, pytest.mark.long]

QUERIES = 800


def films(folder: Path) -> Iterator[Item]:
    with gzip.open(folder / "movies-corpus.jsonl.gz", "rt", encoding="utf-8") as file:
        for line in file:
            row = json.loads(line)
            yield Item(
                item_id=row["id"],
                title=row["title"],
                description=row["overview"],
                categories=tuple(row["genres"]),
                tags=tuple(row["tags"]),
                attributes={
                    "director": row["director"],
                    "actors": tuple(row["actors"]),
                    "characters": tuple(row["characters"]),
                    "year": row["year"],
                },
            )


def judgments(folder: Path) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    with gzip.open(folder / "movies-judgments.tsv.gz", "rt", encoding="utf-8") as file:
        for row in islice(csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE), 1, None):
            found.setdefault(row[1], {})[row[2]] = float(row[3])
    return found


@pytest.fixture
def index(es: Any, store_name: str, shared_data: Path) -> str:
    metadata = IndexMetadata(store=store_name, version=1)
    es.indices.create(index=metadata.index, **mappings.items_body(metadata, 10_000))
    rows = films(shared_data / "msrd")
    while batch := list(islice(rows, 1_000)):
        lines = [line for item in batch for line in ({"index": {"_id": item.item_id}}, to_document(item))]
        assert not es.bulk(index=metadata.index, operations=lines).body["errors"]
    es.indices.refresh(index=metadata.index)
    return metadata.index


def msearch(es: Any, index: str, groups: list[tuple[Any, ...]]) -> list[list[Any]]:
    bodies = [body for group in groups for body in group]
    if not bodies:
        return [[] for _ in groups]
    found = iter(es.msearch(searches=[line for body in bodies for line in ({"index": index}, body)]).body["responses"])
    return [list(islice(found, len(group))) for group in groups]


def ndcg(es: Any, index: str, contexts: list[Context], judged: dict[str, dict[str, float]]) -> float:
    scores = []
    for start in range(0, len(contexts), 25):
        part = contexts[start : start + 25]
        firsts = [plan(context) for context in part]
        answers = msearch(es, index, [first.bodies for first in firsts])
        seconds = [complete(c, gather(c, f, a)) for c, f, a in zip(part, firsts, answers, strict=True)]
        endings = msearch(es, index, [second.bodies for second in seconds])
        for context, second, responses in zip(part, seconds, endings, strict=True):
            grades = judged[context.text]
            gained = [grades.get(hit.item_id, 0.0) for hit in finish(context, second, responses).hits]
            scores.append(dcg(gained) / dcg(sorted(grades.values(), reverse=True)[:10]))
    return float(np.mean(scores))


def dcg(grades: list[float]) -> float:
    return math.fsum(grade / math.log2(place + 2) for place, grade in enumerate(grades))


def collected(es: Any, index: str, contexts: list[Context], judged: dict[str, dict[str, float]]) -> Iterator[Judged]:
    for context in contexts:
        flow = collect(context, judged[context.text])
        bodies = next(flow)
        try:
            while True:
                bodies = flow.send(msearch(es, index, [bodies])[0])
        except StopIteration as end:
            if end.value is not None:
                yield end.value


def test_words_alone(es: Any, index: str, shared_data: Path) -> None:
    judged = judgments(shared_data / "msrd")
    queries = random.Random(11).sample(sorted(judged), QUERIES)
    metadata = IndexMetadata(store="msrd", version=1)
    contexts = [Context(metadata=metadata, now=0.0, text=query) for query in queries]
    learned, held = contexts[: QUERIES // 2], contexts[QUERIES // 2 :]
    plain = replace(metadata, lexical={"title": 2.0, "all_text": 1.0})
    baseline = ndcg(es, index, [replace(context, metadata=plain) for context in held], judged)
    default = ndcg(es, index, held, judged)
    assert default > baseline + 0.01
    found = tune(contexts[0], list(collected(es, index, learned, judged)), np.random.default_rng(0))
    tuned = replace(metadata, lexical=found.lexical, weights={"query": found.weights})
    after = ndcg(es, index, [replace(context, metadata=tuned) for context in held], judged)
    print(f"NDCG@10 of {len(held)} queries: title and text {baseline:.4f}, default {default:.4f}, tuned {after:.4f}")
    assert after > default - 0.005
    assert after >= 0.87
