"""Serializers of requests and responses: orjson, since vectors are long."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from elastic_transport import Serializer
from elasticsearch.serializer import NdjsonSerializer, OrjsonSerializer

__all__ = ["SERIALIZERS"]


class _OrjsonLines(NdjsonSerializer):
    """One JSON value a line, as `_msearch` and `_bulk` take them; the client's own has no orjson."""

    _line = OrjsonSerializer()

    def json_dumps(self, data: Any) -> bytes:
        return self._line.json_dumps(data)

    def json_loads(self, data: bytes) -> Any:
        return self._line.json_loads(data)


SERIALIZERS: Mapping[str, Serializer] = {one.mimetype: one for one in (OrjsonSerializer(), _OrjsonLines())}
