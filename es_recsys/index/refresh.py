"""Makes a long write cheaper by not showing it to searches while it lasts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from elasticsearch import Elasticsearch

__all__ = ["unseen"]


@contextmanager
def unseen(client: Elasticsearch, index: str) -> Iterator[None]:
    """While the block lasts, what is written to `index` is stored but not searched; after it, all is.

    A run that was killed leaves the index so; the next one puts it right.
    """
    settings = client.indices.get_settings(index=index, name="index.refresh_interval")
    was = next(iter(settings.values()))["settings"].get("index", {}).get("refresh_interval") if settings else None
    client.indices.put_settings(index=index, settings={"index.refresh_interval": "-1"})
    try:
        yield
    finally:
        client.indices.put_settings(index=index, settings={"index.refresh_interval": None if was == "-1" else was})
        client.indices.refresh(index=index)
