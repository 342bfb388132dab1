"""Digests of the items of an index: what tells two catalogues apart without reading their documents."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from elasticsearch import Elasticsearch

from es_recsys.index.fetch import scan

__all__ = ["catalogue_digest", "scan_item_digests"]

_PAGE = 10_000


def scan_item_digests(client: Elasticsearch, index: str) -> Iterator[list[str]]:
    """Yield pages of each item's id and content digest as one text, with a NUL between them."""
    for page in scan(client, index, fields=("content_digest",), size=_PAGE):
        yield [f"{hit['_id']}\0{hit.get('_source', {}).get('content_digest', '')}" for hit in page]


def catalogue_digest(client: Elasticsearch, index: str) -> str:
    """Return a digest, 32 hex digits, of all items and of what encoders made of them, whatever order they lie in."""
    total = 0
    for page in scan_item_digests(client, index):
        for line in page:
            total += int.from_bytes(hashlib.blake2b(line.encode("utf-8", "surrogatepass"), digest_size=16).digest())
    return f"{total % 2**128:032x}"
