"""A store that a version before 0.2 wrote (store_of_before/make.py): today's code answers from it and trains it again."""

from __future__ import annotations

import gzip
import json
import shutil
import sqlite3
import tarfile
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from elasticsearch import Elasticsearch, helpers

from es_recsys import Client, Event, Item, Settings
from es_recsys.doctor import diagnose
from es_recsys.index_metadata import items_alias
from es_recsys.jobs.rebuild_index import rebuild_index
from es_recsys.jobs.versions import list_versions, swap_version
from es_recsys.models.covisitation import CoVisitation
from es_recsys.renamed import RETRIEVERS, current, current_keys
from es_recsys.settings import EncoderSettings
from es_recsys.training.retrain import train_if_needed
from es_recsys.training.tuned_settings import load_tuned

pytestmark = pytest.mark.engine

FILES = Path(__file__).parent / "store_of_before"
NAME = "storeofbefore"
MODELS = ("als", "covisitation", "userknn")
TABLES = ("es_recsys_event", "es_recsys_store", "es_recsys_subject")


def restore_indices(es: Elasticsearch, store: str) -> None:
    text = gzip.decompress((FILES / "indices.json.gz").read_bytes()).decode()
    indices: dict[str, Any] = json.loads(text.replace(NAME, store))
    for index, body in indices.items():
        documents = body.pop("documents")
        es.indices.create(index=index, **body)
        actions = ({"_index": index, "_id": id, "_source": source} for id, source in documents.items())
        helpers.bulk(es, actions, refresh=True)


def restore_home(home: Path, store: str) -> None:
    with tarfile.open(FILES / "home.tar.gz") as archive:
        archive.extractall(home.parent, filter="data")
    assert home.is_dir()
    shutil.move(home / "stores" / NAME, home / "stores" / store)
    with closing(sqlite3.connect(home / "events.sqlite3")) as database, database:
        for table in TABLES:
            database.execute(f"update {table} set store = ?", (store,))


@pytest.fixture
def client(es: Elasticsearch, settings: Settings) -> Iterator[Client]:
    """A client of the store as it was left by the version before."""
    restore_indices(es, settings.index)
    restore_home(settings.home, settings.index)
    with Client(settings=settings.model_copy(update={"encoders": EncoderSettings(text="none", image="none")})) as client:
        yield client


@pytest.fixture(scope="module")
def earlier() -> dict[str, Any]:
    """What the version before answered."""
    answers: dict[str, Any] = json.loads((FILES / "answers.json").read_text())
    return answers


def stored_metadata(client: Client) -> dict[str, Any]:
    """`_meta` of the live version, as it is stored."""
    (body,) = client.workspace.es.indices.get_mapping(index=items_alias(client.settings.index)).values()
    metadata: dict[str, Any] = body["mappings"]["_meta"]
    return metadata


def stored_items(client: Client) -> list[Item]:
    hits = client.workspace.es.search(index=items_alias(client.settings.index), size=100)["hits"]["hits"]
    return [Item(**{key: value for key, value in hit["_source"].items() if key != "content_digest"}) for hit in hits]


def recommended(client: Client, user: str = "u1", n: int = 8) -> list[str]:
    answer = client.recommend(user, n=n)
    assert not answer.ranking.degraded
    return [hit.item_id for hit in answer.hits]


def test_it_is_a_store_with_the_names_of_before(client: Client) -> None:
    metadata = stored_metadata(client)
    assert "format" not in metadata and metadata["models"] == ["als", "transitions", "userknn"]
    assert metadata["weights"]["no_query"].keys() >= {"transitions", "popular", "fresh"}
    assert metadata["lexical"] and metadata["ranking"].keys() == {"query"} and metadata["behaviours"] == {"view": 0.5}


def test_recommendations_are_those_of_before(client: Client, earlier: dict[str, Any]) -> None:
    answer = client.recommend("u1", n=8)
    assert not answer.ranking.degraded
    assert [hit.item_id for hit in answer.hits] == [item_id for item_id, _ in earlier["recommend"]]
    for hit, (_, parts) in zip(answer.hits, earlier["recommend"], strict=True):
        # What is popular and what is new change with time, by a thousandth at most.
        assert dict(hit.parts) == pytest.approx(current_keys(parts, RETRIEVERS), abs=0.0011)
    assert answer.hits[0].parts.keys() >= set(MODELS)


def test_a_search_reads_boosts_models_and_the_learned_ranking_of_before(client: Client, earlier: dict[str, Any]) -> None:
    answer = client.search("red boots", user_id="u1", n=8)
    assert not answer.ranking.degraded
    assert [hit.item_id for hit in answer.hits] == [item_id for item_id, _ in earlier["search"]]
    found = {part for hit in answer.hits for part in hit.parts}
    assert found == {current(part, RETRIEVERS) for _, parts in earlier["search"] for part in parts}
    assert found >= {"base", "price", "lexical", *MODELS}
    assert [hit.item_id for hit in client.search("boots", filter="colour:green", n=3).hits] == ["i01"]


def test_a_profile_is_that_of_before(client: Client, earlier: dict[str, Any]) -> None:
    profile = client.get_user_profile("u1")
    assert (dict(profile.counts), list(profile.history.item_ids)) == (earlier["counts"], earlier["history"])


def test_an_event_shows_in_the_next_answer(client: Client, earlier: dict[str, Any]) -> None:
    now = datetime.now(UTC)
    assert not any("covisitation" in hit.parts for hit in client.recommend("stranger").hits)
    events = [Event(event_type="view", user_id=user, item_id="i19", timestamp=now) for user in ("u1", "stranger")]
    assert client.put_events(events).added == 2
    assert any(hit.parts.get("covisitation", 0.0) > 0.0 for hit in client.recommend("stranger").hits)
    assert recommended(client) != [item_id for item_id, _ in earlier["recommend"]]
    profile = client.get_user_profile("u1")
    assert list(profile.history.item_ids) == [*earlier["history"], "i19"]
    assert profile.counts["view"] == earlier["counts"]["view"] + 1


def test_events_that_are_stored_already_are_known(client: Client) -> None:
    with closing(sqlite3.connect(client.settings.home / "events.sqlite3")) as database:
        rows = database.execute(
            "select subject, event_type, time, item_id, value from es_recsys_event order by row_no"
        ).fetchall()
    assert len(rows) == 150
    events = [
        Event(event_type=kind, user_id=subject[2:], item_id=item_id, value=value, timestamp=datetime.fromtimestamp(time, UTC))
        for subject, kind, time, item_id, value in rows
    ]
    recorded = client.put_events(events)
    assert (recorded.added, recorded.duplicates) == (0, 150)


def test_items_are_compared_added_changed_and_removed(client: Client, earlier: dict[str, Any]) -> None:
    items = stored_items(client)
    report = client.insert_items(items)
    assert (report.unchanged, report.added, report.changed) == (24, 0, 0)
    changed = items[0].model_copy(update={"description": "Of felt"})
    report = client.insert_items([changed, Item(item_id="new", title="violet teapot", group_id="g", attributes={"size": "XL"})])
    assert (report.added, report.changed) == (1, 1)
    assert [hit.item_id for hit in client.search("violet teapot", filter="size:XL").hits] == ["new"]
    # A changed item keeps the vectors that models gave it.
    assert recommended(client) == [item_id for item_id, _ in earlier["recommend"]]
    assert client.delete_items(["new"]).removed == 1


def test_training_writes_the_format_of_today(client: Client) -> None:
    assert load_tuned(client.settings, "covisitation") not in (None, CoVisitation.default_config(ordered=True, timed=True))
    report = client.train(MODELS, budget=0.0)
    assert set(report.models) == set(MODELS)
    metadata = stored_metadata(client)
    assert metadata["format"] == 2 and metadata["version"] == 3 and set(metadata["models"]) == set(MODELS)
    assert not metadata.keys() & {"weights", "lexical", "ranking", "behaviours"}
    assert metadata["event_weights"] == {"view": 0.5} and metadata["text_boosts"]
    assert not metadata["retriever_weights"]["no_query"].keys() & RETRIEVERS.keys()
    assert set(metadata["notes"]["trained"]["names"]) == set(MODELS)
    assert any(set(MODELS) <= hit.parts.keys() for hit in client.recommend("u1").hits)
    assert client.search("red boots", user_id="u1").hits


def test_a_scheduled_training_takes_the_models_of_before(client: Client) -> None:
    report = train_if_needed(client.workspace)
    assert report.outcome == "trained" and report.training is not None
    assert set(report.training.models) == set(MODELS)


def test_versions_are_listed_swapped_and_rebuilt(client: Client, earlier: dict[str, Any]) -> None:
    expected = [item_id for item_id, _ in earlier["recommend"]]
    listed = list_versions(client.workspace)
    assert [(one["version"], one["live"], set(one["models"])) for one in listed] == [(1, False, set()), (2, True, set(MODELS))]
    assert swap_version(client.workspace, 1) == 1
    assert recommended(client) != []
    assert swap_version(client.workspace, 2) == 2
    assert recommended(client) == expected
    assert rebuild_index(client.workspace) == 3
    assert recommended(client) == expected
    assert stored_metadata(client)["format"] == 2


def test_the_doctor_finds_its_models_and_files_whole(client: Client) -> None:
    found = {check.name: check for check in diagnose(client.settings)}
    assert {f"model: {name}" for name in MODELS} <= found.keys()
    assert [check for check in found.values() if not check.ok] == []


def test_the_answer_log_is_read_and_a_user_erased(client: Client) -> None:
    records = list(client.workspace.log.read())
    assert len(records) >= 2 and all("inclusion_probability" in hit for record in records for hit in record["hits"])
    parts = {part for record in records for hit in record["hits"] for part in hit["parts"]}
    assert parts >= {"popularity", *MODELS} and not parts & RETRIEVERS.keys()
    assert any("lexical/score" in record.get("features", {}) for record in records)
    assert not any(name.endswith(("/covered", "/said", "/leading")) for record in records for name in record.get("features", {}))
    erased = client.delete_user("u1")
    assert erased.events == 13
    assert client.get_user_profile("u1").counts == {}
    assert len(list(client.workspace.log.read())) < len(records)
