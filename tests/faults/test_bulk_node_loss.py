"""Bulk writes to three nodes while one of them is killed, and swaps by a process that is killed."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from elasticsearch import Elasticsearch
from waiting import wait_until

from es_recsys.errors import IndexStateError
from es_recsys.index import versions
from es_recsys.index.bulk import BulkSettings, bulk_write
from es_recsys.index.bulk_actions import Action
from es_recsys.index.chunk_sender import RetryPolicy
from es_recsys.index.dead_letters import DeadLetterFile
from es_recsys.index.fetch import scan_ids
from es_recsys.index.swap import swap
from es_recsys.index_metadata import IndexMetadata, items_alias, profiles_alias

if TYPE_CHECKING:
    from cluster import Cluster

pytestmark = pytest.mark.engine


@pytest.mark.long
def test_acknowledged_is_stored_when_a_node_is_killed(cluster: Cluster, tmp_path: Path) -> None:
    killed = threading.Event()

    def things(n: int) -> Iterator[Action]:
        for i in range(n):
            if i == n // 3:
                primary = next(s["node"] for s in client.cat.shards(index=metadata.index, format="json") if s["prirep"] == "p")
                cluster.kill(primary)
                killed.set()
            yield Action(f"i{i}", {"item_id": f"i{i}", "title": f"thing {i}"}, "create")

    with Elasticsearch(cluster.urls, request_timeout=150) as client:
        metadata = versions.create(client, IndexMetadata("kill", 1), count=100, live=True)
        client.cluster.health(index=metadata.index, wait_for_status="green", timeout="120s")
        letters = DeadLetterFile(tmp_path / "dead.jsonl")
        retry = RetryPolicy(attempts=20, initial_delay_s=0.1, max_delay_s=5.0, request_timeout_s=120)
        report = bulk_write(
            client, things(30_000), index=metadata.index, settings=BulkSettings(retry=retry), dead_letters=letters,
            rng=np.random.default_rng(0), refresh=True,
        )  # fmt: skip
        stored = {i for page in scan_ids(client, metadata.index) for i in page}
    dead = {json.loads(line)["id"] for line in letters.path.read_text().splitlines()} if letters.count else set()
    assert killed.is_set()
    assert report.created + report.failed == 30_000 and len(dead) == report.failed
    assert len(stored) >= report.created
    assert stored | dead == {f"i{i}" for i in range(30_000)}


SWAPPER = """
import sys
from elasticsearch import Elasticsearch
from es_recsys.index.swap import swap
with Elasticsearch(sys.argv[1]) as client:
    while True:
        for version in (2, 1):
            swap(client, sys.argv[2], version)
            print("swapped", flush=True)
"""


def test_a_swapper_that_is_killed_leaves_one_whole_version(es: Elasticsearch, es_url: str, store_name: str) -> None:
    for number in (1, 2):
        metadata = versions.create(es, IndexMetadata(store_name, number), count=10, live=number == 1)
        es.index(index=metadata.index, id="1", document={"item_id": "1"}, refresh=True)
    failures: list[BaseException] = []
    reads = [0]
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            try:
                assert es.search(index=items_alias(store_name))["hits"]["total"]["value"] == 1
                reads[0] += 1
            except BaseException as error:
                failures.append(error)
            done.wait(0.01)  # the swappers are to have their share of the machine

    reader = threading.Thread(target=read)
    reader.start()
    rng = np.random.default_rng(4)
    try:
        for _ in range(3):
            swapper = subprocess.Popen([sys.executable, "-c", SWAPPER, es_url, store_name], stdout=subprocess.PIPE)
            assert swapper.stdout is not None
            assert [swapper.stdout.readline() for _ in range(4)] == [b"swapped\n"] * 4
            done.wait(float(rng.uniform(0.0, 0.1)))
            swapper.kill()
            swapper.wait()
            swapper.stdout.close()
            # Both in one look, as the request that it had just sent may be carried out between two.
            names = f"{items_alias(store_name)},{profiles_alias(store_name)}"
            items, profiles = sorted(es.indices.get_alias(name=names))
            assert (items[:-7], profiles[:-7]) == (items_alias(store_name), profiles_alias(store_name))
            assert items[-6:] == profiles[-6:]
            enough = reads[0] + 10
            assert wait_until(lambda enough=enough: reads[0] >= enough or bool(failures))  # type: ignore[misc]
    finally:
        done.set()
        reader.join()
    assert failures == []
    es.cluster.health(wait_for_events="languid", timeout="60s")
    for version in (1, 2, 1):
        swap(es, store_name, version)
    with pytest.raises(IndexStateError, match="is live"):
        versions.drop(es, store_name, 1)
