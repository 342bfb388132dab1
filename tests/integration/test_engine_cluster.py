from __future__ import annotations

import pytest
from cluster import Cluster

from es_recsys import engine
from es_recsys.settings import Settings

pytestmark = [pytest.mark.engine, pytest.mark.long]


def test_three_nodes_form_one_cluster_and_survive_the_loss_of_one(cluster: Cluster) -> None:
    with engine.connect(Settings(), cluster.nodes["n2"].url) as impatient:
        client = impatient.options(request_timeout=150)
        assert client.cluster.health(wait_for_nodes="3", timeout="120s")["number_of_nodes"] == 3
        client.indices.create(index="kept", settings={"number_of_shards": 1, "number_of_replicas": 2}, wait_for_active_shards=3)
        for number in range(20):
            client.index(index="kept", id=str(number), document={"number": number})
        cluster.kill("n1")
        assert client.cluster.health(wait_for_nodes="2", timeout="120s")["number_of_nodes"] == 2
        client.index(index="kept", id="20", document={"number": 20}, refresh=True)
        assert client.count(index="kept")["count"] == 21
        cluster.start_node("n1")
        health = client.cluster.health(wait_for_nodes="3", wait_for_status="green", timeout="120s")
        assert health["status"] == "green"
