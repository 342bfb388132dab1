"""`tune event-weights` from the command line: chosen, used by the next training and by profiles, and taken back."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from es_recsys import Client, Event, Item, Settings
from es_recsys.cli import main
from es_recsys.events.interactions import read_interactions
from es_recsys.jobs.load_events import load_events
from es_recsys.jobs.versions import swap_version
from es_recsys.settings import EncoderSettings
from es_recsys.training.retrain import train_if_needed
from es_recsys.training.train import train
from es_recsys.training.training_record import TrainingRecord

pytestmark = pytest.mark.engine


def visits(users: int = 200) -> Iterator[Event]:
    """Ten families of ten items; everybody buys and puts into the cart out of one, and looks at anything."""
    rng = np.random.default_rng(5)
    begin = datetime.now(UTC) - timedelta(days=60)
    for user in range(users):
        own = (10 * (user % 10) + rng.permutation(10)).tolist()
        kinds = ["cart", "cart", "purchase", "cart", "cart", "purchase", *["view"] * 30]
        items = [*own[:6], *rng.integers(0, 100, 30).tolist()]
        days = np.sort(rng.random(len(items)) * 58)
        for place, day in zip(rng.permutation(len(items)).tolist(), days.tolist(), strict=True):
            when = begin + timedelta(days=day)
            yield Event(event_type=kinds[place], user_id=f"u{user}", item_id=f"i{items[place]:02d}", timestamp=when)


@pytest.fixture(scope="module")
def client(module_settings: Callable[..., Settings], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    file = tmp_path_factory.mktemp("shop") / "events.jsonl"
    file.write_text("".join(event.model_dump_json(exclude_none=True) + "\n" for event in visits()))
    settings = module_settings().model_copy(update={"encoders": EncoderSettings(text="none", image="none")})
    with Client(settings=settings) as client:
        client.insert_items([Item(item_id=f"i{place:02d}", title=f"thing {place}") for place in range(100)])
        load_events(client.workspace, [file])
        yield client


@pytest.fixture
def command(client: Client, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """Runs a command on the store with --json; -> what it printed."""

    def run(*words: str) -> Any:
        monkeypatch.setenv("ES_RECSYS_HOME", str(client.settings.home))
        given = ("--url", str(client.settings.url), "--index", client.settings.index, "--json")
        monkeypatch.setattr(sys, "argv", ["es-recsys", *words, *given])
        capsys.readouterr()
        with pytest.raises(SystemExit) as caught:
            main()
        assert not caught.value.code
        return json.loads(capsys.readouterr().out)

    return run


@pytest.mark.long
def test_weights_are_chosen_used_and_taken_back(client: Client, command: Callable[..., Any]) -> None:
    work = client.workspace
    train(work, ["covisitation"], budget=0.0, searches=False)
    strength = dict(zip(*_taste(client, "u3"), strict=True))
    found = command("tune", "event-weights")
    assert found["kept"]
    assert found["ndcg_after"] > found["ndcg_before"]
    assert found["weights"]["view"] < 1.0
    assert work.snapshots.latest().metadata.event_weights == found["weights"]
    assert dict(zip(*_taste(client, "u3"), strict=True)) != strength, "profiles follow"

    due = train_if_needed(work, budget=0.0)
    assert due.checked.reasons == ("events weigh otherwise since the training",)
    assert due.outcome == "trained"
    metadata = work.snapshots.latest().metadata
    assert metadata.event_weights == found["weights"]
    record = TrainingRecord.of(metadata)
    assert record is not None
    assert dict(record.event_weights) == found["weights"]
    assert record.events == len(read_interactions(work.events, work.now(), weights=found["weights"]).items)

    again = command("tune", "event-weights")
    # Asked of the models of the training in between, with settings of their own.
    assert again["users"] == found["users"]
    assert again["kept"] == (again["gain"]["low"] > 0.0)

    own = again["weights"] if again["kept"] else found["weights"]
    assert command("tune", "event-weights", "--reset")["removed"] == own
    assert not work.snapshots.latest().metadata.event_weights
    assert dict(zip(*_taste(client, "u3"), strict=True)) == strength
    assert command("tune", "event-weights", "--reset")["removed"] == {}
    before = dict(work.snapshots.latest().popularity)
    swap_version(work, None)
    swap_version(work, metadata.version)
    assert dict(work.snapshots.latest().popularity) == before


def test_a_second_run_takes_over_the_trials_of_the_first(client: Client, command: Callable[..., Any]) -> None:
    if not client.workspace.snapshots.latest().models:
        train(client.workspace, ["covisitation"], budget=0.0, searches=False)
    command("tune", "event-weights", "--reset")
    first = command("tune", "event-weights", "--target", "cart")
    command("tune", "event-weights", "--reset")
    second = command("tune", "event-weights", "--target", "cart")
    assert first["resumed"] == 0
    assert second["resumed"] == second["trials"] == first["trials"]
    assert second["weights"] == first["weights"]


def _taste(client: Client, user: str) -> tuple[list[str], list[float]]:
    history = client.get_user_profile(user).history
    return list(history.item_ids), [float(weight) for weight in history.weights]


def test_what_is_changed_in_the_metadata_is_read_by_the_next_answer(client: Client) -> None:
    work = client.workspace
    before = work.snapshots.latest()
    work.update_metadata(lambda metadata: metadata)
    assert work.snapshots.current() is before
    work.update_metadata(lambda metadata: metadata.with_notes({"tried": 3}))
    assert work.snapshots.current().metadata == before.metadata.with_notes({"tried": 3})
    work.update_metadata(lambda metadata: metadata.with_notes({"tried": None}))
    assert work.snapshots.current().metadata == before.metadata
