"""Requests say the same as the client's own serializers make them say."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from elasticsearch.serializer import NdjsonSerializer

from es_recsys.engine.connect import connect, connect_async
from es_recsys.engine.serializers import SERIALIZERS
from es_recsys.settings import Settings

LINES: list[list[Any]] = [
    [],
    [{}],
    [{"index": {"_id": "é\u2028\n"}}, {"price": 0.1, "none": None, "many": [1, 2**53, -0.0, 1e-9]}],
    [b'{"ready": 1}', '{"ready": "\u00fc"}', {"not": "yet"}],
    [{"query_vector": np.array([0.1, -2.5e-8], np.float32).tolist()}, {"at": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)}],
]


def values(written: bytes) -> list[Any]:
    assert not written or written.endswith(b"\n")
    return [json.loads(line) for line in written.split(b"\n") if line]


@pytest.mark.parametrize("lines", LINES, ids=len)
def test_lines_hold_the_same_values(lines: list[Any]) -> None:
    ours = SERIALIZERS["application/x-ndjson"]
    assert values(ours.dumps(lines)) == values(NdjsonSerializer().dumps(lines))
    assert ours.loads(ours.dumps(lines)) == values(ours.dumps(lines))


@pytest.mark.parametrize("step", [1, 2])
def test_an_array_is_written_as_short_as_its_numbers_allow(step: int) -> None:
    array = np.random.default_rng(7).standard_normal(384).astype(np.float32)[::step]
    for ours in SERIALIZERS.values():
        written = ours.dumps([{"query_vector": array}])
        [found] = json.loads(written) if written.startswith(b"[") else values(written)
        np.testing.assert_array_equal(np.array(found["query_vector"], np.float32), array)
        assert step > 1 or len(written) < 0.7 * len(ours.dumps([{"query_vector": array.tolist()}]))


async def test_the_clients_write_by_them() -> None:
    settings = Settings(url="http://localhost:1")
    asynchronous = connect_async(settings)
    for client in (connect(settings), asynchronous):
        for kind, ours in SERIALIZERS.items():
            for name in (kind, kind.replace("application/", "application/vnd.elasticsearch+")):
                assert client.transport.serializers.get_serializer(name) is ours
    await asynchronous.close()
