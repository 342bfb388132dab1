"""How personal searches are is chosen at the end of a training, and whole titles stay first."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest
from recent_sample import recent_sample_store

from es_recsys import Client, Settings
from es_recsys.dataset import Interactions
from es_recsys.errors import InputError
from es_recsys.evaluation import EvalQuery, EvalSplit, ask
from es_recsys.evaluation.searches import event_actor
from es_recsys.index_metadata import items_alias
from es_recsys.jobs.load_events import load_events
from es_recsys.query import Query
from es_recsys.sample import SampleStore
from es_recsys.search.personal_ranking import PERSONAL_SEARCH, WINDOW
from es_recsys.search.retriever_weights import SEARCH_KINDS, WINDOW_TABLES
from es_recsys.serving.stored_interactions import load_interactions
from es_recsys.training import weight_questions
from es_recsys.training.personal_examples import personal_examples
from es_recsys.training.personal_ranking import train_personal_ranking
from es_recsys.training.ranking_examples import RankingExamples
from es_recsys.training.scratch_store import copy_events, scratch_store
from es_recsys.training.served_ranker import ServedRanker, without_person
from es_recsys.training.train import train
from es_recsys.training.tune_weights import tune_weights
from es_recsys.training.weight_questions import BodyTemplate

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


def _split(client: Client, users: int) -> EvalSplit:
    work = client.workspace
    data = load_interactions(work, work.snapshots.latest().metadata, work.now())
    return weight_questions.next_items(data, np.random.default_rng(0), users, ())


def test_of_very_many_events_those_of_some_are_learned_from(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    split, rng = _split(client, 2), np.random.default_rng(0)
    every = split.train
    assert weight_questions.interactions_to_learn_from(split, rng) is every
    monkeypatch.setattr(weight_questions, "_MOST_EVENTS", len(every.items) // 5)
    found = weight_questions.interactions_to_learn_from(split, rng)
    assert len(every.items) // 10 < len(found.items) < len(every.items) // 2
    for one in split.queries:
        assert np.count_nonzero(found.user_ids[found.users] == one.actor) == np.count_nonzero(
            every.user_ids[every.users] == one.actor
        )


def test_models_learn_what_the_stored_events_say_that_were_not_held_out(client: Client) -> None:
    split = _split(client, 50)
    with scratch_store(client.workspace) as work:
        copy_events(work, weight_questions.events_for_profiles(client.workspace, split, split.train), split.rule, "train")
        stored = load_interactions(work, work.snapshots.latest().metadata, work.now())
    assert _rows(stored) == _rows(split.train)
    assert len(_rows(stored)) > 1_000


def _rows(data: Interactions) -> list[tuple[str, str, float, float]]:
    columns = data.user_ids[data.users], data.item_ids[data.items], data.weights, data.times
    return sorted(zip(*(column.tolist() for column in columns), strict=True))


def test_who_asks_has_a_profile_and_others_where_they_are_asked_for(client: Client) -> None:
    split, work = _split(client, 20), client.workspace
    asking, every = (
        {event_actor(event) for event in weight_questions.events_for_profiles(work, split, others)}
        for others in (None, split.train)
    )
    assert asking == {one.actor for one in split.queries}
    assert every == set(split.train.user_ids[split.train.users].tolist())
    assert len(every) > len(asking)


@pytest.mark.long
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
    some = shop.items[::3]
    asked = [EvalQuery(Query(text=item.title, user_id=shoppers[n % len(shoppers)]), {}) for n, item in enumerate(some)]
    titles = {item.item_id: item.title.lower() for item in shop.items}

    def lost(ranker: ServedRanker) -> int:
        found = ask(ranker, asked, 1).lists
        return sum(not own or titles[own[0]] != one.query.text.lower() for own, one in zip(found, asked, strict=True))

    assert lost(ServedRanker(client.workspace, asked)) <= lost(ServedRanker(client.workspace, asked, without_person)) + 1


@pytest.mark.long
def test_windows_of_a_callers_body_have_weights_of_their_own(client: Client) -> None:
    client.train(["covisitation"])
    work, index = client.workspace, items_alias(client.settings.index)
    template = BodyTemplate(index, {"query": {"multi_match": {"query": "{words}", "fields": ["title", "categories", "brand"]}}})
    names = [*work.snapshots.latest().models, "taste_text", "taste_image"]
    nothing = {table: {"lexical": 1.0, **dict.fromkeys(names, 0.0)} for table in WINDOW_TABLES.values()}
    work.update_metadata(lambda metadata: replace(metadata, retriever_weights={**metadata.retriever_weights, **nothing}))
    report = tune_weights(work, trials=100, situations=("window",), template=template)
    assert {one.name for one in report.situations} <= set(WINDOW_TABLES.values())
    assert sum(one.queries for one in report.situations) >= 100
    kept = {one.name: dict(one.weights) for one in report.situations if one.kept}
    assert kept
    tables = work.snapshots.latest().metadata.retriever_weights
    assert all(tables[name].items() >= weights.items() for name, weights in kept.items())
    assert all(max(weights[name] for name in names if name in weights) > 0.0 for weights in kept.values())
    assert all(one.after > one.before for one in report.situations if one.kept)
    client.train(["covisitation"])
    assert not work.snapshots.latest().metadata.retriever_weights.keys() & set(WINDOW_TABLES.values())
    with pytest.raises(InputError, match="not adopted"):
        tune_weights(work, situations=("window",), template=BodyTemplate.usual("nothing"))


def cheapest_first(client: Client, queries: Sequence[EvalQuery], tables: Mapping[str, Mapping[str, float]]) -> RankingExamples:
    """Examples of people who take the cheapest of what is found."""
    examples = personal_examples(client.workspace, queries, tables)
    prices = examples.rows[:, examples.names.index("price/value")]
    grades = np.zeros(len(examples.rows))
    for begin, end in zip(examples.starts[:-1], examples.starts[1:], strict=True):
        grades[begin + int(np.argmin(prices[begin:end]))] = 1.0
    return replace(examples, grades=grades, gains=grades, ideals=np.ones(len(examples)))


def test_personal_searches_are_ordered_by_what_people_took(client: Client, shop: SampleStore) -> None:
    train(client.workspace, ["covisitation"], budget=0.0, searches=False)
    work, shoppers = client.workspace, [shopper.user_id for shopper in shop.shoppers]
    names = sorted({name for item in shop.items for name in item.categories})
    table = {"lexical": 1.0, "text_vector": 0.1, "covisitation": 0.5, "popularity": 0.1}
    tables = dict.fromkeys(SEARCH_KINDS, table)
    work.update_metadata(lambda metadata: replace(metadata, retriever_weights={**metadata.retriever_weights, **tables}))
    asked = [EvalQuery(Query(text=names[n % len(names)], user_id=user), {}, actor=user) for n, user in enumerate(shoppers)]
    examples = cheapest_first(client, asked, tables)
    assert len(examples) >= 200
    chance = np.random.default_rng(0).permutation(examples.grades)
    noise = replace(examples, grades=chance, gains=chance)
    few = examples.some(np.arange(100))
    for given, titles, may_lose in ((noise, noise, 10**6), (examples, served_first(few), 0)):
        outcome = train_personal_ranking(work, given, titles, may_lose, 7)
        assert outcome is not None and not outcome.kept
        assert PERSONAL_SEARCH not in work.snapshots.latest().metadata.ranker_fingerprints
    assert train_personal_ranking(work, few, few, 0, 7) is None
    usual = [client.search(one.query.text, user_id=one.query.user_id, n=60) for one in asked[:12]]
    outcome = train_personal_ranking(work, examples, with_first_titles(served_first(few)), 0, 7)
    assert outcome is not None and outcome.kept and outcome.lost_titles == 0 and outcome.gain.mean > 0.2
    rankers = work.snapshots.latest().rankers
    assert rankers.keys() == {PERSONAL_SEARCH} and rankers[PERSONAL_SEARCH] is not None
    cheapest = 0
    for one, before in zip(asked, usual, strict=False):
        answer = client.search(one.query.text, user_id=one.query.user_id, n=60)
        window = [hit.item_id for hit in before.hits[:WINDOW]]
        assert {hit.item_id for hit in answer.hits[: len(window)]} == set(window)
        assert [hit.item_id for hit in answer.hits[len(window) :]] == [hit.item_id for hit in before.hits[len(window) :]]
        assert all(sum(hit.parts.values()) == pytest.approx(hit.score) for hit in answer.hits)
        scores = [hit.score for hit in answer.hits]
        assert scores == sorted(scores, reverse=True)
        pages = [
            hit.item_id
            for start in range(0, 10, 5)
            for hit in client.search(one.query.text, user_id=one.query.user_id, n=5, offset=start).hits
        ]
        assert pages == [hit.item_id for hit in answer.hits[:10]]
        prices = {hit.item_id: hit.source["price"] for hit in before.hits[:WINDOW]}
        cheapest += prices[answer.hits[0].item_id] == min(prices.values())
    assert cheapest >= 9
    text, user = asked[0].query.text, asked[0].query.user_id
    for stranger in ({}, {"user_id": "nobody"}, {"user_id": user, "personalization": 0.0}):
        assert "price" not in client.search(text, **stranger).hits[0].parts
    for item in shop.items[:5]:
        assert "price" not in client.search(f"{item.title} {item.item_id}", user_id=user).hits[0].parts
    train(work, ["covisitation"], budget=0.0, searches=False)
    assert not work.snapshots.latest().metadata.ranker_fingerprints


def with_first_titles(examples: RankingExamples) -> RankingExamples:
    """The same answers, the title of whose first hit alone is what was asked for."""
    rows, column = examples.rows.copy(), examples.names.index("title/equal")
    rows[:, column] = 0.0
    rows[examples.starts[:-1], column] = 1.0
    return replace(examples, rows=rows)


def served_first(examples: RankingExamples) -> RankingExamples:
    """The same answers, of which the first hit is what was wanted."""
    grades = np.zeros(len(examples.rows))
    grades[examples.starts[:-1]] = 1.0
    return replace(examples, grades=grades, gains=grades)
