"""The Python client of a store, synchronous or asynchronous, over the same flows."""

from __future__ import annotations

from es_recsys.client.async_client import AsyncClient
from es_recsys.client.sync_client import Client

__all__ = ["AsyncClient", "Client"]
