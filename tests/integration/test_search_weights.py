"""How personal searches are is chosen at the end of a training, and whole titles stay first."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest
from recent_sample import recent_sample_store

from es_recsys import Client, Settings
from es_recsys.evaluation import EvalQuery, ask
from es_recsys.jobs.load_events import load_events
from es_recsys.query import Query
from es_recsys.sample import SampleStore
from es_recsys.search.retriever_weights import SEARCH_KINDS
from es_recsys.training import weight_questions
from es_recsys.training.served_ranker import ServedRanker, without_person

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def shop() -> SampleStore:
    return recent_sample_store(items=300, users=300)


@pytest.fixture(scope="module")
def client(
    module_settings: Callable[..., Settings], shop: SampleStore, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Client]:
    """The sample store with enough shoppers to choose by, nothing trained."""
    file = tmp_path_factory.mktemp("sample") / "events.jsonl"
    file.write_text("".join(event.model_dump_json(exclude_none=True) + "\n" for event in shop.events))
    with Client(settings=module_settings()) as client:
        client.insert_items(shop.items)
        load_events(client.workspace, [file])
        yield client


def test_of_very_many_events_those_of_some_are_learned_from(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    events = client.workspace.events
    asking = [EvalQuery(Query(user_id="u0003"), {}), EvalQuery(Query(user_id="u0004"), {})]
    rng = np.random.default_rng(0)
    assert len(list(weight_questions.events_to_learn_from(client.workspace, asking, rng))) == events.count()
    monkeypatch.setattr(weight_questions, "_MOST_EVENTS", events.count() // 5)
    found = list(weight_questions.events_to_learn_from(client.workspace, asking, rng))
    assert events.count() // 10 < len(found) < events.count() // 2
    for user in ("u0003", "u0004"):
        assert sum(event.user_id == user for event in found) == sum(event.user_id == user for event in events.scan())


def test_what_is_surely_better_is_chosen_and_every_title_stays_first(client: Client, shop: SampleStore) -> None:
    report = client.train(["covisitation"])
    chosen = report.figures["searches"]
    assert chosen.keys() <= SEARCH_KINDS.keys()
    assert sum(one["queries"] for one in chosen.values()) >= 100
    kept = {kind: one["weights"] for kind, one in chosen.items() if one["kept"]}
    assert kept
    tables = client.workspace.snapshots.latest().metadata.retriever_weights
    assert {kind: table for kind, table in tables.items() if kind in SEARCH_KINDS} == kept
    for kind in kept:
        assert chosen[kind]["after"] > chosen[kind]["before"]
        assert any(line.startswith(f"{kind}: ") and "over the neutral answer" in line for line in report.chosen)
    shoppers = [shopper.user_id for shopper in shop.shoppers]
    asked = [EvalQuery(Query(text=item.title, user_id=shoppers[n % len(shoppers)]), {}) for n, item in enumerate(shop.items)]
    titles = {item.item_id: item.title.lower() for item in shop.items}

    def lost(ranker: ServedRanker) -> int:
        found = ask(ranker, asked, 1).lists
        return sum(not own or titles[own[0]] != one.query.text.lower() for own, one in zip(found, asked, strict=True))

    assert lost(ServedRanker(client.workspace, asked)) <= lost(ServedRanker(client.workspace, asked, without_person)) + 1
