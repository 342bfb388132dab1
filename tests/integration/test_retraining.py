"""`train --if-needed` on a real engine, as a scheduler runs it."""

from __future__ import annotations

import json
import shutil
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from es_recsys import Client, Event, Item, Settings
from es_recsys.cli import main
from es_recsys.errors import IndexStateError, InputError, StoreNotFound
from es_recsys.index import versions
from es_recsys.index.version_folders import models_folder
from es_recsys.jobs.load_events import load_events
from es_recsys.jobs.versions import list_versions, swap_version
from es_recsys.serving.interaction_stats import interaction_stats_folder
from es_recsys.serving.refresh import set_event_weights
from es_recsys.serving.workspace import Workspace
from es_recsys.settings import EncoderSettings
from es_recsys.training import retrain as retraining
from es_recsys.training.retrain import RetrainReport, train_if_needed
from es_recsys.training.target_types import targets_of
from es_recsys.training.training_record import training_lock

pytestmark = pytest.mark.engine

DAY = 86_400.0
START = datetime(2025, 1, 1, tzinfo=UTC).timestamp()
Words = list[Any]


def rings(days: tuple[int, int], *, anywhere: bool = False, users: int = 80) -> list[Event]:
    """Four rings of 40 items; everybody goes along one, an event every four days, a third of them anywhere (all, where
    `anywhere`). A time span goes on where an earlier one ended."""
    events = []
    for user in range(users):
        rng = np.random.default_rng([user, days[0]])
        for place, day in enumerate(range(days[0], days[1], 4), days[0] // 4):
            ring, along = user % 4, user // 4 + place
            item = int(rng.integers(160)) if anywhere or rng.random() < 0.33 else 40 * ring + along % 40
            time = START + (day + 4.0 * rng.random()) * DAY
            events.append(
                Event(event_type="view", user_id=f"u{user}", item_id=f"i{item:03d}", timestamp=datetime.fromtimestamp(time, UTC))
            )
    return events


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Sets the clock to a day."""

    def put(day: int) -> None:
        monkeypatch.setattr(Workspace, "now", staticmethod(lambda: START + day * DAY))

    return put


@pytest.fixture
def client(settings: Settings, now: Callable[[int], None], tmp_path: Path) -> Iterator[Client]:
    """160 items and sixty days of events, nothing trained."""
    now(60)
    own = settings.model_copy(update={"encoders": EncoderSettings(text="none", image="none")})
    with Client(settings=own) as client:
        client.insert_items([Item(item_id=f"i{place:03d}", title=f"thing {place}") for place in range(160)])
        load(client, tmp_path, rings((0, 60)))
        yield client


def load(client: Client, folder: Path, events: list[Event]) -> None:
    file = folder / "events.jsonl"
    file.write_text("".join(event.model_dump_json(exclude_none=True) + "\n" for event in events))
    load_events(client.workspace, [file])


def live(client: Client) -> int:
    found = versions.live_version(client.workspace.es, client.settings.index)
    assert found is not None
    return found


def run(client: Client, *names: str, **more: Any) -> RetrainReport:
    return train_if_needed(client.workspace, names, **{"budget": 0.0, **more})


def test_it_trains_where_events_have_grown_and_a_rollback_stays(
    client: Client, now: Callable[[int], None], tmp_path: Path
) -> None:
    first = run(client, "covisitation")
    assert (first.outcome, first.checked.reasons) == ("trained", ("version 1 has no model",))
    assert live(client) == 2

    now(61)
    assert run(client).outcome == "nothing"
    now(64)
    load(client, tmp_path, rings((60, 64)))
    again = run(client)
    assert (again.outcome, again.checked.reasons, live(client)) == ("nothing", (), 2)
    assert "it takes +10.0%" in again.checked.facts[0]

    now(80)
    load(client, tmp_path, rings((64, 80)))
    grown = run(client)
    assert grown.outcome == "trained"
    assert "events have grown by" in grown.checked.reasons[0]
    assert grown.compared is not None
    assert not grown.compared.worse
    assert grown.training is not None
    assert grown.training.models == ("covisitation",)
    assert live(client) == 3
    assert client.recommend("u1").hits[0].parts["covisitation"] > 0.0
    assert run(client).outcome == "nothing"

    assert swap_version(client.workspace, None) == 2
    back = run(client)
    assert (back.outcome, live(client)) == ("nothing", 2)
    assert "taken back" in back.checked.facts[0]
    now(100)
    load(client, tmp_path, rings((80, 100)))
    assert run(client).outcome == "trained"
    assert live(client) == 4


def test_what_came_of_answers_is_counted_also_where_no_training_is_due(client: Client) -> None:
    run(client, "covisitation")
    assert not interaction_stats_folder(client.settings).exists()
    for count in (1, 2):
        answer = client.recommend("u1", n=3)
        first, second = (hit.item_id for hit in answer.hits[:2])
        when = datetime.fromtimestamp(START + 60 * DAY - 60 + count, UTC)
        echo = {"item_id": first, "recommendation_id": answer.answer_id, "timestamp": when}
        client.put_events([Event(event_type="click", user_id="u2", **echo)])
        if count == 1:
            assert run(client).outcome == "nothing"
        else:
            client.train(["covisitation"], budget=0.0)
        stats = client.workspace.snapshots.latest().interaction_stats
        assert stats.by_item[first] == (count, count)
        assert stats.by_item[second] == (count, 0.0)
        assert stats.rate == pytest.approx(1 / 3)


@pytest.mark.long
@pytest.mark.parametrize("anywhere", [False, True])
def test_it_trains_where_quality_has_fallen_and_not_by_chance(
    client: Client, now: Callable[[int], None], tmp_path: Path, anywhere: bool
) -> None:
    # A fifth of the users chooses nothing; it takes fifty of them to tell what quality to expect.
    load(client, tmp_path, rings((0, 60), users=400))
    run(client, "covisitation")
    now(76)
    load(client, tmp_path, rings((60, 76), anywhere=anywhere, users=400))
    found = run(client, growth=0.9)
    assert found.checked.quality is not None
    assert found.checked.quality.fallen is anywhere
    assert found.checked.reasons == (("quality has fallen",) if anywhere else ())
    assert (found.outcome == "nothing") is not anywhere
    if found.outcome == "kept":
        assert run(client, growth=0.9).outcome == "nothing"


def test_what_is_worse_is_not_served_and_not_tried_again_at_once(
    client: Client, now: Callable[[int], None], tmp_path: Path
) -> None:
    run(client, "covisitation")
    now(80)
    load(client, tmp_path, rings((60, 80)))
    before = [hit.item_id for hit in client.recommend("u1").hits]
    worse = run(client, "als")
    assert worse.outcome == "kept"
    assert worse.compared is not None
    assert worse.compared.new < worse.compared.serving
    assert worse.training is None
    assert "stays" in list(worse.lines())[-1]
    assert live(client) == 2
    assert [version["version"] for version in list_versions(client.workspace)] == [1, 2]
    assert [hit.item_id for hit in client.recommend("u1").hits] == before
    again = run(client, "als")
    assert again.outcome == "nothing"
    assert "it was worse" in again.checked.facts[0]


@pytest.mark.long
def test_new_items_other_weights_and_other_models_are_reasons(client: Client) -> None:
    run(client, "covisitation")
    client.insert_items([Item(item_id=f"n{place:03d}", title=f"new {place}") for place in range(10)])
    assert run(client).outcome == "nothing"
    client.insert_items([Item(item_id=f"m{place:03d}", title=f"new {place}") for place in range(10)])
    found = run(client)
    assert found.outcome == "trained"
    assert found.checked.reasons == ("items have grown by 12.5%",)
    set_event_weights(client.workspace, {"view": 0.5})
    assert run(client).checked.reasons == ("events weigh otherwise since the training",)
    added = run(client, "als", add=True)
    assert added.checked.reasons == ("als is not served yet",)
    assert added.training is not None
    assert set(added.training.models) == {"covisitation", "als"}
    assert run(client).outcome == "nothing"
    with pytest.raises(InputError, match="nonsense"):
        run(client, "nonsense")
    with pytest.raises(InputError):
        run(client, growth=0.0)


def test_lost_models_are_a_reason(client: Client) -> None:
    run(client, "covisitation")
    shutil.rmtree(models_folder(client.settings, live(client)))
    with Client(settings=client.settings) as other:
        found = run(other)
        assert found.outcome == "trained"
        assert found.checked.reasons == ("the models of version 2 can't be loaded",)
        assert run(other).outcome == "nothing"


def test_of_two_runs_at_once_one_trains(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    inside, go_on = threading.Event(), threading.Event()
    real = retraining.train_and_publish

    def slow(*given: Any, **more: Any) -> Any:
        inside.set()
        assert go_on.wait(60)
        return real(*given, **more)

    monkeypatch.setattr(retraining, "train_and_publish", slow)
    reports: list[RetrainReport] = []
    first = threading.Thread(target=lambda: reports.append(run(client, "covisitation")))
    first.start()
    try:
        assert inside.wait(60)
        with Client(settings=client.settings) as other:
            assert run(other).outcome == "busy"
            with pytest.raises(IndexStateError, match="Another training"):
                other.train(["covisitation"])
    finally:
        go_on.set()
        first.join()
    assert [report.outcome for report in reports] == ["trained"]
    assert live(client) == 2


def test_without_a_store_or_events_there_is_nothing_to_do(settings: Settings) -> None:
    with Client(settings=settings, encoders={"text": "none", "image": "none"}) as client:
        with pytest.raises(StoreNotFound):
            run(client)
        client.insert_items([Item(item_id="i1", title="thing")])
        report = run(client)
        assert (report.outcome, report.checked.facts) == ("nothing", ("There are no positive events to train on.",))


def test_what_answers_are_to_lead_to_stays_until_a_training_names_nothing(
    client: Client, now: Callable[[int], None], tmp_path: Path
) -> None:
    def leading() -> tuple[str, ...]:
        return targets_of(client.workspace.snapshots.latest().metadata)

    run(client, "covisitation")
    assert leading() == ()
    due = run(client, targets=("view", "view"))
    assert (due.outcome, due.checked.reasons, leading()) == ("trained", ("answers are to lead to view",), ("view",))
    assert due.training is not None and any("with view" in line for line in due.training.chosen)
    assert run(client, targets=("view",)).outcome == run(client).outcome == "nothing"

    now(80)
    load(client, tmp_path, rings((60, 80)))
    assert (run(client).outcome, leading()) == ("trained", ("view",))
    client.train(["als"], add=True, budget=0.0)
    assert leading() == ("view",)
    client.train(["covisitation"], budget=0.0)
    assert leading() == ()
    for train in (client.train, client.train_if_needed):
        with pytest.raises(InputError, match="'dislike' is no event"):
            train(targets=("dislike",))


def test_the_command_ends_with_0_whatever_there_was_to_do(
    client: Client, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def command(*words: str, code: int = 0) -> str:
        given = ("--url", str(client.settings.url), "--index", client.settings.index)
        monkeypatch.setenv("ES_RECSYS_HOME", str(client.settings.home))
        monkeypatch.setattr(sys, "argv", ["es-recsys", *words, *given])
        capsys.readouterr()
        with pytest.raises(SystemExit) as caught:
            main()
        assert (caught.value.code or 0) == code
        return capsys.readouterr().out

    assert "Training, as version 1 has no model." in command("train", "--if-needed", "covisitation", "--budget", "0")
    assert "No training is needed." in command("train", "--if-needed")
    with training_lock(client.settings):
        assert "nothing is done" in command("train", "--if-needed")
        command("train", "covisitation", code=4)
    told = json.loads(command("train", "--if-needed", "--json"))
    assert told["outcome"] == "nothing"
    assert told["reasons"] == []
    told = json.loads(command("train", "ranking", "--if-needed", "--json"))
    assert told["outcome"] == "nothing" and "no ranking was trained" in told["facts"][0] and "query_id" in told["facts"][0]
    command("train", "ranking", "--if-needed", "--growth", "0", code=2)
    command("train", "ranking", "--target", "view", code=2)
    assert "Training, as answers are to lead to view." in command("train", "--if-needed", "--target", "view", "--budget", "0")
    assert "with view" in command("train", "covisitation", "--target", "view", "--budget", "0")
    command("train", "--target", "views", code=2)
    assert "Version 3" in command("index", "swap")
