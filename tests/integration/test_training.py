"""Training on a real engine: a new version beside the old one, taken into service whole or not at all."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from waiting import wait_until

from es_recsys import Answer, Client, Event, Item, Query, Settings
from es_recsys.dataset import History
from es_recsys.errors import IndexStateError, InputError, ModelError, StoreNotFound
from es_recsys.index import versions
from es_recsys.index.version_folders import models_folder
from es_recsys.jobs.load_events import load_events
from es_recsys.jobs.versions import drop_version, list_versions, swap_version
from es_recsys.sample import SampleStore
from es_recsys.serving import snapshot_cache as snapshots
from es_recsys.serving.item_features import item_features_folder
from es_recsys.training import publish
from es_recsys.training.lambdamart import LambdaMARTConfig
from es_recsys.training.train_ranking import train_ranking

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def client(module_settings: Callable[..., Settings], sample: SampleStore, sample_events: Path) -> Iterator[Client]:
    """Items and events, nothing trained."""
    with Client(settings=module_settings()) as client:
        client.insert_items(sample.items[:200])
        load_events(client.workspace, [sample_events])
        yield client


def _live(client: Client) -> int:
    live = versions.live_version(client.workspace.es, client.settings.index)
    assert live is not None
    return live


def _numbers(client: Client) -> list[int]:
    return [int(version["version"]) for version in list_versions(client.workspace)]


def _ids(client: Client, user: str) -> list[str]:
    return [hit.item_id for hit in client.recommend(user, n=20).hits]


@pytest.fixture
def user(sample: SampleStore) -> str:
    return sample.shoppers[0].user_id


def test_training_makes_a_version_and_rollback_goes_back(client: Client, user: str) -> None:
    first, before = _live(client), _ids(client, user)
    report = client.train(["als", "covisitation"], budget=0.0)
    assert report.version == _live(client) == first + 1
    assert report.models == ("als", "covisitation")
    assert sum(report.weights.values()) == pytest.approx(1.0)
    assert first in _numbers(client)
    trained = _ids(client, user)
    assert trained != before
    parts = client.recommend(user).hits[0].parts
    assert {"als", "covisitation"} & parts.keys()

    assert swap_version(client.workspace, None) == first
    assert _live(client) == first
    assert _ids(client, user) == before
    assert not {"als", "covisitation"} & client.recommend(user).hits[0].parts.keys()
    assert swap_version(client.workspace, report.version) == report.version
    assert _ids(client, user) == trained
    with pytest.raises(IndexStateError):
        swap_version(client.workspace, 4711)


def test_answers_know_what_behaviour_says_of_item_user_and_pair(client: Client, user: str, sample: SampleStore) -> None:
    client.train(["covisitation"], budget=0.0)
    side = client.workspace.snapshots.latest().item_features
    assert side is not None
    items = sample.items[:200]
    found = side.candidates([item.item_id for item in items], History(), 0.0)
    assert found["item/price"] == pytest.approx(np.log1p([item.price or np.nan for item in items]), rel=1e-5, nan_ok=True)
    assert np.nanmax(found["item/purchases"]) > 0 and np.isfinite(found["item/age"]).any()

    answer = client.search("shoes", user_id=user)
    signals: dict[str, Any] = list(client.workspace.log.read())[-1]["features"]
    assert all(len(each) == len(answer.hits) for each in signals.values() if isinstance(each, list))
    assert {"item/conversion", "user/recency", "pair/category_affinity", "pair/price_distance"} <= signals.keys()
    assert signals["user/events"] > 0 and max(signals["pair/category_affinity"]) > 0
    folder = item_features_folder(models_folder(client.settings, _live(client)))
    aside = folder.with_name("aside")
    shutil.move(folder, aside)
    try:
        with Client(settings=client.settings) as other:
            assert other.search("shoes", user_id=user).hits
        signals = list(client.workspace.log.read())[-1]["features"]
        assert "sum/score" in signals and not [name for name in signals if name.startswith(("item/", "user/", "pair/"))]
    finally:
        shutil.move(aside, folder)


def test_events_between_swaps_are_in_the_profile_after_them(client: Client) -> None:
    live, someone = _live(client), "between-swaps"
    client.train(["covisitation"], budget=0.0)
    new = _live(client)
    assert new != live
    client.put_events(Event(event_type="view", user_id=someone, item_id="p0001", timestamp=datetime.now(UTC)))
    swap_version(client.workspace, live)
    assert client.get_user_profile(someone).counts == {"view": 1}
    swap_version(client.workspace, new)
    assert client.get_user_profile(someone).counts == {"view": 1}


def test_named_models_alone_are_served(client: Client, user: str) -> None:
    report = client.train(["covisitation"], budget=0.0)
    assert report.models == ("covisitation",)
    assert dict(report.weights) == {"covisitation": 1.0}
    metadata = client.workspace.snapshots.latest().metadata
    assert metadata.models == ("covisitation",)
    assert "als_vector" not in metadata.vectors
    assert not any("als" in hit.parts for hit in client.recommend(user).hits)


def test_only_the_version_before_is_kept_and_can_be_dropped(client: Client) -> None:
    live = _live(client)
    report = client.train(["covisitation"], budget=0.0)
    assert _numbers(client) == [live, report.version]
    assert models_folder(client.settings, report.version).exists()
    with pytest.raises(IndexStateError, match="is live"):
        drop_version(client.workspace, report.version)
    drop_version(client.workspace, live)
    assert _numbers(client) == [report.version]
    assert not models_folder(client.settings, live).exists()
    with pytest.raises(IndexStateError):
        swap_version(client.workspace, None)


def test_readers_and_writers_see_no_error_while_it_trains(
    client: Client, sample: SampleStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    users = [shopper.user_id for shopper in sample.shoppers[:5]]
    done = threading.Event()
    failures: list[Exception] = []
    answers = [0, 0]
    late = "trained-meanwhile"

    def act(which: int, once: Callable[[int], object]) -> None:
        while not done.is_set():
            try:
                once(answers[which])
                answers[which] += 1
            except Exception as error:
                failures.append(error)
                return

    def read(n: int) -> None:
        found = client.recommend(users[n % 5]) if n % 2 else client.search("shoes", user_id=users[n % 5])
        assert len(found.hits) == 10
        assert not found.ranking.degraded
        done.wait(0.05)  # the training is to have its share of the machine

    def write(n: int) -> None:
        client.put_events(Event(event_type="view", user_id=late, item_id=f"p{n % 150 + 1:04d}", timestamp=datetime.now(UTC)))
        done.wait(0.05)

    check = publish._check

    def meanwhile(*given: object) -> None:
        """Before a version goes live, some more are answered and recorded."""
        enough = min(answers) + 6
        assert wait_until(lambda: min(answers) >= enough or bool(failures))
        check(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(publish, "_check", meanwhile)
    threads = [threading.Thread(target=act, args=(0, read)), threading.Thread(target=act, args=(1, write))]
    for thread in threads:
        thread.start()
    try:
        client.train(["als", "covisitation"], budget=0.0)
        client.train(["covisitation"], budget=0.0)
    finally:
        done.set()
        for thread in threads:
            thread.join()
    assert not failures, failures[0]
    assert min(answers) >= 12
    assert client.get_user_profile(late).counts == {"view": answers[1]}


def test_an_event_of_a_client_that_has_not_seen_the_swap_is_in_the_new_profiles(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshots, "REFRESH_S", 1e9)
    event = Event(event_type="view", user_id="late-writer", item_id="p0001", timestamp=datetime.now(UTC))
    with Client(settings=client.settings) as other:
        before = other.workspace.snapshots.current().metadata.version
        report = client.train(["covisitation"], budget=0.0)
        assert other.workspace.snapshots.current().metadata.version == before
        assert other.put_events(event).added == 1
        assert other.workspace.snapshots.current().metadata.version == report.version
    assert client.get_user_profile("late-writer").counts == {"view": 1}


def test_items_that_came_meanwhile_are_in_the_new_version(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    check = publish._check

    def meanwhile(*given: object) -> None:
        client.insert_items([Item(item_id="late-item", title="Zanzibar Snorkel")])
        client.delete_items(["p0199"])
        check(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(publish, "_check", meanwhile)
    client.train(["covisitation"], budget=0.0)
    hits = client.search("zanzibar snorkel").hits
    assert hits[0].item_id == "late-item"
    assert not client.titles(["p0199"])


def test_a_failure_in_the_middle_leaves_the_live_version_alone(
    client: Client, user: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    live, numbers, before = _live(client), _numbers(client), _ids(client, user)

    def fail(*_: object) -> None:
        raise IndexStateError("It isn't right.", "Train again.")

    monkeypatch.setattr(publish, "_check", fail)
    with pytest.raises(IndexStateError, match="It isn't right"):
        client.train(["als"], budget=0.0)
    assert _live(client) == live
    assert _numbers(client) == numbers
    names = {path.name for path in models_folder(client.settings, 1).parent.iterdir()}
    assert names <= {f"{number:06d}" for number in numbers}
    assert not [name for name in client.workspace.es.indices.get(index=f"{client.settings.index}*") if f"{live + 1:06d}" in name]
    assert _ids(client, user) == before
    monkeypatch.undo()
    assert client.train(["covisitation"], budget=0.0).version == live + 1


def test_an_unknown_model_is_refused_before_anything_is_done(client: Client) -> None:
    numbers = _numbers(client)
    with pytest.raises(InputError, match="nonsense") as caught:
        client.train(["als", "nonsense"])
    assert "covisitation" in caught.value.remedy
    assert _numbers(client) == numbers


@pytest.mark.parametrize("names", [[], ["als"], ["covisitation"]])
def test_without_events_there_is_nothing_to_train_on(settings: Settings, names: list[str]) -> None:
    with Client(settings=settings, encoders={"text": "none", "image": "none"}) as client:
        with pytest.raises(StoreNotFound):
            client.train(names)
        client.insert_items([Item(item_id=f"i{n}", title=f"thing {n}") for n in range(5)])
        with pytest.raises(ModelError) as caught:
            client.train(names)
        assert caught.value.remedy
        assert _numbers(client) == [1]


def test_models_that_are_lost_are_named(client: Client, user: str) -> None:
    folder = models_folder(client.settings, _live(client))
    aside = folder.with_name("aside")
    with Client(settings=client.settings) as other:
        shutil.move(folder, aside)
        try:
            with pytest.raises(ModelError) as caught:
                other.recommend(user)
            assert str(folder) in caught.value.remedy
        finally:
            shutil.move(aside, folder)
        assert other.recommend(user).hits


def test_a_learned_ranking_reads_what_behaviour_says(client: Client, sample: SampleStore) -> None:
    """People click what many bought: trees find that out from the log, and put it first."""
    pytest.importorskip("lightgbm")
    side = client.workspace.snapshots.latest().item_features
    assert side is not None
    kinds = sorted({item.categories[-1] for item in sample.items[:200]})
    words = sorted({word for item in sample.items[:200] for word in item.tags})
    queries = [f"{kind} {word}" for kind in kinds[:12] for word in words[:10]]

    def asked(some: list[str]) -> list[tuple[Answer, int]]:
        """Answers, and the place of what was bought most in each."""
        users = [shopper.user_id for shopper in sample.shoppers[:20]]
        questions = (Query(text=query, user_id=users[place % 20], n=8) for place, query in enumerate(some))
        answers = [answer for answer in client.execute_many(questions) if isinstance(answer, Answer) and answer.hits]
        sold = [side.candidates([hit.item_id for hit in answer.hits], History(), 0.0)["item/purchases"] for answer in answers]
        return [(answer, int(np.nan_to_num(each, nan=-1.0).argmax())) for answer, each in zip(answers, sold, strict=True)]

    before = asked(queries)
    client.put_events(
        Event(
            event_type="click",
            item_id=answer.hits[most].item_id,
            user_id=f"clicks{number % 4}",
            query_id=answer.answer_id,
            timestamp=datetime.now(UTC),
        )
        for number, (answer, most) in enumerate(before)
    )
    trees = LambdaMARTConfig(trees=20, steps=2, num_leaves=7, max_depth=4, learning_rate=0.2, min_data_in_leaf=10)
    (outcome,) = train_ranking(client.workspace, trees=trees).outcomes
    assert outcome.kept and "item" in outcome.importances and "sum" not in outcome.importances
    after = asked(queries[:40])
    assert np.mean([most for _, most in after]) < 0.7 * np.mean([most for _, most in before[:40]])
    for answer, _ in after:
        assert not answer.ranking.degraded
        assert "item" in {part for hit in answer.hits for part in hit.parts}
        assert [sum(hit.parts.values()) for hit in answer.hits] == pytest.approx([hit.score for hit in answer.hits], abs=1e-9)


def test_where_models_are_lost_others_can_be_trained(client: Client, user: str) -> None:
    import shutil

    shutil.rmtree(models_folder(client.settings, _live(client)))
    with Client(settings=client.settings) as other:
        with pytest.raises(ModelError):
            other.train(["als"], add=True, budget=0.0)
        other.train(["covisitation"], budget=0.0)
        assert other.recommend(user).hits
