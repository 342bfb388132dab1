"""Training on a real engine where a model can't be trained or served: the others go into service."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from es_recsys import Client, Event, Item, Settings
from es_recsys.errors import ModelError
from es_recsys.models import CoVisitation, UserKNN
from es_recsys.training import publish, train_version, trial_time
from es_recsys.training import train as training

pytestmark = pytest.mark.engine

USERS, ITEMS = 60, 30


def _events() -> list[Event]:
    start = datetime(2026, 3, 1, tzinfo=UTC).timestamp()
    return [
        Event(
            event_type="purchase" if step % 2 else "view",
            user_id=f"u{user}",
            item_id=f"i{(user + step) % ITEMS}",
            timestamp=start + 86_400 * step + 60 * user,
        )
        for user in range(USERS)
        for step in range(6)
    ]


@pytest.fixture(scope="module")
def client(module_settings: Callable[..., Settings]) -> Iterator[Client]:
    """Items that can't be had, with one word in all their titles and another in each; and what people did with them."""
    with Client(settings=module_settings()) as client:
        client.insert_items(Item(item_id=f"i{n}", title=f"product {n}", available=False) for n in range(ITEMS))
        client.put_events(_events())
        yield client


def test_titles_that_share_no_words_end_with_models_in_service(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial_time, "_ALWAYS", 99)  # every model is tried, however slow the machine
    report = client.train(budget=0.0)
    assert report.models and "lsa" not in report.models
    assert any(line.startswith("lsa is left out. ") for line in report.chosen)
    assert client.workspace.snapshots.latest().models.keys() == set(report.models)


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def fail(where: Any, name: str, error: Exception) -> None:
        def act(*_: Any, **__: Any) -> Any:
            raise error

        monkeypatch.setattr(where, name, act)

    return fail


def test_a_model_that_was_asked_for_fails_where_it_can_not_be_served(client: Client, failing: Callable[..., None]) -> None:
    live = client.workspace.snapshots.latest().metadata
    failing(UserKNN, "to_serve", MemoryError())
    with pytest.raises(ModelError, match="userknn can't be trained: There is not enough memory"):
        client.train(["userknn", "covisitation"])
    assert client.workspace.snapshots.latest().metadata == live


def test_a_full_disk_is_no_fault_of_a_model(client: Client, failing: Callable[..., None]) -> None:
    live = client.workspace.snapshots.latest().metadata
    full = ModelError("The model covisitation can't be written to x (No space left on device).", "Make room.")
    full.__cause__ = OSError(28, "No space left on device")
    failing(publish, "save_models", full)
    with pytest.raises(ModelError, match="No space left"):
        client.train(budget=0.0)
    assert client.workspace.snapshots.latest().metadata == live


def test_what_can_not_be_served_is_left_out(
    client: Client, failing: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = training.train_spec
    monkeypatch.setattr(
        training,
        "train_spec",
        lambda *given, **more: replace(
            usual(*given, **more),
            shares={"userknn": 0.5, "covisitation": 0.5},
            names=(),
            configs={"userknn": UserKNN().config, "covisitation": CoVisitation().config},
        ),
    )
    failing(publish, "index_users", ValueError("a library's own"))
    failing(train_version, "compute_features", ValueError("a library's own"))
    report = client.train()
    assert report.models == ("covisitation",) and report.weights == {"covisitation": 1.0}
    assert "userknn is left out when it was put into service. ValueError: a library's own" in report.chosen
    assert "Rankings learn nothing of the items' figures: ValueError: a library's own" in report.chosen
    found = client.recommend("u1", n=5)
    assert found.ranking.degraded == ()
