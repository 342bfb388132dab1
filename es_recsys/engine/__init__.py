"""Gives a reachable Elasticsearch: the one at a URL, or an embedded node of our own."""

from __future__ import annotations

from es_recsys.engine.connect import check_server, check_server_async, connect, connect_async
from es_recsys.engine.embedded import Endpoint, OwnedNode, again, ensure, own, start, status, stop
from es_recsys.engine.state import NodeState

__all__ = [
    "Endpoint",
    "NodeState",
    "OwnedNode",
    "again",
    "check_server",
    "check_server_async",
    "connect",
    "connect_async",
    "ensure",
    "own",
    "start",
    "status",
    "stop",
]
