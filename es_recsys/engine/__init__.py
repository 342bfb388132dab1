"""A reachable Elasticsearch: the one at a URL, or an embedded node."""

from __future__ import annotations

from es_recsys.engine.connect import check_server, check_server_async, connect, connect_async
from es_recsys.engine.embedded import (
    Endpoint,
    OwnedNode,
    resolve_endpoint,
    running_url,
    start,
    start_owned,
    status,
    stop,
)
from es_recsys.engine.state import NodeState

__all__ = [
    "Endpoint",
    "NodeState",
    "OwnedNode",
    "check_server",
    "check_server_async",
    "connect",
    "connect_async",
    "resolve_endpoint",
    "running_url",
    "start",
    "start_owned",
    "status",
    "stop",
]
