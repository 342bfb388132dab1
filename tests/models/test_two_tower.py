"""The two towers: what they learn from, cold items, segments, and the graph of the user side."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from es_recsys.errors import MissingExtra, ModelError
from es_recsys.event_types import EVENT_TYPES
from es_recsys.features import ItemFacts, features
from es_recsys.models.callback import TrainingCallback
from es_recsys.models.folded import unit
from es_recsys.models.histories import HistoryBatch
from es_recsys.models.ids import ItemIds
from es_recsys.models.tower_examples import Stream, hold_out
from es_recsys.models.tower_inputs import CONTEXT, HABITS, RECENCY, Reader, inputs
from es_recsys.models.two_tower import Tower, TowerConfig
from es_recsys.types import History, Interactions, ItemTable

TYPES = tuple(EVENT_TYPES)
SMALL = TowerConfig(dims=16, epochs=12, batch=64, rate=1e-2, id_dropout=0.5)
GROUPS, SIZE = 4, 8


def shop(users: int = 80, seed: int = 1) -> Interactions:
    """Shoppers of one group of items each, in the order of a walk through it."""
    rng = np.random.default_rng(seed)
    rows = [(user, user % GROUPS * SIZE + int(place)) for user in range(users) for place in rng.permutation(SIZE)[:6]]
    return Interactions(
        user_ids=np.array([f"u{user:03}" for user in range(users)]),
        item_ids=np.array([f"i{item:02}" for item in range(GROUPS * SIZE)]),
        users=np.array([user for user, _ in rows], np.int32),
        items=np.array([item for _, item in rows], np.int32),
        weights=np.ones(len(rows), np.float32),
        times=np.tile(np.arange(6.0), users),
        timed=False,
    )


def told(data: Interactions) -> Interactions:
    """The same where times and types of events are known."""
    rng = np.random.default_rng(9)
    kinds = rng.choice([TYPES.index(name) for name in ("view", "cart", "purchase")], len(data.users)).astype(np.int8)
    times = 1e9 + data.users * 1e5 + data.times * rng.uniform(1e3, 1e5, len(data.user_ids))[data.users]
    return replace(data, times=times, timed=True, kinds=kinds, event_types=TYPES)


def bare(n: int) -> Reader:
    """Nothing is known of the items, and no habit differs."""
    unknown, none = np.full(n, np.nan), np.full(n, -1)
    facts = ItemFacts(unknown, unknown, none, none, none, unknown, np.zeros(n), np.full(2, np.nan))
    return Reader(facts, np.stack([np.zeros(len(HABITS)), np.full(len(HABITS), np.inf)]), None)


def table(n: int, vectors: np.ndarray | None = None) -> ItemTable:
    groups = np.arange(n) // SIZE % GROUPS
    rows = np.eye(GROUPS)[groups] + np.random.default_rng(2).normal(0, 0.05, (n, GROUPS)) if vectors is None else vectors
    nothing = np.full(n, np.nan)
    ids = np.array([f"i{item:02}" for item in range(n)])
    empty = [""] * n
    return ItemTable(ids, empty, empty, [()] * n, empty, nothing, nothing, {"text_vector": unit(rows)})


def test_an_item_without_events_lies_with_those_of_its_content() -> None:
    items = table(GROUPS * SIZE + SIZE)  # the last eight are of the first group, and nobody has seen them
    model = Tower(SMALL).fit(shop(), np.random.default_rng(0), items)
    near = model.item_vectors[GROUPS * SIZE :] @ model.item_vectors[: GROUPS * SIZE].T
    assert (near.argsort(axis=1)[:, -5:] // SIZE == 0).all()
    listed = [item_id for item_id, _ in model.recommend(History.of(["i00", "i01"]), 16)]
    assert len({item_id for item_id in listed if item_id >= "i32"}) >= 6


def test_without_content_and_events_an_item_has_no_place() -> None:
    vectors = np.eye(GROUPS)[np.arange(GROUPS * SIZE + 1) // SIZE % GROUPS]
    vectors[[-1, 5]] = 0.0
    model = Tower(SMALL).fit(shop(), np.random.default_rng(0), table(GROUPS * SIZE + 1, vectors))
    assert not model.item_vectors[-1].any() and model.item_vectors[5].any()
    np.testing.assert_allclose(np.linalg.norm(model.item_vectors[:-1], axis=1), 1.0, atol=1e-5)
    assert Tower(SMALL).fit(shop(), np.random.default_rng(0)).item_vectors.shape == (GROUPS * SIZE, 16)


class _BrokenOffError(Exception):
    pass


@pytest.mark.parametrize("then", ["no content", "more content", "segments"])
def test_other_content_or_segments_are_another_training(tmp_path: Path, then: str) -> None:
    def stop(*_: object) -> None:
        raise _BrokenOffError

    config = replace(SMALL, epochs=2)
    items = table(32)
    with pytest.raises(_BrokenOffError):
        Tower(config).fit(shop(), np.random.default_rng(0), items, TrainingCallback(on_epoch=stop, checkpoints=tmp_path))
    shown = np.random.default_rng(5).normal(size=(32, GROUPS))
    now: dict[str, ItemTable | None] = {
        "no content": None,
        "more content": replace(items, vectors={**items.vectors, "image_vector": unit(shown)}),
        "segments": replace(items, brands=[f"brand {place % 5}" for place in range(32)]),
    }
    callback = TrainingCallback(checkpoints=tmp_path)
    kept = Tower(config).fit(shop(), np.random.default_rng(0), now[then], callback)
    fresh = Tower(config).fit(shop(), np.random.default_rng(0), now[then])
    assert kept.fingerprint == fresh.fingerprint


def test_an_item_whose_only_event_could_be_held_out_has_a_place_of_its_own() -> None:
    data = shop(400)
    ends = np.flatnonzero(np.append(np.diff(data.users) > 0, True))
    items = data.items.copy()
    items[ends] = GROUPS * SIZE + np.arange(len(ends))  # what a user liked last, nobody else has met
    alone = replace(
        data, items=items, item_ids=np.array([*data.item_ids.tolist(), *(f"only {place:03}" for place in range(len(ends)))])
    )
    for ordered in (True, False):
        rest, _ = hold_out(alone, np.random.default_rng(0), 1_000, ordered=ordered, history=50)
        assert set(rest.items.tolist()) == set(items.tolist())


def test_the_segment_of_a_history_is_read_and_kept(tmp_path: Path) -> None:
    """Four groups of users, who are told apart by what they like; their vectors turn on which group they are thought to be of."""
    model = Tower(replace(SMALL, epochs=30)).fit(shop(), np.random.default_rng(0), table(32))
    model.save(tmp_path / "model")
    loaded = Tower.load(tmp_path / "model")
    histories = [History.of([f"i{group * SIZE + place:02}" for place in (0, 3, 5)]) for group in range(GROUPS)]
    read: list[np.ndarray] = []
    run = loaded._run

    def watched(output: str, feed: Mapping[str, np.ndarray]) -> np.ndarray:
        read.append(feed["segments"])
        return run(output, feed)

    loaded._run = watched  # type: ignore[method-assign]
    for history in histories:
        plain, again = model.vector(history), loaded.vector(history)
        assert plain is not None and again is not None
        np.testing.assert_array_equal(plain, again)
    assert sorted(int(one[0]) for one in read) == [1, 2, 3, 4]
    batch = HistoryBatch.of(histories, loaded.item_ids)
    rows, feed = loaded._feed(batch)
    assert rows.tolist() == [0, 1, 2, 3] and feed["segments"].tolist() == [int(one[0]) for one in read]
    turned = run("user", {**feed, "segments": np.roll(feed["segments"], 1)})
    assert (np.abs(turned - run("user", feed)).max(axis=1) > 1e-3).all()


def test_what_a_history_tells_of_habits_is_read_and_kept(tmp_path: Path) -> None:
    data = told(shop())
    model = Tower(SMALL).fit(data, np.random.default_rng(0), table(32))
    model.save(tmp_path / "model")
    loaded = Tower.load(tmp_path / "model")
    items = ("i00", "i03", "i05")
    known = History(items, np.ones(3, np.float32), np.array([40.0, 8.0, 0.0]), (), ("view", "cart", "purchase"), 1e9)
    plain, full = History.of(items), model.vector(known)
    assert full is not None
    np.testing.assert_array_equal(full, loaded.vector(known))
    _, feed = loaded._feed(HistoryBatch.of([known, plain], loaded.item_ids))
    habits = dict(zip(HABITS, feed["context"][:, -len(HABITS) :].T, strict=True))
    for name in ("frequency", "tenure", "purchases", "conversion"):
        assert habits[name][0] != 0.0 and habits[name][1] == 0.0, name
    turned = {**feed, "context": np.hstack([feed["context"][:, : -len(HABITS)], np.zeros((2, len(HABITS)), np.float32)])}
    assert np.abs(loaded._run("user", turned) - loaded._run("user", feed))[0].max() > 1e-3


@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("known", [True, False])
def test_a_piece_is_read_in_training_as_when_asked_for(ordered: bool, known: bool) -> None:
    """From what was known when it ended: with the rest of its user's events, and all others', out of sight."""
    data = told(shop()) if known else shop()
    config = replace(SMALL, epochs=1, ordered=ordered, history=4)
    model = Tower(config).fit(data, np.random.default_rng(0), table(32))
    reader = model._reader
    assert reader is not None and reader.segments is not None
    stream = Stream(data, ordered=ordered, targets=1, history=config.history)
    for example in stream.epoch(np.random.default_rng(1), 64):
        pieces = example.histories
        histories = []
        for place in range(len(pieces)):
            one = pieces.one(place)
            kinds = () if one.kinds is None else tuple(TYPES[kind] for kind in one.kinds.tolist())
            newest = np.nan if one.newest is None else float(one.newest[0])
            names = tuple(data.item_ids[one.items].tolist())
            histories.append(History(names, one.weights, one.ages, (), kinds, newest))
        given = inputs(pieces, config.history, ordered, reader)
        rows, feed = model._feed(HistoryBatch.of(histories, model.item_ids))
        assert rows.tolist() == list(range(len(pieces)))
        assert feed["segments"].tolist() == given.segments.tolist() and (given.segments > 0).all()
        for name in ("weights", "recency", "context"):
            np.testing.assert_allclose(feed[name], getattr(given, name), rtol=1e-5, atol=1e-6)
        assert given.context[:, -len(HABITS) :].any(axis=0).sum() > (6 if known else 0)


def test_what_is_held_out_changes_nothing_that_is_learned() -> None:
    """Segments, features and what is known of the items are of the rest: held out with five times the weight, and as another
    type, events leave the same model."""
    data = told(shop(400))
    seed = int(np.random.default_rng(0).integers(2**31))
    rest, held = hold_out(data, np.random.default_rng(seed), SMALL.held, ordered=True, history=SMALL.history)
    out = np.ones(len(data.users), bool)
    out[np.isin(data.users * 1e9 + data.items, rest.users * 1e9 + rest.items)] = False
    assert out.sum() == len(held.users) == 40 and data.kinds is not None
    louder = replace(
        data,
        weights=np.where(out, 5.0, data.weights).astype(np.float32),
        kinds=np.where(out, TYPES.index("purchase"), data.kinds).astype(np.int8),
    )
    assert not np.array_equal(features(louder, None).facts.level, features(data, None).facts.level)
    config = replace(SMALL, epochs=2)
    one, other = (Tower(config).fit(each, np.random.default_rng(0), table(32)) for each in (data, louder))
    assert one._reader is not None
    np.testing.assert_array_equal(one._reader.facts.level, features(rest, table(32)).facts.level)
    assert one.fingerprint == other.fingerprint


def test_a_tower_of_an_older_layout_is_refused(tmp_path: Path) -> None:
    Tower(replace(SMALL, epochs=1)).fit(shop(), np.random.default_rng(0)).save(tmp_path / "model")
    path = tmp_path / "model" / "manifest.json"
    path.write_text(path.read_text().replace('"layout": 2', '"layout": 1'))
    with pytest.raises(ModelError, match=r"tower.*layout 1; this version reads 2.*es-recsys train"):
        Tower.load(tmp_path / "model")


def test_few_users_are_no_segments() -> None:
    model = Tower(SMALL).fit(shop(19), np.random.default_rng(0))
    _, feed = model._feed(HistoryBatch.of([History.of(["i00"])], model.item_ids))
    assert feed["segments"].tolist() == [0]


def test_a_graph_that_was_altered_is_refused(tmp_path: Path) -> None:
    Tower(replace(SMALL, epochs=1)).fit(shop(), np.random.default_rng(0)).save(tmp_path / "model")
    path = tmp_path / "model" / "graph.npy"
    graph = np.load(path)
    graph[len(graph) // 2] ^= 1
    np.save(path, graph)
    with pytest.raises(ModelError, match=r"graph\.npy.*es-recsys train"):
        Tower.load(tmp_path / "model")


def test_without_torch_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "es_recsys.models.tower_training", None)
    with pytest.raises(MissingExtra, match="torch"):
        Tower(SMALL).fit(shop(), np.random.default_rng(0))


def test_there_must_be_something_liked() -> None:
    data = shop()
    with pytest.raises(ModelError, match="no positive events"):
        Tower(SMALL).fit(replace(data, weights=-data.weights), np.random.default_rng(0))


def test_histories_of_one_item_teach_nothing() -> None:
    """Vectors that no step has touched are of no use to anybody."""
    data = shop()
    first = np.append(True, np.diff(data.users) > 0)
    columns = {name: getattr(data, name)[first] for name in ("users", "items", "weights", "times")}
    with pytest.raises(ModelError, match=r"two events.*tower"):
        Tower(SMALL).fit(replace(data, **columns), np.random.default_rng(0))


def test_the_graph_gives_what_the_tower_gives() -> None:
    import torch

    from es_recsys.models.tower_network import UserTower
    from es_recsys.models.user_graph import graph_of, session

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        tower = UserTower(8, 2, True)
        for parameter in tower.parameters():
            torch.nn.init.normal_(parameter, std=0.5)
        run = session(np.frombuffer(graph_of(tower, 8), np.uint8))
        for users, events in ((1, 1), (3, 7), (5, 2)):
            weights = torch.randn(users, events)
            weights[0, -1] = 0.0 if events > 1 else 1.0
            given = {
                "vectors": torch.randn(users, events, 8),
                "weights": weights,
                "recency": torch.rand(users, events, RECENCY),
                "context": torch.rand(users, CONTEXT),
                "segments": torch.randint(3, (users,)),
            }
            with torch.no_grad():
                expected = tower(*given.values())
            found = run.run(["user", "parts"], {name: one.numpy() for name, one in given.items()})
            for left, right in zip(found, expected, strict=True):
                np.testing.assert_allclose(left, right.numpy(), atol=1e-5)


def test_candidates_are_there_as_often_as_the_correction_says() -> None:
    from es_recsys.models.tower_examples import Example
    from es_recsys.models.tower_training import Towers

    popularity = np.array([400, 200, 100, 50, 20, 10, 5, 1, 0, 0])
    towers = Towers(replace(SMALL, negatives=4), {}, popularity, bare(10))
    rng = np.random.default_rng(0)
    empty = HistoryBatch(np.zeros(4, np.int64), np.zeros(0, np.int64), np.zeros(0, np.float32), np.zeros(0), np.zeros(0))
    there, told, rounds = np.zeros(10), np.zeros(10), 4_000
    for _ in range(rounds):
        targets = rng.choice(10, (3, 2), p=popularity / popularity.sum())
        pool, chances = towers._candidates(Example(empty, targets, np.arange(3)), rng)
        there[pool] += 1
        told[pool] = chances
    np.testing.assert_allclose(there / rounds, told, atol=0.05)
    everything, sure = Towers(replace(SMALL, negatives=10), {}, popularity, bare(10))._candidates(
        Example(empty, np.array([[1]]), np.arange(1)), rng
    )
    assert everything.tolist() == list(range(10)) and (sure == 1).all()


@st.composite
def walks(draw: st.DrawFn) -> Interactions:
    """A few users' events on a few items, liked, disliked or neither."""
    lengths = draw(st.lists(st.integers(0, 9), min_size=1, max_size=5))
    n = sum(lengths)
    items = draw(st.lists(st.integers(0, 5), min_size=n, max_size=n))
    weights = draw(st.lists(st.sampled_from([1.0, 2.0, -1.0, 0.0]), min_size=n, max_size=n))
    return Interactions(
        user_ids=np.array([f"u{user}" for user in range(len(lengths))]),
        item_ids=np.array([f"i{item}" for item in range(6)]),
        users=np.repeat(np.arange(len(lengths), dtype=np.int32), lengths),
        items=np.array(items, np.int32),
        weights=np.array(weights, np.float32),
        times=np.concatenate([np.arange(float(length)) for length in lengths]),
        timed=False,
    )


@settings(max_examples=60, deadline=None)
@given(walks(), st.booleans(), st.integers(1, 3), st.integers(1, 6), st.integers(0, 9))
def test_examples_are_pieces_of_histories(data: Interactions, ordered: bool, targets: int, longest: int, seed: int) -> None:
    stream = Stream(data, ordered=ordered, targets=targets, history=longest)
    for example in stream.epoch(np.random.default_rng(seed), 3):
        for place, user in enumerate(example.users.tolist()):
            mine = (data.users == user) & (data.weights != 0)
            events = list(zip(data.items[mine].tolist(), data.weights[mine].tolist(), strict=True))
            part = example.histories.one(place)
            shown = list(zip(part.items.tolist(), part.weights.tolist(), strict=True))
            wanted = [item for item in example.targets[place].tolist() if item >= 0]
            assert 1 <= len(shown) <= longest and len(wanted) <= targets
            assert all(event in events for event in shown)
            assert not set(wanted) & {item for item, _ in shown}
            liked = [item for item, weight in events if weight > 0]
            assert set(wanted) <= set(liked)
            if ordered:
                starts = [at for at in range(len(events)) if events[at : at + len(shown)] == shown]
                after = [{item for item, _ in events[at + len(shown) : at + len(shown) + targets]} for at in starts]
                assert any(set(wanted) <= one for one in after)


@pytest.mark.parametrize("ordered", [True, False])
def test_what_is_held_out_is_not_learned_from(ordered: bool) -> None:
    data = shop(400)
    rest, held = hold_out(data, np.random.default_rng(0), 1_000, ordered=ordered, history=50)
    assert len(held.targets) == len(held.users) == 40
    for user, targets, known in zip(held.users.tolist(), held.targets, held.known, strict=True):
        mine = rest.items[rest.users == user]
        assert len(targets) and not set(targets.tolist()) & set(mine.tolist())
        assert set(known.tolist()) == set(mine.tolist())
        if ordered:
            assert targets.tolist() == data.items[data.users == user][-1:].tolist()
    few, none = hold_out(shop(80), np.random.default_rng(0), 1_000, ordered=ordered, history=50)
    assert len(few.items) == len(shop(80).items) and not len(none.targets)


def test_inputs_are_the_newest_events_first() -> None:
    ids = ItemIds.of(["a", "b", "c"])
    one = History(("a", "b", "a"), np.array([1.0, -2.0, 3.0], np.float32), np.array([9.0, 1.0, 0.0]))
    made = inputs(HistoryBatch.of([one, History.of(["c"]), History()], ids), 2, True, bare(3))
    assert made.items.tolist() == [[0, 1], [2, 0], [0, 0]]
    assert made.weights.tolist() == [[3.0, -2.0], [1.0, 0.0], [0.0, 0.0]]
    np.testing.assert_allclose(made.recency[0], [[0, 0, 0], [np.log(2), 0.02, np.log(2)]], rtol=1e-6)
    np.testing.assert_allclose(made.context[0], [np.log(3), np.log(2), np.log(2), 1.0, *[0.0] * len(HABITS)], rtol=1e-6)
    assert made.context[2].tolist() == [0.0] * CONTEXT and made.segments.tolist() == [0, 0, 0]
    plain = inputs(HistoryBatch.of([one], ids), 2, False, bare(3))
    assert not plain.recency.any() and not plain.context[:, 1:3].any()
