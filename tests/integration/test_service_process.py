"""The service as a process of its own, on a free port of this machine, called by the official client of Elasticsearch."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from elasticsearch import AuthenticationException, BadRequestError, Elasticsearch, NotFoundError

from es_recsys import Client, Settings
from es_recsys.index_metadata import items_alias
from es_recsys.jobs.load_events import load_events
from es_recsys.sample import SampleStore
from es_recsys.service.api_keys import ApiKeys

pytestmark = pytest.mark.engine

SHOES: dict[str, Any] = {"match": {"title": "shoes"}}


@pytest.fixture(scope="module")
def store(module_settings: Callable[..., Settings], sample: SampleStore, sample_events: Path) -> Settings:
    settings = module_settings()
    with Client(settings=settings) as client:
        client.insert_items([item.model_copy(update={"image": None}) for item in sample.items])
        load_events(client.workspace, [sample_events])
        client.train(["covisitation"], budget=0.0)
    return settings


@contextmanager
def _serving(settings: Settings, log: Path, *options: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    environment = {
        **os.environ,
        "ES_RECSYS_URL": str(settings.url),
        "ES_RECSYS_INDEX": settings.index,
        "ES_RECSYS_HOME": str(settings.home),
        "ES_RECSYS_CACHE": str(settings.cache),
        "ES_RECSYS_ENCODERS__TEXT": "none",
        "ES_RECSYS_ENCODERS__IMAGE": "none",
        "ES_RECSYS_SERVICE__DEADLINE_S": "60",
    }
    command = [str(Path(sys.executable).with_name("es-recsys")), "serve", "--port", "0", *options]
    with log.open("w") as errors:
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=errors, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.search(r"http://\S+:\d+", line)
        assert found is not None, line + log.read_text()
        yield found[0], process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            raise


def _ids(answer: Any) -> list[str]:
    return [hit["_id"] for hit in answer["hits"]["hits"]]


def test_the_official_client_gets_neutral_and_personal_answers(
    store: Settings, es: Elasticsearch, sample: SampleStore, tmp_path: Path
) -> None:
    index, log = items_alias(store.index), tmp_path / "log"
    user = sample.opposites[0].user_id
    with _serving(store, log) as (url, process), Elasticsearch(url, request_timeout=120) as client:
        assert client.info()["tagline"] == es.info()["tagline"]
        assert client.ping()
        neutral = client.search(index=index, query=SHOES)
        assert _ids(neutral) == _ids(es.search(index=index, query=SHOES))
        mine = client.search(index=index, query=SHOES, ext={"es_recsys": {"user_id": user, "explain": True}})
        assert (mine["_es_recsys"]["personal"], _ids(mine) != _ids(neutral)) == (True, True)
        both = client.msearch(
            index=index, searches=[{}, {"query": SHOES}, {}, {"query": SHOES, "ext": {"es_recsys": {"user_id": user}}}]
        )
        assert [_ids(each) for each in both["responses"]] == [_ids(neutral), _ids(mine)]
        with pytest.raises(BadRequestError, match="parsing_exception"):
            client.search(index=index, query={"nonsense": {}}, ext={"es_recsys": {"user_id": user}})
        with pytest.raises(BadRequestError, match="scripts are refused"):
            client.search(index=index, script_fields={"x": {"script": "1"}})
        with pytest.raises(NotFoundError, match="index_not_found"):
            client.search(index="others")
        event = {"event_type": "view", "user_id": user, "item_id": sample.items[0].item_id}
        report = client.perform_request("POST", "/api/v1/events", headers=_JSON, body=event)
        assert report.body["added"] == 1
    assert process.returncode in (0, -signal.SIGTERM)
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    routes = {line["route"] for line in lines if line["event"] == "request"}
    assert routes == {"/", "/{index}/_search", "/{index}/_msearch", "/api/v1/events"}
    assert user not in log.read_text()


_JSON = {"accept": "application/json", "content-type": "application/json"}


@pytest.mark.long
def test_workers_share_an_address_and_ask_for_keys(store: Settings, sample: SampleStore, tmp_path: Path) -> None:
    keys = ApiKeys(store)
    key, text = keys.create("admin")
    try:
        with _serving(store, tmp_path / "log", "--workers", "2") as (url, process):
            with Elasticsearch(url, request_timeout=120, headers={"x-api-key": text}) as client:
                for _ in range(4):
                    found = client.search(
                        index=items_alias(store.index),
                        query=SHOES,
                        ext={"es_recsys": {"user_id": sample.opposites[0].user_id}},
                    )
                    assert found["_es_recsys"]["personal"] is True
                counted = {
                    re.findall(r'es_recsys_requests_total\{route="/\{index\}/_search",status="200"\} (\S+)', shown.body)[0]
                    for shown in (client.perform_request("GET", "/metrics", headers={"accept": "text/plain"}) for _ in range(8))
                }
                assert counted == {"4.0"}  # whichever of the two tells it
            with Elasticsearch(url, request_timeout=120) as client, pytest.raises(AuthenticationException, match="X-API-Key"):
                client.info()
        assert process.returncode in (0, -signal.SIGTERM)
    finally:
        keys.revoke(key.key_id)


NODE = """
import { Client } from '@elastic/elasticsearch'
const [node, index, user, item] = process.argv.slice(2)
const client = new Client({ node, compression: true })  // bodies are gzipped
const query = { match: { title: 'shoes' } }, ext = { es_recsys: { user_id: user } }
const ids = answer => answer.hits.hits.map(hit => hit._id)
const failed = call => call.catch(error => [error.statusCode, error.body.error.type])
const neutral = await client.search({ index, query }), mine = await client.search({ index, query, ext })
const both = await client.msearch({ searches: [{ index }, { query }, { index }, { query, ext }] })
const body = { event_type: 'view', user_id: user, item_id: item }
const report = await client.transport.request({ method: 'POST', path: '/api/v1/events', body })
const unknown = await failed(client.search({ index: 'others' }))
const refused = await failed(client.search({ index, query: { nonsense: {} }, ext }))
console.log(JSON.stringify({
  tagline: (await client.info()).tagline, pinged: await client.ping(),
  neutral: ids(neutral), mine: ids(mine), said: mine._es_recsys.personal,
  both: both.responses.map(ids),
  refused: [unknown, refused], added: report.added,
}))
"""


@pytest.mark.long
@pytest.mark.skipif(shutil.which("npm") is None, reason="there is no npm")
def test_the_official_client_for_node_gets_neutral_and_personal_answers(
    store: Settings, es: Elasticsearch, sample: SampleStore, tmp_path: Path
) -> None:
    install = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "@elastic/elasticsearch@9"]
    if subprocess.run(install, cwd=tmp_path, capture_output=True, check=False, timeout=300).returncode:
        pytest.skip("npm can't install @elastic/elasticsearch")
    (tmp_path / "asks.mjs").write_text(NODE)
    index, user = items_alias(store.index), sample.opposites[0].user_id
    with _serving(store, tmp_path / "log") as (url, _):
        command = ["node", "asks.mjs", url, index, user, sample.items[0].item_id]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    own = _ids(es.search(index=index, query=SHOES))
    assert (found["tagline"], found["pinged"], found["said"], found["added"]) == (es.info()["tagline"], True, True, 1)
    assert found["neutral"] == own and found["mine"] != own
    assert found["both"] == [own, found["mine"]]
    assert found["refused"] == [[404, "index_not_found_exception"], [400, "parsing_exception"]]
