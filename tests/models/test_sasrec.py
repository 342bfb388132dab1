"""What SASRec learns, how its training is watched, broken off and resume, and that numpy computes what PyTorch does."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from es_recsys.dataset import History, Interactions, ItemTable
from es_recsys.errors import MissingExtra, ModelError
from es_recsys.models.base import TrainingCallback
from es_recsys.models.sasrec import SASRec, SASRecConfig
from es_recsys.models.sasrec.network import sequence_states
from es_recsys.models.types import HistoryBatch

Make = Callable[..., Interactions]
ITEMS = 30
CONFIG = SASRecConfig(
    dims=16,
    blocks=1,
    max_length=8,
    dropout=0.1,
    negatives=20,
    batch_events=128,
    learning_rate=2e-3,
    epochs=6,
    patience=2,
    validation_users=20,
    id_dropout=0.3,
)
LONG = replace(CONFIG, learning_rate=1e-2, epochs=30, patience=30, refit=False)


def walk(begin: int, length: int, first: int = 1) -> list[str]:
    """Along a ring of thirty items, in steps of one and five in turn."""
    steps = [first, 6 - first] * length
    return [f"i{(begin + sum(steps[:place])) % ITEMS:02}" for place in range(length)]


@pytest.fixture(scope="module")
def data(interactions: Make) -> Interactions:
    """A hundred users who walk from somewhere."""
    rng = np.random.default_rng(4)
    begins, firsts = rng.integers(0, ITEMS, 100).tolist(), rng.choice([1, 5], 100).tolist()
    return interactions(
        {f"u{user}": walk(begin, 9, first) for user, (begin, first) in enumerate(zip(begins, firsts, strict=True))}
    )


@pytest.fixture(scope="module")
def model(data: Interactions) -> SASRec:
    return SASRec(LONG).fit(data, np.random.default_rng(1), None, TrainingCallback(keep_state=True))


def table(data: Interactions, more: tuple[str, ...] = ()) -> ItemTable:
    """The items of the ring and some more; two neighbours on the ring look alike, and the first of `more` like i04."""
    ids = np.array(sorted([*data.item_ids.tolist(), *more]))
    angle = np.array([2 * np.pi * (4 if item_id in more[:1] else int(item_id[1:])) / ITEMS for item_id in ids])
    known = np.array([item_id not in more[1:] for item_id in ids])
    rows = np.stack([np.cos(angle), np.sin(angle), np.cos(2 * angle), np.sin(2 * angle)], axis=1) / np.sqrt(2) * known[:, None]
    blank = [""] * len(ids)
    none = np.full(len(ids), np.nan)
    return ItemTable(ids, blank, blank, [()] * len(ids), blank, none, none, {"text_vector": rows.astype(np.float32)})


def found_next(model: SASRec) -> int:
    """How many of sixty walks the model goes on with as they go on."""
    right = 0
    for begin in range(ITEMS):
        for first in (1, 5):
            *known, wanted = walk(begin, 6, first)
            right += model.recommend(History.of(known), 1, set(known))[0][0] == wanted
    return right


def test_it_learns_which_item_comes_next(model: SASRec) -> None:
    """Not only what stands near the last one: that is one step as often as five."""
    assert found_next(model) >= 0.9 * 2 * ITEMS


def test_a_training_goes_on_from_another_of_the_same_settings(
    interactions: Make, data: Interactions, model: SASRec, tmp_path: Path
) -> None:
    """Items may be other ones: i00 isn't there any more, and a00 and z00 are new."""
    rng = np.random.default_rng(5)
    walks = {f"u{user}": walk(int(rng.integers(1, ITEMS - 24)), 9) for user in range(40)}
    more = interactions({**walks, "v": ["a00", "i01", "z00"]})
    told: list[tuple[int, int]] = []

    def gone_on(config: SASRecConfig, begun: SASRec | None) -> SASRec:
        callback = TrainingCallback(lambda done, total, _: told.append((done, total)), tmp_path, begun=begun)
        return SASRec(config).fit(more, np.random.default_rng(1), None, callback)

    still = SASRec(replace(LONG, learning_rate=0.0, epochs=10))
    still.fit(data, np.random.default_rng(1), None, TrainingCallback(keep_state=True))
    same = gone_on(still.config, still)
    assert told == [(1, 1)] and not any(tmp_path.iterdir())
    kept = [item_id for item_id in same.item_ids if item_id in still.item_ids]
    there, before = same.item_ids.find(kept), still.item_ids.find(kept)
    assert len(kept) == len(same.item_ids) - 2 >= 20
    np.testing.assert_allclose(same.item_vectors[there], still.item_vectors[before], atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(same.item_vectors, axis=1), 1.0, rtol=1e-5)
    other = replace(still.config, dims=32)
    assert gone_on(other, still).fingerprint == gone_on(other, None).fingerprint


def test_of_items_with_many_events_less_is_hidden(interactions: Make) -> None:
    sparse, dense = (interactions({f"u{user}": ["a", "b"] for user in range(users)}) for users in (31, 32))
    assert SASRec.config_for(sparse, True) == SASRec.default_config(True, False)
    assert SASRec.config_for(dense, True) == SASRecConfig(
        dims=128, blocks=2, heads=1, dropout=0.2, learning_rate=1e-3, max_length=150
    )


def test_what_was_learned_before_is_not_learned_again(data: Interactions, model: SASRec) -> None:
    again = SASRec(LONG).fit(data, np.random.default_rng(2), None, TrainingCallback(begun=model))
    brief = SASRec(replace(LONG, epochs=3)).fit(data, np.random.default_rng(2))
    assert again.epochs == brief.epochs == 3 and again._state is None
    assert found_next(brief) < 0.8 * 2 * ITEMS and found_next(again) >= 0.9 * 2 * ITEMS


def test_the_order_of_a_history_tells(model: SASRec) -> None:
    there, back = (model.user_vector(History.of(known)) for known in (["i03", "i04", "i05"], ["i05", "i04", "i03"]))
    assert there is not None and back is not None
    assert float(there @ back) < 0.95


def test_vectors_have_length_one(model: SASRec) -> None:
    np.testing.assert_allclose(np.linalg.norm(model.item_vectors, axis=1), 1.0, rtol=1e-5)
    vector = model.user_vector(History.of(["i03", "i04"]))
    assert vector is not None and vector.dtype == np.float32
    assert float(np.linalg.norm(vector)) == pytest.approx(1.0, rel=1e-5)


def test_what_is_disliked_is_taken_off(model: SASRec) -> None:
    liked = model.user_vector(History.of(["i03", "i04"]))
    mixed = model.user_vector(History(("i09", "i03", "i04"), np.array([-2, 1, 1], np.float32), np.zeros(3)))
    assert liked is not None and mixed is not None
    rows = dict(zip(model.item_ids, model.item_vectors, strict=True))
    np.testing.assert_allclose(mixed, liked - model.config.dislike_weight * rows["i09"], rtol=1e-4, atol=1e-6)
    # Liked once and disliked more: it is out of the sequence, and off.
    both = model.user_vector(History(("i09", "i03", "i04", "i09"), np.array([1, 1, 1, -2], np.float32), np.zeros(4)))
    np.testing.assert_allclose(np.asarray(both), mixed, rtol=1e-4, atol=1e-6)


def test_dislikes_alone_make_no_vector(model: SASRec) -> None:
    disliked = History(("i09", "i03"), np.array([-2, -1], np.float32), np.zeros(2))
    assert model.user_vector(disliked) is None
    together = model.user_vectors(HistoryBatch.of([disliked, History.of(["i03"])], model.item_ids))
    assert together.any(axis=1).tolist() == [False, True]


def test_the_same_item_several_times_in_a_row_is_one_event(model: SASRec) -> None:
    once, often = (model.user_vector(History.of(known)) for known in (["i03", "i04"], ["i03", "i03", "i04", "i04", "i04"]))
    np.testing.assert_array_equal(np.asarray(once), np.asarray(often))


def test_many_histories_are_read_as_each_alone(model: SASRec) -> None:
    rng = np.random.default_rng(4)
    known = [rng.choice(["i03", "i04", "i05", "i09", "nothing"], size).tolist() for size in (*rng.integers(0, 20, 300), 0)]
    weights = [rng.choice([-1.0, 1.0, 2.0], len(one)).astype(np.float32) for one in known]
    histories = [History(tuple(one), own, np.zeros(len(one))) for one, own in zip(known, weights, strict=True)]
    together = model.user_vectors(HistoryBatch.of(histories, model.item_ids))
    for history, vector in zip(histories, together, strict=True):
        alone = model.user_vector(history)
        np.testing.assert_allclose(vector, np.zeros_like(vector) if alone is None else alone, rtol=1e-4, atol=1e-6)


def test_only_the_newest_are_read(model: SASRec) -> None:
    known = walk(0, 20)
    long, short = model.user_vector(History.of(known)), model.user_vector(History.of(known[-CONFIG.max_length :]))
    np.testing.assert_allclose(np.asarray(long), np.asarray(short), rtol=1e-5, atol=1e-6)


def test_reasons_are_the_strongest_first(model: SASRec) -> None:
    history = History.of(["i14", "i15", "i03", "i04"])
    reasons = model.explain(history, "i05", 3)
    assert reasons[0] in {"i03", "i04"}
    assert model.explain(history, "i05", 3) == reasons
    # Another history of the same length isn't answered from what was kept.
    assert model.explain(History.of(["i14", "i15", "i08", "i09"]), "i10", 1)[0] in {"i08", "i09"}


def bare(vectors: Any) -> Any:
    """Items with events and without content."""
    import torch

    from es_recsys.models.sasrec.train import ItemEmbedding

    n, dims = vectors.shape
    return ItemEmbedding(vectors, torch.zeros(dims, 0), torch.ones(n, dtype=torch.bool), torch.zeros(n, 0), 0.0)


@pytest.mark.parametrize("blocks", [1, 2, 3])
def test_numpy_computes_what_pytorch_does(blocks: int) -> None:
    import torch

    from es_recsys.models.sasrec.train import Network

    torch.manual_seed(blocks)
    config = replace(CONFIG, blocks=blocks, heads=4, max_length=11)
    items = bare(torch.randn(30, 16))
    network = Network(config, items).eval()
    with torch.no_grad():
        for value in network.parameters():
            value.add_(torch.randn(value.shape) * 0.3)
        rng = np.random.default_rng(blocks)
        sequences = [rng.integers(0, 30, length) for length in (1, 2, 5, 11, 8)]
        vectors = items(torch.arange(30))
        params = {name: value.numpy() for name, value in network.encoder_params().items()}
        ours = sequence_states(params, 4, vectors.numpy(), sequences)
        for row, sequence in zip(ours, sequences, strict=True):
            theirs = network(vectors[torch.from_numpy(sequence)][None])[0, -1].numpy()
            np.testing.assert_allclose(row, theirs, atol=2e-6)


@pytest.mark.parametrize("ordered", [True, False])
def test_it_begins_as_a_mean_of_the_history(ordered: bool) -> None:
    """Where order tells something, each event counts half of the one eight after it."""
    import torch
    from torch.nn import functional

    from es_recsys.models.sasrec.train import Network

    torch.manual_seed(0)
    network = Network(replace(CONFIG, dims=64, blocks=2, max_length=30, ordered=ordered), bare(torch.randn(30, 64))).eval()
    earlier_and_later = torch.randn(2, 64).repeat_interleave(15, dim=0)
    vectors = functional.normalize(torch.randn(1, 30, 64) + earlier_and_later, dim=2)
    weights = 0.5 ** (torch.arange(29, -1, -1) / 8) if ordered else torch.ones(30)
    mean = vectors[0, -1] + (vectors[0] * weights[:, None]).sum(dim=0) / weights.sum()
    with torch.no_grad():
        found = network(vectors)[0, -1]
    assert float(functional.cosine_similarity(found, mean, dim=0)) > 0.97
    other = vectors[0, -1] + (vectors[0] * weights.flip(0)[:, None]).sum(dim=0) / weights.sum()
    assert not ordered or float(functional.cosine_similarity(found, other, dim=0)) < 0.95


def test_a_state_doesnt_see_what_comes_after() -> None:
    import torch

    from es_recsys.models.sasrec.train import Network

    torch.manual_seed(0)
    items = bare(torch.randn(30, 16))
    network = Network(replace(CONFIG, blocks=2), items).eval()
    vectors = torch.randn(1, 8, 16)
    changed = vectors.clone()
    changed[0, 5:] = torch.randn(3, 16)
    one, other = network(vectors)[0].detach().numpy(), network(changed)[0].detach().numpy()
    np.testing.assert_array_equal(one[:5], other[:5])
    assert (one[5:] != other[5:]).any(axis=1).all()


def test_it_sets_out_from_what_stands_near_what(data: Interactions) -> None:
    """And that answers already."""
    hasty = SASRec(CONFIG).fit(data, np.random.default_rng(2), callback=TrainingCallback(deadline=time.process_time() - 1))
    assert {item_id for item_id, _ in hasty.recommend(History.of(["i08"]), 2, {"i08"})} <= {
        "i02",
        "i03",
        "i07",
        "i09",
        "i13",
        "i14",
    }


def test_items_without_events_find_their_place_by_content(data: Interactions) -> None:
    items = table(data, ("i97", "i98"))
    model = SASRec(replace(LONG, id_dropout=0.5)).fit(data, np.random.default_rng(1), items)
    assert list(model.item_ids) == items.item_ids.tolist()
    scores = model.score(History.of(walk(22, 5, 1)[:-1]), [*data.item_ids.tolist(), "i97", "i98"])
    # i97 looks like i04, which comes next; nothing is known of i98.
    assert (scores[:-2] > scores[-2]).sum() <= ITEMS // 3
    near = model.item_vectors[:-2] @ model.item_vectors[-2]
    assert data.item_ids[near.argmax()] in {"i03", "i04", "i05"}
    assert scores[-1] == 0.0
    assert model.user_vector(History.of(["i98"])) is None
    assert model.user_vector(History.of(["i97"])) is not None


def test_where_order_tells_nothing_it_isnt_learned(interactions: Make) -> None:
    rng = np.random.default_rng(6)
    halves = {f"u{user}": [f"i{item:02}" for item in rng.choice(15, 8, replace=False) + 15 * (user % 2)] for user in range(60)}
    model = SASRec(replace(CONFIG, ordered=False)).fit(interactions(halves), np.random.default_rng(1))
    listed = [item_id for item_id, _ in model.recommend(History.of(["i18", "i20"]), 8, {"i18", "i20"})]
    assert all(item_id >= "i15" for item_id in listed)


def test_settings_survive_saving(model: SASRec, tmp_path: Path) -> None:
    asked = model.with_config(replace(model.config, dislike_weight=0.25))
    asked.save(tmp_path / "m")
    loaded = SASRec.load(tmp_path / "m")
    assert loaded.config == asked.config
    history = History(("i09", "i03", "i04"), np.array([-2, 1, 1], np.float32), np.zeros(3))
    np.testing.assert_array_equal(np.asarray(loaded.user_vector(history)), np.asarray(asked.user_vector(history)))
    assert not np.array_equal(np.asarray(loaded.user_vector(history)), np.asarray(model.user_vector(history)))


def test_without_a_sequence_there_is_nothing_to_learn(interactions: Make) -> None:
    for events in (["a"], [("a", -1.0), ("b", -1.0)], [("a", 1.0), ("b", -1.0)]):
        with pytest.raises(ModelError, match=r"two positive events.*events load"):
            SASRec(CONFIG).fit(interactions({"u": events, "v": ["a"]}), np.random.default_rng(0))


def test_the_smallest_training_there_is(interactions: Make) -> None:
    model = SASRec(CONFIG).fit(interactions({"u": ["a", "b"]}), np.random.default_rng(0))
    assert model.recommend(History.of(["a"]), 1, {"a"})[0][0] == "b"


def test_settings_that_dont_go_together_are_refused(data: Interactions) -> None:
    with pytest.raises(ModelError, match="heads"):
        SASRec(replace(CONFIG, heads=3)).fit(data, np.random.default_rng(0))


def test_without_torch_it_says_which_extra(data: Interactions, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    for name in ("models.sasrec.train", "torch_training"):
        monkeypatch.delitem(sys.modules, f"es_recsys.{name}", raising=False)
    with pytest.raises(MissingExtra, match="torch"):
        SASRec(CONFIG).fit(data, np.random.default_rng(0))
