"""Variants of products on a real engine: answers show one of a product, and events on any of them count for it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from recent_sample import recent_sample_store

from es_recsys import Answer, Client, Event, Item, Settings
from es_recsys.jobs.evaluate import evaluate
from es_recsys.jobs.evaluate_options import EvaluateOptions
from es_recsys.jobs.load_events import load_events
from es_recsys.jobs.load_items import load_items
from es_recsys.jobs.versions import swap_version
from es_recsys.sample import SampleStore
from es_recsys.serving.workspace import Workspace
from es_recsys.settings import FusionWeights, SearchSettings
from es_recsys.sources import ReadOptions

pytestmark = pytest.mark.engine

SIZES = ("S", "M", "L", "XL")


@pytest.fixture(scope="module")
def shop() -> SampleStore:
    return recent_sample_store(items=120, users=40)


@pytest.fixture(scope="module")
def products(shop: SampleStore) -> dict[str, str]:
    """item_id -> product: two items in three have four sizes, the others none."""
    found = {}
    for place, item in enumerate(shop.items):
        found.update({f"{item.item_id}-{size}": item.item_id for size in SIZES} if place % 3 else {item.item_id: item.item_id})
    return found


@pytest.fixture(scope="module")
def client(module_settings: Callable[..., Settings], shop: SampleStore, products: dict[str, str]) -> Iterator[Client]:
    by_id = {item.item_id: item for item in shop.items}
    items = []
    for item_id, product in products.items():
        known = by_id[product].model_copy(update={"image": None, "item_id": item_id})
        if item_id != product:
            size = item_id.rpartition("-")[2]
            known = known.model_copy(update={"group_id": product, "attributes": {**known.attributes, "size": size}})
        items.append(known)
    # Of each product, one event in three is on the product itself and the others on one of its sizes.
    members: dict[str, list[str]] = {}
    for item_id, product in products.items():
        members.setdefault(product, []).append(item_id)
    events = []
    for place, event in enumerate(shop.events):
        own = [event.item_id, *members[event.item_id]] if event.item_id is not None else [None]
        events.append(event.model_copy(update={"item_id": own[place % len(own) if place % 3 else 0]}))
    with Client(settings=module_settings(text="all-MiniLM-L6-v2")) as client:
        client.insert_items(items)
        client.put_events(events)
        client.train(["covisitation", "als"], budget=0.0)
        yield client


@pytest.fixture(scope="module")
def user(shop: SampleStore) -> str:
    return str(Counter(event.user_id for event in shop.events).most_common(1)[0][0])


def _ids(answer: Answer) -> list[str]:
    return [hit.item_id for hit in answer.hits]


def _event(user: str, item_id: str, kind: str = "purchase") -> Event:
    return Event(event_type=kind, user_id=user, item_id=item_id, timestamp=datetime.now(UTC) - timedelta(seconds=60))


def test_an_answer_shows_one_of_a_product_and_pages_are_cut_from_one_order(
    client: Client, user: str, products: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Exploration draws anew with each hour, which may begin between two pages.
    now = Workspace.now()
    monkeypatch.setattr(Workspace, "now", staticmethod(lambda: now))
    for ask in (
        lambda **page: client.search("black shoes", user_id=user, **page),
        lambda **page: client.search("jacket", **page),
        lambda **page: client.search("jacket", diversity=0.6, user_id=user, **page),
        lambda **page: client.recommend(user, **page),
        lambda **page: client.recommend(explore=0.5, session_id="nobody", **page),
    ):
        whole = ask(n=30)
        shown = [products[item_id] for item_id in _ids(whole)]
        assert len(shown) == len(set(shown)) == 30 or len(shown) == whole.ranking.total
        pages = [item_id for offset in (0, 10, 20) for item_id in _ids(ask(n=10, offset=offset))]
        assert pages == _ids(whole)
        assert whole.ranking.total is not None
        assert len(shown) <= whole.ranking.total <= 120
        assert whole.ranking.degraded == ()
        assert all(sum(hit.parts.values()) == pytest.approx(hit.score) for hit in whole.hits)


def test_all_products_can_be_reached(client: Client, products: dict[str, str]) -> None:
    everything = client.recommend(n=200)
    assert sorted(products[item_id] for item_id in _ids(everything)) == sorted(set(products.values()))
    assert everything.ranking.total == 120


def test_a_hit_tells_its_group(client: Client, products: dict[str, str]) -> None:
    hits = client.recommend(n=20).to_dict()["hits"]
    assert {hit["item_id"]: hit.get("group_id") for hit in hits} == {
        hit["item_id"]: products[hit["item_id"]] if products[hit["item_id"]] != hit["item_id"] else None for hit in hits
    }
    assert len({hit.get("group_id") for hit in hits}) > 3


def test_a_filter_decides_which_variant_is_shown(client: Client, products: dict[str, str]) -> None:
    answer = client.search("", filter=["size:L"], n=100)
    assert len(answer.hits) == answer.ranking.total == 80
    assert all(item_id.endswith("-L") for item_id in _ids(answer))
    group = next(product for item_id, product in products.items() if item_id != product)
    assert {hit.product_id for hit in client.search("", filter=[f"group_id:{group}"]).hits} == {group}


def test_rank_orders_every_given_variant(client: Client, user: str, products: dict[str, str]) -> None:
    ids = list(products)[:40]
    assert sorted(_ids(client.rank(user, ids))) == sorted(ids)


@pytest.mark.parametrize("bought", ["group", "variant"])
def test_what_was_bought_in_one_size_is_left_out_in_all(client: Client, products: dict[str, str], bought: str) -> None:
    before = client.recommend(n=100)
    hit = next(hit for hit in before.hits if hit.group_id is not None)
    item_id = str(hit.group_id) if bought == "group" else hit.item_id
    other = f"buyer-of-a-{bought}"
    client.put_events([_event(other, item_id)])
    shown = {hit.product_id for hit in client.recommend(other, n=200).hits}
    assert hit.product_id not in shown
    assert len(shown) == 119
    assert client.get_user_profile(other).seen == {hit.product_id}


def test_a_dislike_of_one_size_counts_for_all(client: Client, products: dict[str, str]) -> None:
    hit = next(hit for hit in client.search("jacket", n=20).hits if hit.group_id is not None)
    client.put_events([_event("grumbler", hit.item_id, "dislike")])
    assert hit.product_id not in {each.product_id for each in client.search("jacket", user_id="grumbler", n=20).hits}


def test_exclude_takes_a_variant_or_a_product(client: Client) -> None:
    hit = next(hit for hit in client.search("jacket").hits if hit.group_id is not None)
    without_item = client.search("jacket", exclude=[hit.item_id])
    assert hit.item_id not in _ids(without_item)
    assert hit.product_id in {each.product_id for each in without_item.hits}
    assert hit.product_id not in {each.product_id for each in client.search("jacket", exclude=[str(hit.group_id)]).hits}


def test_similar_shows_no_other_size_of_the_item(client: Client, products: dict[str, str]) -> None:
    item_id, group = next((item_id, product) for item_id, product in products.items() if item_id != product)
    by_item, by_group = client.similar_items(item_id, n=30), client.similar_items(group, n=30)
    for answer in (by_item, by_group):
        shown = [hit.product_id for hit in answer.hits]
        assert len(shown) == len(set(shown)) == 30
        assert group not in shown
    # The vectors of a product's sizes differ in the third digit, so near ties may change places.
    scores = {hit.product_id: hit.score for hit in by_item.hits[:12]}
    assert all(scores[hit.product_id] == pytest.approx(hit.score, abs=0.01) for hit in by_group.hits[:8])


def test_a_history_of_variants_is_one_of_products(client: Client, products: dict[str, str]) -> None:
    pairs = [(item_id, product) for item_id, product in products.items() if item_id != product][::4][:3]
    by_items = client.recommend(history=[item_id for item_id, _ in pairs], n=20, explain=True)
    by_groups = client.recommend(history=[product for _, product in pairs], n=20, explain=True)
    # The vectors of a product's sizes differ in the fourth digit, so near ties may change places.
    scores = {hit.product_id: hit.score for hit in by_groups.hits}
    assert {hit.product_id: hit.score for hit in by_items.hits[:10]} == {
        hit.product_id: pytest.approx(scores.get(hit.product_id), abs=0.001) for hit in by_items.hits[:10]
    }
    reasons = {reason for hit in by_items.hits for reason in hit.because}
    assert reasons
    assert reasons <= {product for _, product in pairs}


def test_events_on_products_are_known_and_models_know_products(client: Client, products: dict[str, str]) -> None:
    from es_recsys.serving.refresh import refresh_after_items

    assert refresh_after_items(client.workspace) == []
    snapshot = client.workspace.snapshots.latest()
    known = set(products.values())
    for model in snapshot.models.values():
        assert set(model.item_ids.take(range(len(model.item_ids)))) <= known
    assert {product for product, _ in snapshot.popularity} <= known
    assert snapshot.metadata.variants == pytest.approx(4.0)


def test_an_evaluation_counts_any_size_as_the_right_one(client: Client) -> None:
    # Without what only serving adds (what is popular and fresh, places kept for interests) the same model says the same.
    plain = SearchSettings(interests=0, weights=FusionWeights(no_query={"covisitation": 1.0}))
    with Client(settings=client.settings.model_copy(update={"search": plain})) as bare:
        found = evaluate(bare.workspace, EvaluateOptions(models=("covisitation",), users=30, budget=5.0))
    by_name = {one.name: one for one in found.techniques}
    assert all(one.failed == 0 for one in found.techniques)
    assert by_name["covisitation"].figures["NDCG"].mean > by_name["popularity"].figures["NDCG"].mean > 0.0
    assert by_name["served"].figures["NDCG"].mean == pytest.approx(by_name["ensemble"].figures["NDCG"].mean, abs=0.01)


def test_items_that_become_variants_take_their_events_along(module_settings: Callable[..., Settings]) -> None:
    with Client(settings=module_settings()) as client:
        client.insert_items([Item(item_id=name, title=name) for name in ("red", "blue", "sock", "hat")])
        client.put_events([_event("ann", "red"), _event("bob", "shirt"), _event("bob", "sock")])
        assert client.get_user_profile("ann").seen == {"red"}
        assert client.get_user_profile("bob").seen == {"sock"}
        client.insert_items([Item(item_id=name, title=name, group_id="shirt") for name in ("red", "blue")])
        assert client.get_user_profile("ann").seen == {"shirt"}
        assert client.get_user_profile("bob").seen == {"shirt", "sock"}
        assert {hit.item_id for hit in client.recommend("ann").hits} == {"sock", "hat"}
        assert {hit.item_id for hit in client.recommend("bob").hits} == {"hat"}


def test_events_on_products_may_come_before_their_variants(module_settings: Callable[..., Settings], tmp_path: Path) -> None:
    events = tmp_path / "events.csv"
    events.write_text("user_id,item_id,timestamp\nann,shirt,2026-01-01T10:00:00Z\nann,sock,2026-01-02T10:00:00Z\n")
    with Client(settings=module_settings()) as client:
        load_events(client.workspace, [events], ReadOptions(constants={"event_type": "purchase"}))
        client.insert_items([Item(item_id=name, title=name, group_id="shirt") for name in ("red", "blue")])
        assert {hit.item_id for hit in client.recommend("ann").hits} == set()
        assert client.get_user_profile("ann").seen == {"shirt", "sock"}
        assert {hit.product_id for hit in client.recommend(n=20).hits} == {"shirt", "sock"}


def test_variants_are_known_by_their_product_after_a_swap(module_settings: Callable[..., Settings]) -> None:
    with Client(settings=module_settings()) as client:
        client.insert_items([Item(item_id=name, title=name, group_id="shirt") for name in ("red", "blue")])
        client.insert_items([Item(item_id=f"i{n}", title=f"thing {n}") for n in range(8)])
        client.put_events([_event(f"u{n}", f"i{(n + k) % 8}", "view") for n in range(12) for k in range(3)])
        client.train(["covisitation"], budget=1.0)
        swap_version(client.workspace, 1)
        client.put_events([_event("ann", "blue")])
        assert client.get_user_profile("ann").seen == {"shirt"}
        assert {hit.product_id for hit in client.recommend("ann", n=20).hits} == {f"i{n}" for n in range(8)}


SHOP = """Handle,Title,Body (HTML),Vendor,Type,Option1 Name,Option1 Value,Variant SKU,Variant Price,Image Src
tin-mug,Tin Mug,<p>A <b>blue</b> mug</p>,Kiln,Cups,Size,Small,M-S,5,
tin-mug,,,,,,Large,M-L,6,
tin-mug,,,,,,,,,second.jpg
iron-pan,Iron Pan,<p>A pan</p>,Kiln,Pans,Title,Default Title,P-1,9,
"""


@pytest.mark.parametrize("columns", [{}, {"item_id": "Handle", "group_id": "-"}])
def test_an_export_of_shopify_is_found_and_known_by_its_handles(
    module_settings: Callable[..., Settings], tmp_path: Path, columns: dict[str, str]
) -> None:
    (tmp_path / "shop.csv").write_text(SHOP)
    (tmp_path / "events.csv").write_text("user_id,item_id,timestamp\nann,tin-mug,2026-01-01T10:00:00Z\n")
    with Client(settings=module_settings()) as client:
        report = load_items(client.workspace, [tmp_path / "shop.csv"], ReadOptions(columns=columns))
        assert (report.added, report.rejected) == (3 if not columns else 2, 0)
        for words in ("mug", "blue", "kiln cups", "large mug"):
            hits = client.search(words).hits
            assert len({hit.product_id for hit in hits}) == len(hits)
            hit = hits[0]
            assert (hit.product_id, hit.title, hit.source["brand"]) == ("tin-mug", "Tin Mug", "Kiln")
        (large,) = client.search("", filter=["Size:Large"]).hits
        assert large.item_id == ("M-L" if not columns else "tin-mug")
        done = load_events(client.workspace, [tmp_path / "events.csv"], ReadOptions(constants={"event_type": "purchase"}))
        assert done.cleaning.by_reason == {}
        assert [hit.product_id for hit in client.recommend("ann").hits] == ["iron-pan"]


def test_a_product_of_very_many_variants_leaves_room_for_others(module_settings: Callable[..., Settings]) -> None:
    with Client(settings=module_settings()) as client:
        many = [Item(item_id=f"m{n}", title="tin mug", group_id="mug") for n in range(300)]
        client.insert_items([*many, *(Item(item_id=f"o{n}", title=f"tin mug of make {n}") for n in range(12))])
        for answer in (client.search("tin mug", n=20), client.recommend(n=20)):
            shown = [hit.product_id for hit in answer.hits]
            assert (len(shown), len(set(shown)), answer.ranking.total) == (13, 13, 13)


def test_a_product_trends_by_what_is_done_with_all_of_its_variants(client: Client, products: dict[str, str]) -> None:
    several = next(product for item_id, product in products.items() if item_id != product)
    single = next(product for item_id, product in products.items() if item_id == product)
    events = [_event(f"trend-{size}", f"{several}-{size}", "click") for size in SIZES]
    events += [_event(f"trend-{k}", single, "click") for k in range(3)]
    client.put_events(events)
    shown = client.trending(hours=0.05, n=50).hits
    ranked = [hit.product_id for hit in shown]
    assert ranked.index(several) < ranked.index(single) and len(set(ranked)) == len(ranked)
