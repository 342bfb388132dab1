from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from es_recsys.dataset import History, Interactions, ItemTable
from es_recsys.errors import ModelError
from es_recsys.events.decayed_sums import ItemContent
from es_recsys.events.interactions import read_interactions as interactions_of
from es_recsys.events.profile_state import empty_state
from es_recsys.events.profiles import build_profile, fold
from es_recsys.events.store import EventStore
from es_recsys.features import USER_COLUMNS
from es_recsys.models.clustering import LEAST_USERS, group, merged, squared_distances
from es_recsys.models.segment_map import SEGMENT_FEATURES
from es_recsys.models.segments import Segments, SegmentsConfig
from es_recsys.models.types import HistoryBatch
from es_recsys.models.user_features import user_features
from es_recsys.sample import sample_store
from es_recsys.training.item_table import table_of

Make = Callable[..., Interactions]

KINDS = ("shoe", "lamp", "book")


def store(make: Make, sizes: tuple[int, ...], seed: int = 0) -> Interactions:
    """Users of the first kind, of the second, ...; each saw six of the ten items of a kind, and one thing that all see."""
    rng = np.random.default_rng(seed)
    users = {}
    for kind, size in zip(KINDS, sizes, strict=False):
        for user in range(size):
            items = rng.choice(10, 6, replace=False)
            users[f"{kind}{user:03}"] = [*(f"{kind}{item}" for item in items), "all"]
    return make(users)


def catalogue() -> ItemTable:
    ids = sorted([f"{kind}{n}" for kind in KINDS for n in range(10)] + ["all"])
    kinds = [item[:-1] if item != "all" else "" for item in ids]
    n = len(ids)
    titles = [f"fine {kind} nr {item[-1]}" if kind else "fine thing" for item, kind in zip(ids, kinds, strict=True)]
    categories: list[tuple[str, ...]] = [("shop", f"{kind}s") if kind else ("shop",) for kind in kinds]
    return ItemTable(np.array(ids), titles, titles, categories, [""] * n, np.full(n, 10.0), np.full(n, np.nan))


@pytest.fixture(scope="module")
def model(interactions: Make) -> Segments:
    return Segments().fit(store(interactions, (60, 40, 25)), np.random.default_rng(1), catalogue())


def test_the_groups_that_are_there_are_found_and_named(model: Segments) -> None:
    assert [one.users for one in model.profiles] == [60, 40, 25]
    assert [one.share for one in model.profiles] == [60 / 125, 40 / 125, 25 / 125]
    assert max(model.tried, key=lambda k: model.tried[k]) == 3
    for one, kind in zip(model.profiles, KINDS, strict=True):
        assert one.categories == (f"{kind}s",)
        assert one.label == f"{kind}s"
        assert all(item.startswith(kind) or item == "all" for item in one.popular)
        assert one.typical["events"] == 7


def test_what_everybody_likes_marks_nobody(model: Segments) -> None:
    assert all("fine" not in one.words and "thing" not in one.words for one in model.profiles)


def test_one_event_finds_the_segment(model: Segments) -> None:
    for number, kind in enumerate(KINDS):
        nearest = model.nearest(History.of([f"{kind}3"]))
        assert nearest[0][0] == number and nearest[0][1] > 0.5
        assert sum(share for _, share in nearest) == pytest.approx(1.0)
    assert model.nearest(History()) == [] and model.nearest(History.of(["?"])) == []


def test_more_events_and_dislikes_find_the_segment_too(model: Segments) -> None:
    histories = [History.of([f"{kind}{n}" for n in range(count)]) for kind in KINDS for count in (1, 4)]
    dislike = History(("shoe1", "lamp2"), np.array([-1.0, 2.0], np.float32), np.zeros(2))
    hater = History(("book1",), np.array([-1.0], np.float32), np.zeros(1))
    found = [model.nearest(history) for history in (*histories, dislike, hater, History())]
    assert [one[0][0] if one else -1 for one in found] == [0, 0, 1, 1, 2, 2, 1, -1, -1]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> tuple[Segments, Interactions, list[History]]:
    """Segments of a sample store, what they learned from, and the histories of the same users as their profiles tell them."""
    sample = sample_store(8, 150, 120)
    with EventStore(f"sqlite:///{tmp_path_factory.mktemp('segments') / 'e.sqlite3'}", "shop", b"k") as events:
        events.load(sample.events)
        data = interactions_of(events)
        of_item = {item.item_id: ItemContent() for item in sample.items}
        names = {name: place for place, name in enumerate(data.user_ids.tolist())}
        histories = {
            names[rows[0].user_id or f"session:{rows[0].session_id}"]: build_profile(
                fold(empty_state("k"), rows, of_item), 0.0
            ).history
            for _, rows in events.by_actor()
            if (rows[0].user_id or f"session:{rows[0].session_id}") in names
        }
    model = Segments(SegmentsConfig(features=1.0)).fit(data, np.random.default_rng(3), table_of(sample.items))
    return model, data, [histories[user] for user in range(len(names))]


def test_a_user_is_asked_where_they_were_counted(served: tuple[Segments, Interactions, list[History]]) -> None:
    model, data, histories = served
    asked = HistoryBatch.of(histories, model.item_ids)
    of_asked = user_features(asked, model.map.properties)
    trained = HistoryBatch.of_users(data, np.arange(len(histories)))
    trained = replace(trained, items=model.item_ids.find(data.item_ids.tolist())[trained.items])
    of_trained = user_features(trained, model.map.properties)
    np.testing.assert_allclose(of_asked, of_trained, rtol=1e-5, atol=1e-6)
    # Each is counted where it is found.
    found = [nearest[0][0] for history in histories if (nearest := model.nearest(history))]
    assert np.bincount(found).tolist() == [one.users for one in model.profiles]
    assert len(model.profiles) > 1


def test_what_a_profile_tells_is_known_when_asked(served: tuple[Segments, Interactions, list[History]]) -> None:
    """All features that tell segments apart, and those of time and types only where a history knows these."""
    model, _, histories = served
    bare = [History.of(history.item_ids) for history in histories]
    known = {}
    for name, asked in (("profile", histories), ("bare", bare)):
        told = user_features(HistoryBatch.of(asked, model.item_ids), model.map.properties)
        columns = [told[:, [column.name for column in USER_COLUMNS].index(one)] for one in SEGMENT_FEATURES]
        known[name] = {one: float((~np.isnan(column)).mean()) for one, column in zip(SEGMENT_FEATURES, columns, strict=True)}
    assert all(known["profile"][one] > 0.9 for one in SEGMENT_FEATURES if one != "value")
    assert known["profile"]["value"] > 0.3  # of those who never bought it is unknown
    assert {one for one, share in known["bare"].items() if share == 0} == {"frequency", "value", "conversion", "freshness"}
    assert all(model.nearest(history) for history in bare if history.item_ids)


def test_loaded_again_they_say_the_same(model: Segments, tmp_path: Path) -> None:
    model.save(tmp_path / "segments")
    loaded = Segments.load(tmp_path / "segments")
    assert loaded.profiles == model.profiles and loaded.tried == model.tried
    assert loaded.config == model.config and loaded.nearest(History.of(["lamp3"])) == model.nearest(History.of(["lamp3"]))
    json.loads((tmp_path / "segments" / "manifest.json").read_text())


@pytest.mark.parametrize("sizes", [(60, 40, 19), (30, 8, 5), (45, 3)])
def test_no_group_under_twenty_users_is_kept(interactions: Make, sizes: tuple[int, ...]) -> None:
    found = Segments().fit(store(interactions, sizes), np.random.default_rng(2), catalogue()).profiles
    assert sum(one.users for one in found) == sum(sizes)
    assert all(one.users >= LEAST_USERS for one in found)


@given(sizes=st.lists(st.integers(1, 60), min_size=1, max_size=8), seed=st.integers(0, 99))
@example(sizes=[13, 42, 48, 11, 1, 28, 1, 11], seed=29)  # takes more than thirty rounds
def test_merging_leaves_no_small_group_and_nobody_out(sizes: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    centres = rng.normal(0, 5, (len(sizes), 3))
    rows = np.concatenate([rng.normal(centre, 1.0, (size, 3)) for centre, size in zip(centres, sizes, strict=True)])
    groups, means = merged(rows, centres)
    counted = np.bincount(groups, minlength=len(means))
    assert counted.sum() == len(rows) and len(counted) == len(means)
    assert len(means) == 1 or counted.min() >= LEAST_USERS
    assert (np.diff(counted) <= 0).all()
    np.testing.assert_allclose(means, [rows[groups == number].mean(axis=0) for number in range(len(means))])
    assert groups.tolist() == squared_distances(rows, means).argmin(axis=1).tolist()


def test_what_few_share_is_not_said(interactions: Make) -> None:
    """Four of the sixty saw something rare: nothing names it."""
    users = {f"u{n:02}": [f"shoe{n % 10}", f"shoe{(n + 1) % 10}", *(["rare"] if n < 4 else [])] for n in range(60)}
    base = catalogue()
    items = ItemTable(
        np.array([*base.item_ids, "~"]),
        [*base.texts, ""],
        [*base.titles, "secret remedy"],
        [*base.categories, ("shop", "remedies")],
        [""] * (len(base.item_ids) + 1),
        np.append(base.prices, 1.0),
        np.append(base.created, np.nan),
    )
    data = interactions({user: [item.replace("rare", "~") for item in seen] for user, seen in users.items()})
    found = Segments().fit(data, np.random.default_rng(0), items).profiles
    said = " ".join(text for one in found for text in (one.label, *one.categories, *one.words, *one.popular))
    assert "remed" not in said and "secret" not in said and "~" not in said


def test_without_a_catalogue_they_are_of_what_is_liked_together(interactions: Make) -> None:
    model = Segments().fit(store(interactions, (40, 40)), np.random.default_rng(1))
    assert len(model.profiles) == 2 and [one.label for one in model.profiles] == ["Segment 0", "Segment 1"]
    shoes, lamps = (model.nearest(History.of([item]))[0][0] for item in ("shoe1", "lamp1"))
    assert shoes != lamps


def test_segments_that_recommended_are_read(model: Segments, tmp_path: Path) -> None:
    model.save(tmp_path / "segments")
    path = tmp_path / "segments" / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["params"]["config"]["half_life"] = 5.0
    path.write_text(json.dumps(manifest))
    assert Segments.load(tmp_path / "segments").profiles == model.profiles


def test_segments_of_an_older_layout_are_refused(model: Segments, tmp_path: Path) -> None:
    model.save(tmp_path / "segments")
    path = tmp_path / "segments" / "manifest.json"
    manifest = json.loads(path.read_text())
    for older in ({**manifest, "layout": 1}, {name: value for name, value in manifest.items() if name != "layout"}):
        path.write_text(json.dumps(older))
        with pytest.raises(ModelError, match=r"segments.*layout 1; this version reads 2.*es-recsys train"):
            Segments.load(tmp_path / "segments")


def test_too_few_users_are_refused(interactions: Make) -> None:
    with pytest.raises(ModelError, match=r"19 users are too few.*20"):
        Segments().fit(store(interactions, (19,)), np.random.default_rng(0), catalogue())


def test_users_who_are_all_alike_are_one_group() -> None:
    groups, centres, tried = group(np.ones((100, 3)), 20, np.random.default_rng(0))
    assert (groups == 0).all() and centres.shape == (1, 3) and tried == {}
