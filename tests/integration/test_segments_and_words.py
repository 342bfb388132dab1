"""Segments and latent semantics on a real engine: trained by name, the ones listed by a command, the others served."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from es_recsys import Client, Settings
from es_recsys.cli import main
from es_recsys.doctor import diagnose
from es_recsys.errors import ModelError
from es_recsys.index.stored_metadata import read_metadata, write_metadata
from es_recsys.jobs.load_events import load_events
from es_recsys.jobs.segments import describe_segments, find_segment
from es_recsys.sample import SampleStore
from es_recsys.training.retrain import train_if_needed

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def client(module_settings: Callable[..., Settings], sample: SampleStore, sample_events: Path) -> Iterator[Client]:
    """Items and events, lsa and segments trained."""
    with Client(settings=module_settings()) as client:
        client.insert_items(sample.items)
        load_events(client.workspace, [sample_events])
        with pytest.raises(ModelError, match=r"no segments.*train --add segments"):
            describe_segments(client.workspace)
        client.train(["lsa", "segments"], budget=0.0)
        yield client


def test_words_find_by_their_own_retriever_what_does_not_say_them(client: Client) -> None:
    answer = client.search("rucksack", n=20)
    assert answer.ranking.degraded == ()
    assert any(hit.parts.get("lsa_vector", 0.0) > 0.0 for hit in answer.hits)
    assert all(0.0 <= hit.parts.get("lsa_vector", 0.0) <= 1.0 for hit in answer.hits)


def test_segments_recommend_nothing(client: Client, sample: SampleStore) -> None:
    fresh = client.recommend(history=[sample.items[0].item_id], n=10)
    assert {name for hit in fresh.hits for name in hit.parts} >= {"lsa"}
    assert not any("segments" in hit.parts for hit in fresh.hits)
    for hit in fresh.hits:
        assert sum(hit.parts.values()) == pytest.approx(hit.score)


def test_the_doctor_finds_them(client: Client) -> None:
    found = {check.name: check for check in diagnose(client.settings)}
    assert found["segments"].ok and found["model: lsa"].ok
    assert "model: segments" not in found


def test_they_are_made_again_with_the_models_that_are_live(client: Client) -> None:
    assert train_if_needed(client.workspace, ["segments"]).outcome == "nothing"
    before = client.workspace.snapshots.latest().metadata.version
    report = client.train(["als"], add=True, budget=0.0)
    assert report.version > before
    assert set(report.models) == {"lsa", "als"}
    assert describe_segments(client.workspace).version == report.version


def test_a_version_that_listed_them_among_its_models_is_served(client: Client, sample: SampleStore) -> None:
    live = read_metadata(client.workspace.es, client.settings.index)
    weights = {**live.retriever_weights, "no_query": {**live.retriever_weights["no_query"], "segments": 0.2}}
    write_metadata(client.workspace.es, replace(live, models=(*live.models, "segments"), retriever_weights=weights))
    with Client(settings=client.settings) as other:
        answer = other.recommend(history=[sample.items[0].item_id], n=10)
        assert answer.hits and answer.ranking.degraded == ()
        assert describe_segments(other.workspace).segments
    assert all(check.ok for check in diagnose(client.settings) if check.name.startswith(("model: ", "segments")))


def test_what_a_user_searched_for_reaches_the_models(client: Client, sample: SampleStore) -> None:
    user = next(event.user_id for event in sample.events if event.event_type == "search" and event.user_id)
    profile = client.get_user_profile(user)
    assert profile.history.queries == profile.queries != ()
    assert profile.history.event_types and len(profile.history.event_types) == len(profile.history.item_ids)


def test_the_report_has_no_small_group_and_titles(client: Client, sample: SampleStore) -> None:
    report = describe_segments(client.workspace)
    assert report.segments and all(one.users >= 20 for one in report.segments)
    titles = {item.item_id: item.title for item in sample.items}
    said = report.to_dict()
    json.dumps(said)
    for one in said["segments"]:
        assert all(item["title"] == titles[item["item_id"]] for item in one["popular"])
    profile = client.get_user_profile(sample.shoppers[0].user_id)
    found = find_segment(client.workspace, profile.history)
    assert found is not None and found[0] in report.segments and 0.0 < found[1] <= 1.0


def test_the_commands_show_them(
    client: Client, sample: SampleStore, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    settings = client.settings
    for name, value in (("URL", settings.url), ("INDEX", settings.index), ("HOME", settings.home), ("CACHE", settings.cache)):
        monkeypatch.setenv(f"ES_RECSYS_{name}", str(value))

    def run(*words: str) -> str:
        monkeypatch.setattr(sys, "argv", ["es-recsys", *words])
        capsys.readouterr()
        with pytest.raises(SystemExit) as caught:
            main()
        assert caught.value.code in (0, None)
        return capsys.readouterr().out

    listed = run("segments")
    assert "label" in listed and "silhouette" in listed
    assert json.loads(run("segments", "--json"))["segments"][0]["users"] >= 20
    assert "segment: " in run("profile", "show", sample.shoppers[0].user_id)
    assert set(json.loads(run("profile", "show", sample.shoppers[0].user_id, "--json"))["segment"]) == {
        "segment",
        "label",
        "membership",
    }
