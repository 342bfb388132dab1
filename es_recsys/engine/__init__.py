"""A reachable Elasticsearch: the one at a URL, or an embedded node."""

from __future__ import annotations

from es_recsys.engine.connect import check_server, check_server_async, connect, connect_async
from es_recsys.engine.embedded import (
    OwnedNode,
    resolve_url,
    running_url,
    start,
    start_owned,
    status,
    stop,
)
from es_recsys.engine.state import NodeState

__all__ = [
    "NodeState",
    "OwnedNode",
    "check_server",
    "check_server_async",
    "connect",
    "connect_async",
    "resolve_url",
    "running_url",
    "start",
    "start_owned",
    "status",
    "stop",
]
