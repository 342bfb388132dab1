"""A store that was trained with a model that is gone: it answers without it, says so, and is trained again when asked to."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from es_recsys import Client, Event, Item, Settings
from es_recsys.doctor import diagnose
from es_recsys.errors import InputError
from es_recsys.index.stored_metadata import read_metadata, write_metadata
from es_recsys.index_metadata import VectorMetadata
from es_recsys.jobs.evaluate import evaluate
from es_recsys.jobs.evaluate_options import EvaluateOptions
from es_recsys.training.item_table import item_table
from es_recsys.training.retrain import train_if_needed
from es_recsys.training.tune_model import tune_model

pytestmark = pytest.mark.engine

START = datetime(2025, 1, 1, tzinfo=UTC).timestamp()


@pytest.fixture(scope="module")
def client(module_settings: Callable[..., Settings]) -> Iterator[Client]:
    """Forty items, and users who go along them; as if BPR had been trained beside co-visitation by the version before."""
    rng = np.random.default_rng(3)
    events = [
        Event(
            event_type="view",
            user_id=f"u{user}",
            item_id=f"i{(user + step + int(rng.integers(2))) % 40:02d}",
            timestamp=datetime.fromtimestamp(START + 3_600 * (40 * step + user), UTC),
        )
        for user in range(40)
        for step in range(8)
    ]
    with Client(settings=module_settings()) as client:
        client.insert_items([Item(item_id=f"i{place:02d}", title=f"thing {place}") for place in range(40)])
        client.put_events(events)
        client.train(["covisitation"], budget=0.0)
        _serve_with_bpr(client)
        yield client


def _serve_with_bpr(client: Client) -> None:
    es = client.workspace.es
    live = read_metadata(es, client.settings.index)
    field = {"type": "dense_vector", "dims": 3, "index": True, "similarity": "max_inner_product"}
    es.indices.put_mapping(index=live.index, properties={"bpr_vector": field})
    es.update(index=live.index, id="i00", doc={"bpr_vector": [0.1, 0.2, 0.3]}, refresh=True)
    vectors = {**live.vectors, "bpr_vector": VectorMetadata(3, "0" * 16, "bpr", "max_inner_product")}
    weights = {**live.retriever_weights, "no_query": {**live.retriever_weights["no_query"], "bpr": 0.4}}
    told = live.notes["trained"]
    notes = {**live.notes, "trained": {**told, "names": ["bpr", "covisitation"]}}
    write_metadata(es, replace(live, models=("bpr", *live.models), vectors=vectors, retriever_weights=weights, notes=notes))


def test_answers_do_without_it_and_say_so(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING), Client(settings=client.settings) as other:
        answer = other.recommend("u1")
        again = other.recommend("u1")
    assert answer.hits and answer.hits[0].parts["covisitation"] > 0.0
    assert answer.ranking.degraded == again.ranking.degraded == ("bpr",)
    assert sum("do without bpr" in record.getMessage() for record in caplog.records) == 1


def test_the_doctor_says_to_train_again(client: Client) -> None:
    found = {check.name: check for check in diagnose(client.settings)}
    assert not found["model: bpr"].ok
    assert "There is no model 'bpr' any more" in found["model: bpr"].what
    assert "als" in found["model: bpr"].remedy
    assert found["model: covisitation"].ok
    assert "tuned settings" not in found


def test_the_doctor_finds_settings_that_were_tuned_for_it(client: Client) -> None:
    path = client.settings.store_home / "tuned" / "bpr.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text("{}")
    found = {check.name: check for check in diagnose(client.settings)}
    path.unlink()
    assert not found["tuned settings"].ok
    assert str(path) in found["tuned settings"].what
    assert "als" in found["tuned settings"].remedy


def test_the_catalogue_is_read_without_its_vectors(client: Client) -> None:
    table = item_table(client.workspace, client.workspace.snapshots.latest().metadata)
    assert len(table.item_ids) == 40
    assert not table.vectors and not any(any(values) for values in table.attributes.values())


@pytest.mark.parametrize("name", ["bpr", "itemknn", "rp3beta", "gfcf", "tower"])
def test_naming_it_says_what_to_name_instead(client: Client, name: str) -> None:
    def name_it(act: Callable[[], object]) -> str:
        with pytest.raises(InputError, match=f"'{name}' is gone") as raised:
            act()
        return raised.value.remedy

    work = client.workspace
    acts: tuple[Callable[[], object], ...] = (
        lambda: client.train([name], budget=0.0),
        lambda: train_if_needed(work, [name]),
        lambda: tune_model(work, name),
        lambda: evaluate(work, EvaluateOptions(models=(name,))),
    )
    for act in acts:
        assert name_it(act).startswith("Name ")


def test_a_training_is_due_and_leaves_it_out(client: Client) -> None:
    report = train_if_needed(client.workspace, budget=0.0)
    assert report.outcome == "trained"
    assert "there is no bpr any more" in report.checked.reasons
    live = read_metadata(client.workspace.es, client.settings.index)
    assert live.models == ("covisitation",)
    assert "bpr_vector" not in live.vectors
    answer = client.recommend("u1")
    assert answer.hits and answer.ranking.degraded == ()
