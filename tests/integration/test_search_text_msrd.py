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
from search_inputs import Inputs, changed, inputs

from es_recsys.index import mappings
from es_recsys.index.documents import to_document
from es_recsys.index_metadata import IndexMetadata
from es_recsys.search.page import build_page, order_page
from es_recsys.search.retrieval_plan import plan_retrieval
from es_recsys.search.retrieval_results import parse_responses
from es_recsys.search.score import build_scoring_request
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


def ndcg(es: Any, index: str, searches: list[Inputs], judged: dict[str, dict[str, float]]) -> float:
    scores = []
    for start in range(0, len(searches), 25):
        part = searches[start : start + 25]
        plans = [plan_retrieval(*given) for given in part]
        found = msearch(es, index, [plan.bodies for plan in plans])
        results = [parse_responses(*given, plan, answers) for given, plan, answers in zip(part, plans, found, strict=True)]
        seconds = [build_scoring_request(*given, result) for given, result in zip(part, results, strict=True)]
        endings = msearch(es, index, [second.bodies for second in seconds])
        for given, second, responses in zip(part, seconds, endings, strict=True):
            grades = judged[given.request.text]
            gained = [grades.get(hit.item_id, 0.0) for hit in build_page(*given, order_page(*given, second, responses)).hits]
            scores.append(dcg(gained) / dcg(sorted(grades.values(), reverse=True)[:10]))
    return float(np.mean(scores))


def dcg(grades: list[float]) -> float:
    return math.fsum(grade / math.log2(place + 2) for place, grade in enumerate(grades))


def collected(es: Any, index: str, searches: list[Inputs], judged: dict[str, dict[str, float]]) -> Iterator[Judged]:
    for given in searches:
        flow = collect(given.request, given.policy, judged[given.request.text])
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
    searches = [inputs(metadata=metadata, now=0.0, text=query) for query in queries]
    learned, held = searches[: QUERIES // 2], searches[QUERIES // 2 :]
    plain = replace(metadata, text_boosts={"title": 2.0, "all_text": 1.0})
    baseline = ndcg(es, index, [changed(given, metadata=plain) for given in held], judged)
    default = ndcg(es, index, held, judged)
    assert default > baseline + 0.01
    found = tune(searches[0].policy, list(collected(es, index, learned, judged)), np.random.default_rng(0))
    tuned = replace(metadata, text_boosts=found.lexical, retriever_weights={"query": found.weights})
    after = ndcg(es, index, [changed(given, metadata=tuned) for given in held], judged)
    print(f"NDCG@10 of {len(held)} queries: title and text {baseline:.4f}, default {default:.4f}, tuned {after:.4f}")
    assert after > default - 0.005
    assert after >= 0.87
