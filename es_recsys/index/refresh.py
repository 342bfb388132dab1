"""Refresh off during bulk indexing: what is written is not searchable until the end, which makes a long write cheaper."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from elasticsearch import Elasticsearch

__all__ = ["refresh_disabled", "restore_refresh"]


@contextmanager
def refresh_disabled(client: Elasticsearch, index: str) -> Iterator[None]:
    """Set `refresh_interval` to -1 while the block lasts; then restore it and refresh.

    A run that was killed leaves the index so; `restore_refresh` of the next one puts it right.
    """
    before = _interval(client, index)
    client.indices.put_settings(index=index, settings={"index.refresh_interval": "-1"})
    try:
        yield
    finally:
        client.indices.put_settings(index=index, settings={"index.refresh_interval": None if before == "-1" else before})
        client.indices.refresh(index=index)


def restore_refresh(client: Elasticsearch, index: str) -> None:
    """Set `refresh_interval` back to its default where a run was killed inside `refresh_disabled`."""
    if _interval(client, index) == "-1":
        client.indices.put_settings(index=index, settings={"index.refresh_interval": None})


def _interval(client: Elasticsearch, index: str) -> str | None:
    settings = client.indices.get_settings(index=index, name="index.refresh_interval")
    interval: str | None = None
    if settings:
        interval = next(iter(settings.values()))["settings"].get("index", {}).get("refresh_interval")
    return interval
