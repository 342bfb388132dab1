"""Makes a long write cheaper by not showing it to searches while it lasts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from elasticsearch import Elasticsearch

__all__ = ["seen", "unseen"]


@contextmanager
def unseen(client: Elasticsearch, index: str) -> Iterator[None]:
    """While the block lasts, what is written to `index` is stored but not searched; after it, all is.

    A run that was killed leaves the index so; the next one puts it right.
    """
    was = _interval(client, index)
    client.indices.put_settings(index=index, settings={"index.refresh_interval": "-1"})
    try:
        yield
    finally:
        client.indices.put_settings(index=index, settings={"index.refresh_interval": None if was == "-1" else was})
        client.indices.refresh(index=index)


def seen(client: Elasticsearch, index: str) -> None:
    """Has searches see what is written, also where a run was killed inside `unseen`."""
    if _interval(client, index) == "-1":
        client.indices.put_settings(index=index, settings={"index.refresh_interval": None})


def _interval(client: Elasticsearch, index: str) -> str | None:
    settings = client.indices.get_settings(index=index, name="index.refresh_interval")
    interval: str | None = None
    if settings:
        interval = next(iter(settings.values()))["settings"].get("index", {}).get("refresh_interval")
    return interval
