"""User-kNN as it is served: similar users come out of Elasticsearch, and nobody stays who was erased."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from es_recsys import AsyncClient, Client, Settings
from es_recsys.cli import main
from es_recsys.dataset import History
from es_recsys.errors import IndexStateError
from es_recsys.events.actors import actor_key, actor_of
from es_recsys.events.interactions import read_interactions
from es_recsys.index_metadata import users_index
from es_recsys.jobs.load_events import load_events
from es_recsys.jobs.versions import drop_version, list_versions, swap_version
from es_recsys.models import UserKNN
from es_recsys.query import Answer, Query
from es_recsys.sample import SampleStore
from es_recsys.serving.answering import execute
from es_recsys.training.served_quality import serving

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def client(module_settings: Callable[..., Settings], sample: SampleStore, sample_events: Path) -> Iterator[Client]:
    """Trained with user-kNN alone."""
    with Client(settings=module_settings()) as client:
        client.insert_items(sample.items)
        load_events(client.workspace, [sample_events])
        client.train(["userknn"], budget=0.0)
        yield client


@pytest.fixture
def users(client: Client) -> str:
    return client.workspace.snapshots.latest().metadata.users


def _model(client: Client) -> UserKNN:
    served = client.workspace.snapshots.current().models["userknn"]
    assert isinstance(served, UserKNN)
    return served


def _here(client: Client, users: str) -> set[str]:
    client.workspace.es.indices.refresh(index=users)
    hits = client.workspace.es.search(index=users, size=1_000, source=False)["hits"]["hits"]
    return {hit["_id"] for hit in hits}


def test_served_answers_are_those_of_the_model_in_memory(client: Client, sample: SampleStore) -> None:
    data = read_interactions(client.workspace.events, client.workspace.now())
    memory = UserKNN(_model(client).config).fit(data, np.random.default_rng(7))
    for shopper in sample.shoppers[5:9]:
        known = client.get_user_profile(shopper.user_id).history
        past = [item for item, weight in zip(known.item_ids, known.weights.tolist(), strict=True) if weight > 0]
        history = History.of(past)
        expected = memory.recommend(history, 20, set(past))
        hits = client.recommend(history=past, n=20).hits
        assert all(set(hit.parts) <= {"userknn", "popularity", "recency"} for hit in hits)
        best = expected[0][1]
        served = {hit.item_id: hit.parts.get("userknn", 0.0) for hit in hits}
        # What is popular and fresh puts those in order that the model likes alike.
        first = [served[hit.item_id] for hit in hits[:3]]
        assert first == pytest.approx([weight / best for _, weight in expected[:3]], abs=2.1e-3)
        assert served == pytest.approx({item: memory.score(history, [item])[0] / best for item in served}, abs=1e-4)


def test_users_are_kept_under_keys_with_what_they_like_and_nothing_else(client: Client, users: str, sample: SampleStore) -> None:
    secret = client.settings.secret()
    keys = {actor_key(actor_of(shopper.user_id), secret) for shopper in sample.shoppers}
    here = _here(client, users)
    assert keys & here and len(here) > 50
    hits = client.workspace.es.search(index=users, size=1_000)["hits"]["hits"]
    assert all(set(hit["_source"]) == {"liked", "strengths"} for hit in hits)
    folder = client.settings.store_home / "models" / f"{client.workspace.snapshots.current().metadata.version:06d}"
    text = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    assert not any(shopper.user_id.encode() in text for shopper in sample.shoppers)


def test_nobody_is_a_neighbour_of_their_own(client: Client, users: str, sample: SampleStore) -> None:
    """With one neighbour, an own copy would have nothing new to say."""
    user = sample.shoppers[3].user_id
    snapshot = client.workspace.snapshots.current()
    model = _model(client)
    narrow = model.with_config(replace(model.config, neighbours=1))
    alone = replace(snapshot, models={"userknn": narrow})
    found = client.workspace.driver.run(execute(alone, Query(user_id=user, n=5), client.workspace.now()))
    assert "userknn" in found.hits[0].parts


async def test_the_asynchronous_client_and_many_questions_at_once_answer_the_same(client: Client, sample: SampleStore) -> None:
    queries = [Query(user_id=shopper.user_id, n=7) for shopper in sample.shoppers[:5]]
    one_by_one = [[hit.item_id for hit in client.execute(query).hits] for query in queries]
    together = [[hit.item_id for hit in found.hits] for found in client.execute_many(queries)]  # type: ignore[union-attr]
    async with AsyncClient(settings=client.settings) as other:
        awaited = [[hit.item_id for hit in (await other.execute(query)).hits] for query in queries]
    assert one_by_one == together == awaited


def test_the_command_line_answers_as_the_client_does(
    client: Client, sample: SampleStore, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    user = sample.shoppers[4].user_id
    monkeypatch.setenv("ES_RECSYS_HOME", str(client.settings.home))
    given = ("--url", str(client.settings.url), "--index", client.settings.index)
    monkeypatch.setattr(sys, "argv", ["es-recsys", "recommend", "--user", user, "--json", *given])
    with pytest.raises(SystemExit) as caught:
        main()
    assert not caught.value.code
    told = json.loads(capsys.readouterr().out)
    assert [hit["item_id"] for hit in told["hits"]] == [hit.item_id for hit in client.recommend(user).hits]
    assert any("userknn" in hit["parts"] for hit in told["hits"])
    assert not told["degraded"]


def test_what_is_measured_in_memory_knows_the_users_that_answers_find_in_elasticsearch(client: Client) -> None:
    snapshot = client.workspace.snapshots.current()
    data = read_interactions(client.workspace.events, client.workspace.now())
    models, shares = serving(snapshot, data, None)
    assert shares == pytest.approx({"userknn": 1.0})
    history = History.of(data.item_ids[data.items[data.users == 3]].tolist())
    assert models["userknn"].recommend(history, 5)
    assert not _model(client).recommend(history, 5)


def test_similar_items_and_neutral_answers_work_too(client: Client, sample: SampleStore) -> None:
    assert client.similar_items(sample.items[0].item_id).hits
    assert not any("userknn" in hit.parts for hit in client.recommend(sample.shoppers[0].user_id, personalization=0.0).hits)
    assert client.recommend("somebody new").hits


def test_reasons_are_the_users_own_items(client: Client, sample: SampleStore) -> None:
    user = sample.shoppers[2].user_id
    own = set(client.get_user_profile(user).history.item_ids)
    hits = client.recommend(user, explain=True).hits
    assert any(hit.because for hit in hits)
    assert all(set(hit.because) <= own for hit in hits)


def test_an_erased_user_is_no_ones_neighbour_any_more(client: Client, users: str, sample: SampleStore) -> None:
    user = sample.shoppers[11].user_id
    key = actor_key(actor_of(user), client.settings.secret())
    assert key in _here(client, users)
    client.delete_user(user)
    hits = client.workspace.es.search(index=users, size=1_000, source=False)["hits"]["hits"]
    assert key not in {hit["_id"] for hit in hits}
    report = client.train(["userknn"], budget=0.0)
    assert key not in _here(client, users_index(client.settings.index, report.version))


def test_users_go_and_come_with_their_version(client: Client, sample: SampleStore) -> None:
    es, store = client.workspace.es, client.settings.index
    with_users = client.workspace.snapshots.latest().metadata.version
    before = [hit.item_id for hit in client.recommend(sample.shoppers[0].user_id).hits]
    plain = client.train(["covisitation"], budget=0.0).version
    assert not es.indices.exists(index=users_index(store, plain))
    assert not client.workspace.snapshots.latest().metadata.searches_users
    assert not any("userknn" in hit.parts for hit in client.recommend(sample.shoppers[0].user_id).hits)
    assert swap_version(client.workspace, None) == with_users
    assert [hit.item_id for hit in client.recommend(sample.shoppers[0].user_id).hits] == before
    swap_version(client.workspace, plain)
    es.indices.delete(index=users_index(store, with_users))
    with pytest.raises(IndexStateError, match="no users index"):
        swap_version(client.workspace, with_users)
    assert {version["version"] for version in list_versions(client.workspace)} >= {plain, with_users}
    drop_version(client.workspace, with_users)
    client.train(["userknn"], budget=0.0)
    last = client.workspace.snapshots.latest().metadata
    assert last.searches_users
    swap_version(client.workspace, None)
    drop_version(client.workspace, last.version)
    assert not es.indices.exists(index=last.users)


def test_without_its_index_the_rest_answers_and_says_so(client: Client, sample: SampleStore) -> None:
    client.train(["userknn", "covisitation"], budget=0.0)
    assert not client.recommend(sample.shoppers[0].user_id).ranking.degraded
    client.workspace.es.indices.delete(index=client.workspace.snapshots.current().metadata.users)
    found = client.recommend(sample.shoppers[0].user_id)
    assert found.ranking.degraded == ("userknn",)
    assert "covisitation" in found.hits[0].parts
    [batched] = client.execute_many([Query(user_id=sample.shoppers[0].user_id)])
    assert isinstance(batched, Answer) and batched.ranking.degraded == ("userknn",)
    client.delete_user(sample.shoppers[0].user_id)
