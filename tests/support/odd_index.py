"""An index as a shop has it: a mapping, analyzers and names of its own, behind an alias, on three shards."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from elasticsearch import Elasticsearch
from elasticsearch.helpers import bulk

__all__ = ["clicks", "document", "make_odd_index"]

_TEXTS = {"type": "text", "fields": {"raw": {"type": "keyword"}}}
_MAPPING: Mapping[str, Any] = {
    "dynamic": "false",
    "properties": {
        "sku": {"type": "keyword"},
        "name": {"properties": {"de": {**_TEXTS, "analyzer": "folded"}, "en": {**_TEXTS, "analyzer": "folded"}}},
        "body": {"type": "text", "analyzer": "folded"},
        "category": {"type": "nested", "properties": {"name": {"type": "keyword"}, "level": {"type": "integer"}}},
        "price": {"properties": {"amount": {"type": "double"}, "currency": {"type": "keyword"}}},
        "img": {"type": "object", "enabled": False},
        "maker": {"type": "keyword"},
        "producer": {"type": "alias", "path": "maker"},
        "embedding": {"type": "dense_vector", "dims": 4},
        "updated_at": {"type": "date"},
    },
}


def document(number: int) -> dict[str, Any]:
    """Return the document of a product; those with an even number are for running."""
    kind = ("Running", "Hiking")[number % 2]
    return {
        "sku": f"S{number}",
        "name": {"de": f"{kind}schuh {number}", "en": f"{kind} shoe {number}"},
        "body": f"A shoe for {kind.lower()}, number {number}.",
        "category": [{"name": "Shoes", "level": 0}, {"name": kind, "level": 1}],
        "price": {"amount": 10.0 + number % 90, "currency": "EUR"},
        "img": {"url": f"img/{number}.png"},
        "maker": f"maker{number % 7}",
        "embedding": [0.1, 0.2, 0.3, 0.4],
        "updated_at": f"2026-01-{1 + number % 28:02d}T00:00:00Z",
    }


def make_odd_index(es: Elasticsearch, name: str, count: int) -> str:
    """Make an index of products `p0`, `p1`, ... and return the alias that it stands behind."""
    folded = {"tokenizer": "standard", "filter": ["lowercase", "asciifolding"]}
    es.indices.create(
        index=f"{name}_source_v7",
        settings={"number_of_shards": 3, "number_of_replicas": 0, "analysis": {"analyzer": {"folded": folded}}},
        mappings=_MAPPING,
        aliases={f"{name}_source": {}},
    )

    def actions() -> Iterator[dict[str, Any]]:
        for number in range(count):
            yield {"_index": f"{name}_source", "_id": f"p{number}", "_source": document(number)}

    bulk(es, actions(), refresh=True)
    return f"{name}_source"


def clicks(items: int) -> Iterator[dict[str, Any]]:
    """Yield what eight people did as events of UBI, each in a corner of the catalogue of their own."""
    for number in range(160):
        user = number % 8 + 1
        yield {
            "action_name": "click",
            "timestamp": 1_764_400_000_000 + 3_600_000 * number,
            "user_id": f"u{user}",
            "client_id": f"c{user}",
            "event_attributes": {"object": {"object_id": f"p{(5 * user + number // 8 % 7) % items}"}},
        }
