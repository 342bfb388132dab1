"""Answers of a client on a real engine, from the sample store, loaded and trained once: what each of them must hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import pytest
from sample_answers import QUERY, ids_of, in_category

from es_recsys import Answer, Client, Query
from es_recsys.errors import FilterError, InputError, RecsysError
from es_recsys.sample import SampleStore

pytestmark = pytest.mark.engine


def _all_kinds(client: Client, user: str, sample: SampleStore) -> dict[str, Answer]:
    ids = [item.item_id for item in sample.items[:40]]
    return {
        "search": client.search(QUERY, user_id=user, explain=True),
        "neutral search": client.search(QUERY),
        "recommend": client.recommend(user, explain=True),
        "diverse": client.recommend(user, diversity=0.7, explain=True),
        "niche": client.recommend(user, popularity=-0.7, explain=True),
        "calibrated": client.recommend(user, calibration=0.7, explain=True),
        "popular": client.recommend(),
        "history": client.recommend(history=ids[:3], explain=True),
        "similar": client.similar_items(ids[0], explain=True),
        "rank": client.rank(user, ids, explain=True),
        "half": client.search(QUERY, user_id=user, personalization=0.5),
        "deep": client.search("black", user_id=user, offset=20, n=30),
    }


def test_parts_sum_to_the_score_in_every_kind_of_answer(client: Client, user: str, sample: SampleStore) -> None:
    for name, answer in _all_kinds(client, user, sample).items():
        assert answer.hits, name
        assert not answer.ranking.degraded, name
        for hit in answer.hits:
            assert sum(hit.parts.values()) == pytest.approx(hit.score, abs=1e-9), (name, hit)


def test_answers_are_in_order_numbered_and_titled(client: Client, user: str, sample: SampleStore) -> None:
    titles = {item.item_id: item.title for item in sample.items}
    for name, answer in _all_kinds(client, user, sample).items():
        start = 21 if name == "deep" else 1
        assert [hit.rank for hit in answer.hits] == list(range(start, start + len(answer.hits))), name
        assert len(set(ids_of(answer))) == len(answer.hits), name
        assert all(hit.title == titles[hit.item_id] for hit in answer.hits), name
        interests = any(part.startswith("interest_") for hit in answer.hits for part in hit.parts)
        if name not in ("diverse", "niche", "calibrated") and not interests:  # both keep places for what scores less
            scores = [hit.score for hit in answer.hits]
            assert scores == sorted(scores, reverse=True), name


def test_popularity_and_calibration_are_dials(client: Client, user: str) -> None:
    """0 is the answer without them; more is more of it, in a recommendation and in a search."""
    popularity_of = client.workspace.snapshots.current().popularity_of
    assert popularity_of is not None
    for call in (partial(client.recommend, user), partial(client.search, "shoes", user_id=user), partial(client.search, "bag")):
        plain = call()
        assert ids_of(call(popularity=0.0, calibration=0.0)) == ids_of(plain)
        counts = [float(popularity_of(ids_of(call(popularity=dial))).sum()) for dial in (-0.6, 0.0, 0.6)]
        assert counts[0] < counts[1] < counts[2]
    history = client.get_user_profile(user).affinities["categories"]

    def apart(answer: Answer) -> float:
        found = Counter(name for hit in answer.hits for name in hit.source["categories"])
        return sum(abs(share - found[name] / found.total()) for name, share in history.items())

    assert apart(client.recommend(user, calibration=0.9)) < apart(client.recommend(user))
    assert ids_of(client.recommend(calibration=0.9)) == ids_of(client.recommend()), "nothing is known of nobody"


def test_what_is_searched_by_its_name_stays_first_with_every_dial(client: Client, user: str, sample: SampleStore) -> None:
    titled = sample.items[11]
    for dials in ({"popularity": -1.0}, {"popularity": 1.0}, {"calibration": 1.0}):
        assert ids_of(client.search(titled.title, user_id=user, **dials))[0] == titled.item_id


def test_a_search_finds_what_is_asked_for(client: Client, sample: SampleStore) -> None:
    titled = sample.items[11]
    assert client.search(titled.title).hits[0].item_id == titled.item_id
    running = set(in_category(sample, "Running"))
    assert len(running & set(ids_of(client.search(QUERY, n=5)))) >= 3


def test_a_search_knows_the_user(client: Client, sample: SampleStore) -> None:
    one, other = (shopper.user_id for shopper in sample.opposites)
    neutral = client.search("shoes", n=20)
    first, second = client.search("shoes", user_id=one, n=20), client.search("shoes", user_id=other, n=20)
    assert ids_of(first) != ids_of(neutral)
    assert ids_of(first) != ids_of(second)
    personal = {"taste_text", *client.workspace.snapshots.current().metadata.models}
    assert any(personal & hit.parts.keys() for hit in first.hits)
    assert not any(personal & hit.parts.keys() for hit in neutral.hits)


@pytest.mark.parametrize("kind", ["search", "recommend", "rank"])
def test_personalization_0_is_the_neutral_answer(client: Client, user: str, sample: SampleStore, kind: str) -> None:
    known = client.get_user_profile(user)
    left_out = known.disliked | (known.seen if kind == "recommend" else frozenset())
    ids = [item.item_id for item in sample.items[:50]]
    ask = {
        "search": lambda who, **more: client.search(QUERY, user_id=who, n=30, **more),
        "recommend": lambda who, **more: client.recommend(who, n=30, **more),
        "rank": lambda who, **more: client.rank(who, ids, **more),
    }[kind]
    mine, neutral = ask(user, personalization=0.0), ask(None, exclude=left_out)
    assert ids_of(mine) == ids_of(neutral)
    np.testing.assert_allclose([hit.score for hit in mine.hits], [hit.score for hit in neutral.hits], rtol=1e-5)
    assert ids_of(mine) != ids_of(ask(user))


def test_recommend_leaves_out_what_is_known_and_search_does_not(client: Client, user: str, sample: SampleStore) -> None:
    profile = client.get_user_profile(user)
    assert profile.seen
    everything = ids_of(client.recommend(user, n=300))
    assert not profile.seen & set(everything)
    assert not profile.disliked & set(everything)
    assert len(everything) == len(sample.items) - len(profile.seen | profile.disliked)
    titles = {item.item_id: item.title for item in sample.items}
    mine = sorted(profile.seen - profile.disliked)[0]
    assert mine in ids_of(client.search(titles[mine], user_id=user))


FILTERS: list[tuple[Any, Callable[[Any], bool]]] = [
    (["price:20..60"], lambda item: 20 <= item.price <= 60),
    ({"price": (None, 50)}, lambda item: item.price <= 50),
    ({"price": (100, None)}, lambda item: item.price >= 100),
    (["price:>100"], lambda item: item.price > 100),
    (["categories:Shoes"], lambda item: "Shoes" in item.categories),
    (["categories:Shoes,Bags"], lambda item: {"Shoes", "Bags"} & set(item.categories)),
    ({"categories": ["Shoes", "Bags"]}, lambda item: {"Shoes", "Bags"} & set(item.categories)),
    (["-categories:Shoes"], lambda item: "Shoes" not in item.categories),
    (["colour:black", "price:..100"], lambda item: item.attributes["colour"] == "black" and item.price <= 100),
    ({"colour": "black"}, lambda item: item.attributes["colour"] == "black"),
    (["created_at:>2000-01-01"], lambda item: item.created_at.year >= 2000),
]


@pytest.mark.parametrize(("filters", "keeps"), FILTERS, ids=[str(form) for form, _ in FILTERS])
def test_filters_keep_what_meets_them(
    client: Client, user: str, sample: SampleStore, filters: Any, keeps: Callable[[Any], bool]
) -> None:
    known = client.get_user_profile(user)
    meets = {item.item_id for item in sample.items if keeps(item)}
    assert len(meets) > 0
    found = client.recommend(user, n=300, filter=filters)
    assert set(ids_of(found)) == meets - known.seen - known.disliked
    searched = client.search("shoes", user_id=user, n=100, filter=filters)
    assert set(ids_of(searched)) <= meets


@pytest.mark.parametrize("bad", [["nonsense:1"], ["price"], ["price:cheap"], {"nonsense": 1}, ["created_at:yesterday-ish"]])
def test_a_bad_filter_is_named(client: Client, bad: Any) -> None:
    with pytest.raises(FilterError) as caught:
        client.search("shoes", filter=bad)
    assert caught.value.remedy


@pytest.mark.parametrize("options", [{"n": 0}, {"n": 1001}, {"offset": -1}, {"offset": 999, "n": 2}, {"personalization": 1.1}])
def test_numbers_out_of_range_are_refused(client: Client, options: Mapping[str, Any]) -> None:
    with pytest.raises(InputError):
        client.search("shoes", **options)


def test_other_questions_that_cannot_be_answered(client: Client) -> None:
    with pytest.raises(InputError, match="no-such-item"):
        client.similar_items("no-such-item")
    with pytest.raises(InputError):
        client.rank("u0001", [])
    with pytest.raises(InputError, match="no pictures"):
        client.search(image=b"not a picture")
    with pytest.raises(InputError, match=r"missing\.jpg"):
        client.search(image="missing.jpg")


def test_what_is_excluded_stays_out(client: Client, user: str) -> None:
    top = ids_of(client.search(QUERY, user_id=user))[:3]
    assert not set(top) & set(ids_of(client.search(QUERY, user_id=user, n=100, exclude=top)))
    best = ids_of(client.recommend(user))[:3]
    after = ids_of(client.recommend(user, n=100, exclude=best))
    assert not set(best) & set(after)
    assert best[0] not in ids_of(client.rank(user, best, exclude=[best[0]]))


@pytest.mark.parametrize("ask", ["search", "recommend", "neutral"])
def test_pages_partition_the_answer(client: Client, user: str, ask: str) -> None:
    def page(offset: int, n: int) -> Answer:
        if ask == "search":
            return client.search("black leather", user_id=user, offset=offset, n=n)
        return client.recommend(user if ask == "recommend" else None, offset=offset, n=n)

    whole = ids_of(page(0, 60))
    pages = [item_id for start in range(0, 60, 12) for item_id in ids_of(page(start, 12))]
    assert pages == whole
    assert len(set(pages)) == len(pages)


@pytest.mark.parametrize("ask", ["personal", "neutral"])
@pytest.mark.parametrize("text", ["black", "shoes", "leather bag for work"])
def test_a_deep_page_goes_on_where_the_others_end(client: Client, user: str, ask: str, text: str) -> None:
    """Pages up to the ordinary depth come from one body, those beyond it from a deeper one."""
    depth = client.settings.search.text_depth

    def page(offset: int, n: int) -> dict[str, float]:
        answer = client.search(text, user_id=user if ask == "personal" else None, offset=offset, n=n)
        return {hit.item_id: hit.score for hit in answer.hits}

    whole = page(0, depth)
    across = page(depth - 20, 60)
    assert len(whole) == depth and list(whole.items())[-20:] == list(across.items())[:20]
    assert not whole.keys() & (page(depth, 50).keys() | page(depth + 50, 50).keys())
    assert page(0, depth) == whole


def test_the_total_and_facets_count_what_matches(client: Client, sample: SampleStore) -> None:
    shoes = [item for item in sample.items if "Shoes" in item.categories]
    found = client.execute(Query(filter=["categories:Shoes"], facets=True, n=5))
    assert found.ranking.total == len(shoes)
    facets = found.ranking.facets
    assert facets["categories"]["Shoes"] == len(shoes)
    assert facets["brand"] == dict(Counter(item.brand for item in shoes).most_common()) or len(facets["brand"]) == 20
    assert sum(facets["price"].values()) == len(shoes)
    searched = client.search("leather", facets=True, filter=["categories:Shoes"])
    assert searched.ranking.facets["categories"]["Shoes"] == searched.ranking.total


def test_because_names_the_users_own_items(client: Client, user: str) -> None:
    mine = set(client.get_user_profile(user).history.item_ids)
    for answer in (client.recommend(user, explain=True), client.search(QUERY, user_id=user, explain=True)):
        assert any(hit.because for hit in answer.hits)
        assert all(set(hit.because) <= mine for hit in answer.hits)
    assert not any(hit.because for hit in client.recommend(user).hits)


def test_similar_items(client: Client, sample: SampleStore) -> None:
    item = sample.items[0]
    answer = client.similar_items(item.item_id, n=20, explain=True)
    assert len(answer.hits) == 20
    assert item.item_id not in ids_of(answer)
    alike = set(in_category(sample, item.categories[1]))
    assert len(alike & set(ids_of(answer)[:5])) >= 2
    filtered = client.similar_items(item.item_id, filter={"price": (None, 50)}, exclude=[answer.hits[0].item_id])
    assert answer.hits[0].item_id not in ids_of(filtered)


def test_rank_gives_exactly_the_given_items(client: Client, user: str, sample: SampleStore) -> None:
    known = client.get_user_profile(user)
    ids = [item.item_id for item in sample.items[::3] if item.item_id not in known.disliked]
    answer = client.rank(user, [*ids, ids[0], "no-such-item"])
    assert sorted(ids_of(answer)) == sorted(ids)
    assert ids_of(answer) == ids_of(client.rank(user, ids[::-1]))
    assert sorted(ids_of(client.rank(None, ids))) == sorted(ids)


def test_many_questions_are_answered_as_one_by_one(client: Client, user: str) -> None:
    queries = [Query(text=QUERY, user_id=user), Query(user_id=user), Query(filter=["bad:1"]), Query(like="p0001"), Query()] * 8
    together = list(client.execute_many(queries))
    assert len(together) == 40
    assert [isinstance(found, RecsysError) for found in together] == [False, False, True, False, False] * 8
    for query, found in zip(queries[:5], together[-5:], strict=True):
        if isinstance(found, Answer):
            assert ids_of(found) == ids_of(client.execute(query))


@pytest.mark.parametrize("personal", [False, True])
def test_searches_of_a_batch_equal_those_one_by_one(client: Client, sample: SampleStore, personal: bool) -> None:
    asked = [(event.query, event.user_id) for event in sample.events if event.query is not None and event.user_id is not None]
    texts = [f"{text} {word}".strip() for text, _ in asked for word in ("", "red", "for children")]
    users = [user for _, user in asked for _ in range(3)]
    queries = [Query(text=text, user_id=user if personal else None) for text, user in zip(texts, users, strict=True)][:200]
    assert len(queries) == 200
    together = list(client.execute_many(queries))
    assert sum(isinstance(found, Answer) and bool(found.hits) for found in together) > 150
    for query, found in zip(queries, together, strict=True):
        alone = client.execute(query)
        assert isinstance(found, Answer)
        assert ids_of(found) == ids_of(alone)
        assert [hit.score for hit in found.hits] == pytest.approx([hit.score for hit in alone.hits], abs=1e-6)
        assert found.ranking.total == alone.ranking.total and found.ranking.degraded == alone.ranking.degraded == ()


def test_items_come_and_go(client: Client) -> None:
    from es_recsys import Item

    report = client.insert_items([Item(item_id="extra-1", title="Zanzibar Snorkel Deluxe", price=12.5)])
    assert report.added == 1
    assert client.search("zanzibar snorkel").hits[0].item_id == "extra-1"
    assert client.insert_items([Item(item_id="extra-1", title="Zanzibar Snorkel Deluxe", price=12.5)]).unchanged == 1
    assert client.delete_items(["extra-1", "never-there"]).removed == 1
    assert "extra-1" not in ids_of(client.search("zanzibar snorkel"))


def test_options_beside_settings_are_checked(client: Client) -> None:
    with pytest.raises(InputError, match="index"):
        Client(settings=client.settings, index="Not A Name")
    with pytest.raises(InputError, match="nonsense"):
        Client(settings=client.settings, nonsense=1)
    with Client(settings=client.settings, api_key="abc") as other:
        assert other.settings.api_key is not None
        assert "abc" not in repr(other.settings)
        assert other.settings.index == client.settings.index
