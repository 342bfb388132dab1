"""Real queries on an index of films that wasn't made by us: neutral through the service is Elasticsearch's own answer."""

from __future__ import annotations

import csv
import gzip
import json
import uuid
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from elasticsearch import Elasticsearch
from elasticsearch.helpers import bulk
from fastapi.testclient import TestClient

from es_recsys import Client, Event, Settings
from es_recsys.service.app import make_app

pytestmark = [pytest.mark.engine, pytest.mark.long]

QUERIES, INDEX = 1_000, f"their-films-{uuid.uuid4().hex[:8]}"
TEXTS = ("title", "overview", "tags", "director", "actors")
MAPPING: dict[str, Any] = {
    "properties": {
        "film": {"type": "keyword"},
        "genres": {"type": "keyword"},
        **{name: {"type": "text", "analyzer": "english"} for name in TEXTS},
    }
}


@pytest.fixture(scope="module")
def store(module_settings: Callable[..., Settings], es: Elasticsearch, shared_data: Path) -> Iterator[Settings]:
    """A store that has adopted the films, and somebody who has bought some."""
    settings = module_settings()
    es.indices.create(index=INDEX, mappings=MAPPING, settings={"number_of_shards": 2, "number_of_replicas": 0})
    bulk(es, _films(shared_data / "msrd" / "movies-corpus.jsonl.gz"), refresh=True)
    horror = es.search(index=INDEX, size=8, query={"match": {"genres": "Horror"}})["hits"]["hits"]
    with Client(settings=settings) as client:
        columns = {"item_id": "film", "title": "title", "description": "overview", "categories": "genres"}
        client.sync_items(f"index:{INDEX}", columns=columns)
        client.put_events([Event(event_type="purchase", user_id="u1", item_id=hit["_source"]["film"]) for hit in horror])
        client.train(["covisitation"])
    yield settings
    es.indices.delete(index=INDEX)


def _films(path: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for number, line in enumerate(lines):
            row = json.loads(line)
            yield {"_index": INDEX, "_id": f"d{number}", "film": row["id"], **{name: row[name] for name in (*TEXTS, "genres")}}


def _queries(path: Path) -> list[str]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        found = sorted({row[1] for row in islice(csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE), 1, None)})
    return [found[i] for i in np.sort(np.random.default_rng(7).permutation(len(found))[:QUERIES]).tolist()]


def test_neutral_answers_are_elasticsearchs_hit_for_hit(store: Settings, es: Elasticsearch, shared_data: Path) -> None:
    differ, personal = [], 0
    queries = _queries(shared_data / "msrd" / "movies-judgments.tsv.gz")
    assert len(queries) == QUERIES
    with TestClient(make_app(store), base_url="http://localhost") as service:
        for words in queries:
            body = {"query": {"multi_match": {"query": words, "fields": ["title^2", *TEXTS[1:]]}}, "size": 20}
            own = es.search(index=INDEX, **body)["hits"]
            nobody = {"user_id": "nobody"}
            for given in (None, {"user_id": "u1", "personalization": 0}, nobody):
                sent = body if given is None else {**body, "ext": {"es_recsys": given}}
                found = service.post(f"/{INDEX}/_search", json=sent).json()["hits"]
                if found != own:
                    differ.append((words, given))
            sent = {**body, "ext": {"es_recsys": {"user_id": "u1"}}}
            found = service.post(f"/{INDEX}/_search", json=sent).json()["hits"]
            assert found["total"] == own["total"]
            personal += found != own
    assert not differ
    assert personal > QUERIES / 2
