"""Personalised search and recommendations for any catalogue, on Elasticsearch."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from es_recsys.client import AsyncClient, Client
    from es_recsys.dataset import Profile
    from es_recsys.errors import RecsysError
    from es_recsys.query import Answer, Hit, Query, Ranking
    from es_recsys.settings import Settings, load_settings
    from es_recsys.types import Event, Item

__all__ = [
    "Answer",
    "AsyncClient",
    "Client",
    "Event",
    "Hit",
    "Item",
    "Profile",
    "Query",
    "Ranking",
    "RecsysError",
    "Settings",
    "load_settings",
]

_HOME = {
    "Answer": "query",
    "AsyncClient": "client",
    "Client": "client",
    "Hit": "query",
    "Profile": "dataset",
    "Query": "query",
    "Ranking": "query",
    "RecsysError": "errors",
    "Settings": "settings",
    "load_settings": "settings",
}


def __getattr__(name: str) -> Any:
    # Names are loaded when they are used, so that importing the package costs nothing.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"es_recsys.{_HOME.get(name, 'types')}"), name)
