"""A search body on an adopted index: Elasticsearch's answer, whose best hits are ordered again for a person."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from elasticsearch import Elasticsearch
from elasticsearch.helpers import bulk

from es_recsys import Answer, AsyncClient, Client, Event, Item, Query
from es_recsys.errors import InputError
from es_recsys.index_metadata import items_alias
from es_recsys.query import Hit
from es_recsys.search.body_window import WINDOW, page_of_body
from es_recsys.serving.operations import Search
from es_recsys.serving.workspace import Workspace
from es_recsys.settings import Settings
from es_recsys.training.lambdamart import LambdaMARTConfig
from es_recsys.training.train_ranking import train_ranking

pytestmark = pytest.mark.engine

COUNT = 260
START = 1_764_400_000
KINDS = ("red", "blue", "green", "white")


@pytest.fixture(scope="module")
def adopted(es: Elasticsearch, module_settings: Callable[..., Settings]) -> Iterator[tuple[Settings, str]]:
    """A store whose items come from an index of products in four colours; ann bought red ones."""
    settings = module_settings()
    name = f"{settings.index}_theirs"
    place = {"type": "dense_vector", "dims": 2, "similarity": "l2_norm"}
    mapping = {"properties": {"code": {"type": "keyword"}, "rank": {"type": "integer"}, "place": place}}
    es.indices.create(index=name, mappings=mapping, settings={"number_of_shards": 1, "number_of_replicas": 0})
    rows = (
        {
            "_index": name,
            "_id": f"d{n}",
            "_source": {
                "code": f"p{n}",
                "title": f"{KINDS[n % 4]} shirt" + " cotton" * (n % 5),
                "colour": KINDS[n % 4],
                "rank": n,
                "place": [n, 1],
            },
        }
        for n in range(COUNT)
    )
    bulk(es, rows, refresh=True)
    with Client(settings=settings) as client:
        client.sync_items(source=f"index:{name}", columns={"item_id": "code", "title": "title", "categories": "colour"})
        events = [
            Event(
                event_type="purchase",
                user_id=f"u{user}",
                item_id=f"p{4 * n + user % 4}",
                timestamp=1_764_400_000 + n + 100 * user,
            )
            for user in range(12)
            for n in range(user, user + 20)
        ]
        client.put_events(events)
        client.put_events(Event(event_type="dislike", user_id="u0", item_id="p4", timestamp=1_764_500_000))
        client.train(["covisitation", "als"], budget=0.0)
    yield settings, name


@pytest.fixture
def client(adopted: tuple[Settings, str]) -> Iterator[Client]:
    with Client(settings=adopted[0]) as client:
        yield client


BODY: dict[str, Any] = {
    "query": {"match": {"title": "shirt"}},
    "size": 20,
    "aggs": {"colours": {"terms": {"field": "colour.keyword"}}},
    "highlight": {"fields": {"title": {}}},
}


def _plain(es: Elasticsearch, name: str, body: dict[str, Any]) -> dict[str, Any]:
    return dict(es.search(index=name, **{key.replace("from", "from_"): value for key, value in body.items()}).body)


def _without_time(response: Any) -> dict[str, Any]:
    return {key: value for key, value in response.items() if key != "took"}


@pytest.mark.parametrize("page", [{}, {"from": 20}, {"from": 195, "size": 20}, {"from": 230}, {"collapse": {"field": "code"}}])
@pytest.mark.parametrize("who", [{}, {"user_id": "nobody_known"}, {"user_id": "u0", "personalization": 0.0}])
def test_without_a_person_it_is_elasticsearchs_answer(
    es: Elasticsearch, client: Client, adopted: tuple[Settings, str], page: dict[str, Any], who: dict[str, Any]
) -> None:
    body = {**BODY, **page}
    answer = client.search(body=body, source_index=adopted[1], **who)
    assert _without_time(answer.response) == _without_time(_plain(es, adopted[1], body))
    assert [hit.score for hit in answer.hits] == [hit["_score"] for hit in answer.response["hits"]["hits"]]


def test_no_document_is_lost_where_two_are_of_one_item(es: Elasticsearch, client: Client, adopted: tuple[Settings, str]) -> None:
    name = adopted[1]
    twin = {"code": "p8", "title": "red shirt twin", "colour": "red", "rank": 8}
    es.index(index=name, id="twin", document=twin, refresh=True)
    try:
        body = {"query": {"match": {"title": "red twin"}}, "size": 100}
        theirs = _plain(es, name, body)["hits"]["hits"]
        answer = client.search(body=body, source_index=name, user_id="u0", explain=True)
        assert answer.response is not None and not answer.unranked
        shown = answer.response["hits"]["hits"]
        assert {hit["_id"] for hit in theirs} - {hit["_id"] for hit in shown} == {"d4"}  # which is disliked
        assert len(shown) == len(theirs) - 1
        assert [hit.item_id for hit in answer.hits] == [hit["_source"]["code"] for hit in shown]
        assert [hit.item_id for hit in answer.hits].count("p8") == 2
        without = client.search(body=body, source_index=name, user_id="u0", exclude=["p8"])
        assert "p8" not in {hit.item_id for hit in without.hits} and len(without.hits) == len(answer.hits) - 2
    finally:
        es.delete(index=name, id="twin", refresh=True)


def test_what_expired_or_is_muted_is_left_out_for_a_person_alone(
    es: Elasticsearch, client: Client, adopted: tuple[Settings, str]
) -> None:
    name, body = adopted[1], {"query": {"match": {"title": "lapsed"}}, "size": 100}
    codes = {"old": {"expires_at": 1_764_400_000}, "theirs": {"author": "eve"}, "kept": {}}
    for code in codes:
        es.index(index=name, id=code, document={"code": code, "title": f"lapsed {code}", "rank": 0}, refresh=True)
    client.insert_items(Item(item_id=code, title=f"lapsed {code}", **more) for code, more in codes.items())
    client.put_events(Event(event_type=kind, user_id="muting", item_id=item) for kind, item in (("view", "p8"), ("mute", "eve")))
    try:

        def shown(**who: Any) -> set[str]:
            return {hit.item_id for hit in client.search(body=body, source_index=name, **who).hits}

        assert shown(user_id="muting") == {"kept"}
        assert shown(user_id="u0") == {"kept", "theirs"}
        # The caller's own answer stays as it is.
        assert shown() == shown(user_id="nobody_known") == shown(user_id="muting", personalization=0.0) == set(codes)
    finally:
        client.delete_items(list(codes))
        for code in codes:
            es.delete(index=name, id=code, refresh=True)


def test_for_a_person_the_window_has_another_order_and_all_else_is_as_it_was(
    es: Elasticsearch, client: Client, adopted: tuple[Settings, str]
) -> None:
    theirs = _plain(es, adopted[1], BODY)
    answer = client.search(body=BODY, source_index=adopted[1], user_id="u0", explain=True)
    response = answer.response
    assert response is not None and not answer.unranked and not answer.ranking.degraded
    red = [hit["_source"]["colour"] == "red" for hit in response["hits"]["hits"]]
    assert sum(red) > sum(hit["_source"]["colour"] == "red" for hit in theirs["hits"]["hits"])
    assert response["aggregations"] == theirs["aggregations"]
    assert response["hits"]["total"] == theirs["hits"]["total"] and answer.ranking.total == theirs["hits"]["total"]["value"]
    assert all("highlight" in hit and "fields" not in hit for hit in response["hits"]["hits"])
    assert [hit["_score"] for hit in response["hits"]["hits"]] == [hit.score for hit in answer.hits]
    assert [hit["_source"]["code"] for hit in response["hits"]["hits"]] == [hit.item_id for hit in answer.hits]
    assert response["hits"]["max_score"] == answer.hits[0].score
    assert all(hit.score == pytest.approx(sum(hit.parts.values())) and "query" in hit.parts for hit in answer.hits)
    assert any(len(hit.parts) > 1 and hit.because for hit in answer.hits)
    assert "p4" not in {hit.item_id for hit in answer.hits}, "a dislike is left out"


CONTENTS: list[dict[str, Any]] = [
    {},
    {"_source": False},
    {"_source": ["title"], "version": True, "seq_no_primary_term": True},
    {"_source": {"excludes": ["rank"]}, "fields": ["colour*"], "docvalue_fields": [{"field": "rank", "format": "000"}]},
    {"docvalue_fields": ["code"], "stored_fields": ["_routing"]},
    {"fields": ["rank"], "runtime_mappings": {"rank": {"type": "keyword"}}},
    {"highlight": {"fields": {"title": {}}, "pre_tags": "[", "post_tags": "]"}},
    {"highlight": {"fields": {"title": {"highlight_query": {"match": {"title": "cotton"}}}, "colour": {}}}},
    {"highlight": {"fields": {"title": {}}, "highlight_query": {"match": {"title": "cotton"}}}, "_source": False},
    {"collapse": {"field": "code", "inner_hits": {"name": "same", "size": 1, "_source": ["title"]}}},
    {"explain": True},
    {"knn": {"field": "place", "query_vector": [1, 2], "k": 200, "num_candidates": 200}, "highlight": {"fields": {"title": {}}}},
]


@pytest.mark.parametrize("contents", CONTENTS, ids=str)
def test_each_hit_of_a_page_is_as_elasticsearch_has_it(
    es: Elasticsearch, client: Client, adopted: tuple[Settings, str], contents: dict[str, Any]
) -> None:
    query = {"match": {"title": {"query": "shirt", "_name": "words"}}}
    body = {"query": query, "size": 20, "track_scores": True, "sort": ["_score"], **contents}
    theirs = {hit["_id"]: hit for hit in _plain(es, adopted[1], {**body, "size": COUNT})["hits"]["hits"]}
    found = client.search(body=body, source_index=adopted[1], user_id="u0").response
    assert (
        found is not None and len(found["hits"]["hits"]) == 20 and list(theirs)[:20] != [h["_id"] for h in found["hits"]["hits"]]
    )
    for hit in found["hits"]["hits"]:
        assert hit.pop("_score") >= 0.0
        assert hit == {name: value for name, value in theirs[hit["_id"]].items() if name != "_score"}


@pytest.mark.parametrize("contents", [{}, {"_source": False}, {"collapse": {"field": "brand"}}, {"fields": ["title"]}], ids=str)
def test_each_hit_of_the_stores_own_items_is_as_elasticsearch_has_it(
    es: Elasticsearch, client: Client, adopted: tuple[Settings, str], contents: dict[str, Any]
) -> None:
    index = items_alias(adopted[0].index)
    body = {"query": {"match": {"title": "shirt"}}, "size": 20, **contents}
    theirs = {hit["_id"]: hit for hit in _plain(es, index, {**body, "size": COUNT})["hits"]["hits"]}
    answer = client.search(body=body, source_index=index, user_id="u0")
    hits = answer.response["hits"]["hits"] if answer.response else []
    assert hits and [hit.item_id for hit in answer.hits] == [hit["_id"] for hit in hits]
    assert all({**hit, "_score": theirs[hit["_id"]]["_score"]} == theirs[hit["_id"]] for hit in hits)


def test_a_hit_that_is_deleted_while_the_page_is_read_is_left_out(
    es: Elasticsearch, client: Client, adopted: tuple[Settings, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    document = {"code": "gone", "title": "vanishing shirt", "colour": "red", "rank": 0}
    es.index(index=adopted[1], id="gone", document=document, refresh=True)
    steps = Search.steps

    def deleted_between(self: Search) -> Any:
        if self.documents:
            es.delete(index=adopted[1], id="gone", refresh=True)
        return (yield from steps(self))

    monkeypatch.setattr(Search, "steps", deleted_between)
    answer = client.search(body={"query": {"match": {"title": "vanishing shirt"}}}, source_index=adopted[1], user_id="u0")
    assert answer.response is not None and len(answer.hits) == len(answer.response["hits"]["hits"]) == 9
    assert "gone" not in {hit.item_id for hit in answer.hits} and not answer.ranking.degraded


def test_pages_meet_and_beyond_the_window_the_order_stands(
    es: Elasticsearch, client: Client, adopted: tuple[Settings, str]
) -> None:
    def page(offset: int, size: int) -> list[str]:
        found = client.search(body={**BODY, "from": offset, "size": size}, source_index=adopted[1], user_id="u1")
        return [hit.item_id for hit in found.hits]

    whole = page(0, COUNT)
    theirs = [hit["_source"]["code"] for hit in _plain(es, adopted[1], {**BODY, "size": COUNT})["hits"]["hits"]]
    assert len(whole) == COUNT and sorted(whole) == sorted(theirs)
    assert whole[:WINDOW] != theirs[:WINDOW] and whole[WINDOW:] == theirs[WINDOW:]
    assert [*page(0, 50), *page(50, 145), *page(195, 20), *page(215, 45)] == whole


def test_documents_that_the_store_lacks_keep_their_own_score(
    es: Elasticsearch, client: Client, adopted: tuple[Settings, str]
) -> None:
    es.index(index=adopted[1], id="new", document={"code": "new", "title": "shirt", "colour": "red", "rank": 0}, refresh=True)
    try:
        answer = client.search(body=BODY, source_index=adopted[1], user_id="u0")
        unknown = next(hit for hit in answer.hits if hit.item_id == "new")
        assert list(unknown.parts) == ["query"]
    finally:
        es.delete(index=adopted[1], id="new", refresh=True)


@pytest.mark.parametrize(
    "change",
    [
        {"sort": [{"rank": "asc"}]},
        {"sort": ["rank", "_score"], "search_after": [3, 0.0]},
        {"size": 0},
        {"from": 220},
        {"sort": {"_score": "asc"}},
    ],
)
def test_what_has_an_order_of_its_own_passes_through_and_says_so(
    es: Elasticsearch, client: Client, adopted: tuple[Settings, str], change: dict[str, Any]
) -> None:
    answer = client.search(body={**BODY, **change}, source_index=adopted[1], user_id="u0")
    assert answer.unranked and answer.to_dict()["unranked"] == answer.unranked
    assert _without_time(answer.response) == _without_time(_plain(es, adopted[1], {**BODY, **change}))


@pytest.mark.parametrize(
    "sort", [None, "_score", ["_score", {"rank": "asc"}], [{"_score": {"order": "desc"}}], {"_score": "desc"}]
)
def test_sorts_by_score_are_known(sort: Any) -> None:
    assert not page_of_body({"sort": sort}).unranked


def test_exclusions_and_diversity_work_on_the_window(client: Client, adopted: tuple[Settings, str]) -> None:
    first = [hit.item_id for hit in client.search(body=BODY, source_index=adopted[1]).hits]
    without = client.search(body=BODY, source_index=adopted[1], exclude=first[:3])
    assert [hit.item_id for hit in without.hits][:17] == first[3:]
    varied = client.search(body=BODY, source_index=adopted[1], user_id="u0", diversity=0.7)
    assert len({hit.source["colour"] for hit in varied.hits[:6]}) > 1


def test_what_can_not_be_answered_is_told(client: Client, adopted: tuple[Settings, str]) -> None:
    with pytest.raises(InputError, match="has not adopted"):
        client.search(body=BODY, source_index="another")
    with pytest.raises(InputError, match="go together"):
        client.search(body=BODY)
    with pytest.raises(InputError, match="not a mapping"):
        client.search(body="query", source_index=adopted[1])  # type: ignore[arg-type]
    with pytest.raises(InputError, match="own filters"):
        client.search(body=BODY, source_index=adopted[1], filter="price:1..2")
    with pytest.raises(InputError, match="page"):
        client.search(body=BODY, source_index=adopted[1], n=5)
    with pytest.raises(InputError, match=r"unknown query \[mtch\]"):
        client.search(body={"query": {"mtch": {}}}, source_index=adopted[1], user_id="u0")


async def test_other_ways_to_ask_answer_alike(adopted: tuple[Settings, str], client: Client) -> None:
    asked = {"body": BODY, "source_index": adopted[1], "user_id": "u2"}
    expected = [hit.item_id for hit in client.search(**asked).hits]  # type: ignore[arg-type]
    many = list(client.execute_many([Query(**asked), Query(text="shirt"), Query(**asked)]))  # type: ignore[arg-type]
    async with AsyncClient(settings=adopted[0]) as other:
        found = await other.search(**asked)  # type: ignore[arg-type]
    for answer in (many[0], many[2], found):
        assert not isinstance(answer, Exception)
        assert [hit.item_id for hit in answer.hits] == expected


def test_what_people_took_of_windows_orders_them(
    client: Client, adopted: tuple[Settings, str], es: Elasticsearch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """People click the longest title of those shown: trees learn it from the log, of windows alone."""
    pytest.importorskip("lightgbm")
    name, work, now = adopted[1], client.workspace, client.workspace.now()

    def query(user: int, **page: int) -> Query:
        body = {**BODY, "query": {"match": {"title": f"{KINDS[user % 4]} shirt"}}, "size": 10, **page}
        return Query(text="shirt", body=body, source_index=name, user_id=f"u{user % 12}")

    def ask(user: int, **page: int) -> Answer:
        return client.execute(query(user, **page))

    def length(hit: Hit) -> int:
        return len(str(hit.source["title"]))

    clicks = []
    for number, answer in enumerate(client.execute_many(query(user, **{"from": user % 60}) for user in range(120))):
        assert isinstance(answer, Answer)
        taken = max(answer.hits, key=length).item_id
        clicks.append(Event(event_type="click", user_id=f"c{number % 10}", item_id=taken, query_id=answer.answer_id))
    client.put_events(clicks)
    trees = LambdaMARTConfig(trees=20, steps=2, num_leaves=7, max_depth=4, learning_rate=0.2, min_data_in_leaf=10, folds=3)
    (outcome,) = train_ranking(work, trees=trees).outcomes
    assert (outcome.situation, outcome.kept) == ("window", True) and outcome.after > outcome.before + 0.1

    before = client.search("shirt", user_id="u0")
    assert "base" not in before.hits[0].parts, "a search of our own has no learned ranking"
    es.index(index=name, id="new", document={"code": "new", "title": "red shirt", "colour": "red", "rank": 0}, refresh=True)
    monkeypatch.setattr(Workspace, "now", staticmethod(lambda: now))  # trees read how long something is ago
    try:
        whole = ask(0, size=COUNT + 1)
        assert not whole.ranking.degraded and whole.response is not None
        assert [hit["_score"] for hit in whole.response["hits"]["hits"]] == [hit.score for hit in whole.hits]
        assert whole.response["hits"]["max_score"] == whole.hits[0].score
        for hit in whole.hits:
            assert hit.score == pytest.approx(sum(hit.parts.values()))
        ordered, rest = whole.hits[:100], whole.hits[100:]
        assert sum(length(hit) for hit in ordered[:10]) > sum(length(hit) for hit in ordered[-10:])
        assert any("title" in hit.parts and "base" in hit.parts for hit in ordered)
        assert all("base" not in hit.parts and "query" in hit.parts for hit in rest)
        assert min(hit.score for hit in ordered) >= max(hit.score for hit in rest) - 1e-9
        unknown = next(hit for hit in whole.hits if hit.item_id == "new")
        assert list(unknown.parts) == ["query"]
        assert [hit.item_id for at in (0, 7, 95, 190) for hit in ask(0, **{"from": at, "size": 7}).hits] == [
            hit.item_id for at in (0, 7, 95, 190) for hit in whole.hits[at : at + 7]
        ]
        theirs = _plain(es, name, BODY)
        neutral = client.search("shirt", body=BODY, source_index=name, user_id="u0", personalization=0.0)
        assert _without_time(neutral.response) == _without_time(theirs)
    finally:
        es.delete(index=name, id="new", refresh=True)
