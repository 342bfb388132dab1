"""A store changes its text encoder while it serves: a new version is filled from the stored items."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import pytest
from typer.testing import CliRunner

from es_recsys import Client, Event, Item, Settings
from es_recsys.cli.app import app
from es_recsys.errors import FingerprintMismatch, IndexStateError
from es_recsys.index.fetch import fetch_vectors
from es_recsys.index.stored_metadata import read_metadata
from es_recsys.index_metadata import IndexMetadata
from es_recsys.jobs import rebuild_index as job
from es_recsys.jobs.rebuild_index import rebuild_index
from es_recsys.jobs.versions import swap_version

pytestmark = [pytest.mark.engine, pytest.mark.long]

OLD, NEW = "all-MiniLM-L6-v2", "minilm-int8"
TITLES = ("trail running shoes", "leather office shoes", "cotton summer dress", "waterproof hiking boots", "wireless headphones")
ITEMS = [Item(item_id=f"i{n}", title=title, price=10 * n) for n, title in enumerate(TITLES)]


@pytest.fixture
def client(module_settings: Callable[..., Settings]) -> Iterator[Client]:
    with Client(settings=module_settings(OLD)) as client:
        client.insert_items(ITEMS)
        client.put_events(
            [Event(event_type="like", user_id="u", item_id="i0"), Event(event_type="view", user_id="v", item_id="i2")]
        )
        yield client


def vectors(client: Client) -> dict[str, np.ndarray]:
    metadata = read_metadata(client.workspace.es, client.settings.index)
    found = fetch_vectors(client.workspace.es, metadata.index, [item.item_id for item in ITEMS], ["text_vector"])
    return {item_id: np.array(fields["text_vector"]) for item_id, fields in found.items()}


def encoded(client: Client, name: str) -> np.ndarray:
    encoder = job._named_encoder(client.workspace, name)
    assert encoder is not None
    return np.array(encoder.encode(TITLES))


@contextmanager
def asked_all_the_time(client: Client) -> Iterator[None]:
    """Another client searches before, during and after what is done in this block; each of its answers is whole."""
    failures: list[BaseException] = []
    done, asked = threading.Event(), threading.Semaphore(0)

    def ask() -> None:
        with Client(settings=client.settings) as other:
            while not done.is_set():
                try:
                    assert other.search("shoes", user_id="u", n=2).ranking.degraded == ()
                except BaseException as error:
                    failures.append(error)
                asked.release()

    reader = threading.Thread(target=ask)
    reader.start()
    try:
        assert asked.acquire(timeout=60)
        yield
        for _ in range(5):
            assert asked.acquire(timeout=60)
    finally:
        done.set()
        reader.join()
    assert failures == []


def test_stored_items_are_encoded_anew_and_answers_go_on(client: Client) -> None:
    before, taste = vectors(client), client.get_user_profile("u").tastes["text_vector"].long
    with asked_all_the_time(client):
        assert rebuild_index(client.workspace, text=NEW) == 2
    metadata = read_metadata(client.workspace.es, client.settings.index)
    assert metadata.vectors["text_vector"].model == NEW
    after = vectors(client)
    for row, item in zip(encoded(client, NEW), ITEMS, strict=True):
        assert after[item.item_id] @ row == pytest.approx(1.0, abs=1e-4)
        assert before[item.item_id] @ row < 1.0 - 1e-4
    # A profile's taste is in the space of the new vectors.
    new_taste = client.get_user_profile("u").tastes["text_vector"].long
    assert taste is not None and new_taste is not None
    assert new_taste @ after["i0"] == pytest.approx(1.0, abs=1e-4)
    assert new_taste @ taste < 1.0 - 1e-4
    assert client.search("shoes for a run", user_id="u", n=1).hits[0].item_id == "i0"
    # A store whose encoder wasn't chosen goes on with the one that it has.
    client.insert_items([Item(item_id="i9", title="running socks")])
    assert client.insert_items(ITEMS).unchanged == len(ITEMS)


def test_items_that_come_and_go_meanwhile_are_in_the_new_version(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    folded = job.fold_all_profiles

    def meanwhile(*given: object) -> object:
        """Write to the version in service while the new one is filled, and ask it."""
        with Client(settings=client.settings) as other:
            other.insert_items([Item(item_id="late", title="rain jacket"), ITEMS[1].model_copy(update={"title": "suede shoes"})])
            other.delete_items(["i2"])
            other.put_events([Event(event_type="purchase", user_id="w", item_id="late")])
            answers.append(other.search("jacket").hits[0].item_id)
        return folded(*given)  # type: ignore[arg-type]

    answers: list[str] = []
    monkeypatch.setattr(job, "fold_all_profiles", meanwhile)
    rebuild_index(client.workspace, text=NEW)
    assert answers == ["late"]
    assert set(client.titles([*(item.item_id for item in ITEMS), "late"])) == {"i0", "i1", "i3", "i4", "late"}
    encoder = job._named_encoder(client.workspace, NEW)
    assert encoder is not None
    expected = np.array(encoder.encode(["suede shoes"]))[0]
    assert vectors(client)["i1"] @ expected == pytest.approx(1.0, abs=1e-4)
    assert client.get_user_profile("w").counts == {"purchase": 1}


@pytest.mark.long
def test_the_command_names_the_encoder_and_the_way_back_is_another_rebuild(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = vectors(client)
    for name, value in {"URL": client.settings.url, "HOME": client.settings.home, "CACHE": client.settings.cache}.items():
        monkeypatch.setenv(f"ES_RECSYS_{name}", str(value))
    done = CliRunner().invoke(app, ["index", "rebuild", "--text-encoder", NEW, "--index", client.settings.index])
    assert (done.exit_code, "Version 2" in done.output, "tune search" in done.output) == (0, True, True), done.output
    with pytest.raises(FingerprintMismatch):
        swap_version(client.workspace, 1)
    rebuild_index(client.workspace, text=OLD)
    for item_id, vector in vectors(client).items():
        assert vector == pytest.approx(before[item_id], abs=1e-6)
    rebuild_index(client.workspace, text="none")
    assert "text_vector" not in read_metadata(client.workspace.es, client.settings.index).vectors
    assert client.search("shoes", user_id="u").hits[0].item_id in {"i0", "i1"}


def test_a_model_that_is_made_of_the_vectors_stands_in_the_way() -> None:
    with pytest.raises(IndexStateError, match="fused") as caught:
        job._with_encoder(IndexMetadata("shop", 1, models=("als", "fused")), None)
    assert "Train without it" in caught.value.remedy
