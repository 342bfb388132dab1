"""What every model that learns in epochs keeps to, run on each."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from es_recsys.dataset import History, Interactions, ItemTable
from es_recsys.models import MODELS, Model
from es_recsys.models.aligned import AlignedConfig
from es_recsys.models.base import TrainingCallback, unit
from es_recsys.models.sasrec import SASRecConfig
from es_recsys.training import early_stopping

# The models, and settings with which they take no time.
LONG = sorted(name for name, kind in MODELS.items() if hasattr(kind().config, "epochs"))  # type: ignore[call-arg]
BRIEF: dict[str, Any] = {
    "sasrec": SASRecConfig(dims=16, max_length=5, dropout=0.1, negatives=20, batch_events=512, refit=False),
    "aligned": AlignedConfig(dims=12, batch_size=64),
}
GROUPS, THINGS = 4, 224


def crowd(seed: int = 1) -> Interactions:
    """So many shoppers that some can be held out: 300, of five items each."""
    rng = np.random.default_rng(seed)
    each = THINGS // GROUPS
    rows = [(user, user % GROUPS * each + int(place)) for user in range(300) for place in rng.choice(each, 5, replace=False)]
    return Interactions(
        user_ids=np.array([f"u{user:03}" for user in range(300)]),
        item_ids=np.array([f"i{item:03}" for item in range(THINGS)]),
        users=np.array([user for user, _ in rows], np.int32),
        items=np.array([item for _, item in rows], np.int32),
        weights=np.ones(len(rows), np.float32),
        times=np.tile(np.arange(5.0), 300),
        timed=False,
    )


def shown(seed: int = 11) -> ItemTable:
    """The items of `crowd`, so many that some pairs of a text and a picture can be held out."""
    rng = np.random.default_rng(seed)
    hidden = rng.normal(size=(THINGS, 6)) + 3.0 * np.eye(6)[np.arange(THINGS) * GROUPS // THINGS]
    text, image = (unit(hidden @ rng.normal(size=(6, d)) + 0.5 * rng.normal(size=(THINGS, d))) for d in (12, 16))
    nothing, empty = np.full(THINGS, np.nan), [""] * THINGS
    vectors = {"text_vector": text, "image_vector": image}
    return ItemTable(crowd().item_ids, empty, empty, [()] * THINGS, empty, nothing, nothing, vectors)


class BrokenOff(Exception):
    pass


@dataclass
class Told:
    """What a training tells: epoch, of how many, figures. It is broken off after `most` epochs, and has a second each."""

    most: int = 10**9
    epochs: list[int] = field(default_factory=list)
    of: set[int] = field(default_factory=set)
    figures: list[dict[str, float]] = field(default_factory=list)

    def __call__(self, done: int, total: int, figures: Mapping[str, float]) -> None:
        self.epochs.append(done)
        self.of.add(total)
        self.figures.append(dict(figures))
        if len(self.epochs) == self.most:
            raise BrokenOff

    def quality(self) -> list[float]:
        """On what was held out, an epoch."""
        return [value for figures in self.figures for name, value in figures.items() if name != "loss"]

    def clock(self) -> float:
        return float(len(self.epochs))


def learned(
    kind: str,
    told: Told | None = None,
    *,
    data: Interactions | None = None,
    items: ItemTable | None = None,
    seed: int = 3,
    checkpoints: Path | None = None,
    deadline: float = float("inf"),
    **settings: Any,
) -> Model:
    config = replace(BRIEF[kind], **settings)
    callback = TrainingCallback(told, checkpoints, deadline)
    given = crowd() if data is None else data, np.random.default_rng(seed), shown() if items is None else items
    return early_stopping.fit(MODELS[kind](config), *given, callback)  # type: ignore[call-arg]


def same(one: Model, other: Model) -> bool:
    """What was learned is the same, whatever the settings say."""
    mine, theirs = one._arrays, other._arrays  # type: ignore[attr-defined]
    equal = (np.array_equal(mine[name], theirs[name], equal_nan=mine[name].dtype.kind == "f") for name in mine)
    return set(mine) == set(theirs) and all(equal)


@pytest.fixture
def long(request: pytest.FixtureRequest) -> Iterator[str]:
    """The name of a model. So little to do is done soonest by one thread."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield request.param
    torch.set_num_threads(threads)


def each_long(test: Callable[..., None]) -> Callable[..., None]:
    return pytest.mark.parametrize("long", LONG, indirect=True)(test)


@each_long
@pytest.mark.parametrize("after", [1, 4])
def test_a_training_that_was_broken_off_ends_as_one_in_one_go(long: str, tmp_path: Path, after: int) -> None:
    folder, plain, first, then = tmp_path / "kept", Told(), Told(after), Told()
    whole = learned(long, plain, epochs=5, patience=5)
    assert plain.epochs == [1, 2, 3, 4, 5] and plain.of == {5}
    assert all(np.isfinite(value) for figures in plain.figures for value in figures.values())
    assert len(plain.quality()) == 5 and all(0.0 <= value <= 1.0 for value in plain.quality())
    assert plain.figures[-1]["loss"] < plain.figures[0]["loss"]
    with pytest.raises(BrokenOff):
        learned(long, first, checkpoints=folder, epochs=5, patience=5)
    assert any(folder.iterdir())
    resume = learned(long, then, checkpoints=folder, epochs=5, patience=5)
    # What was learned isn't learned again.
    assert first.figures + then.figures == plain.figures and then.epochs == plain.epochs[after:]
    assert resume.fingerprint == whole.fingerprint
    assert not any(folder.iterdir())


@each_long
@pytest.mark.parametrize("other", ["settings", "seed", "events", "content"])
def test_what_another_training_left_is_not_gone_on_with(long: str, tmp_path: Path, other: str) -> None:
    changed: dict[str, Any] = {
        "settings": {"learning_rate": 3e-3},
        "seed": {"seed": 4},
        "events": {"data": crowd(seed=2)},
        "content": {"items": shown(seed=12)},
    }[other]
    with pytest.raises(BrokenOff):
        learned(long, Told(1), checkpoints=tmp_path, epochs=2, **changed)
    told, fresh = Told(), Told()
    kept = learned(long, told, checkpoints=tmp_path, epochs=2)
    if (long, other) == ("aligned", "events"):
        assert told.epochs == [2]  # it learns from none
        return
    assert told.epochs == [1, 2]
    assert kept.fingerprint == learned(long, fresh, epochs=2).fingerprint and fresh.figures == told.figures


@each_long
def test_where_nothing_is_gained_it_ends(long: str) -> None:
    told = Told()
    learned(long, told, learning_rate=0.0, epochs=30, patience=2)
    assert told.epochs == [1, 2, 3] and len(set(told.quality())) == 1


@each_long
def test_where_nothing_is_gained_any_more_the_best_is_kept(long: str) -> None:
    # Of most seeds a later epoch than the first is best; another machine may draw or add otherwise.
    rate = {"aligned": 5e-3}.get(long, 3e-2)
    for seed in range(3, 9):
        told = Told()
        model = learned(long, told, seed=seed, learning_rate=rate, epochs=60, patience=2)
        best = int(np.argmax(told.quality())) + 1
        if best > 1:
            break
    assert 1 < best == len(told.epochs) - 2 < 58
    assert same(model, learned(long, seed=seed, learning_rate=rate, epochs=best, patience=2))
    assert not same(model, learned(long, seed=seed, learning_rate=rate, epochs=best - 1, patience=2))


@each_long
def test_after_the_deadline_no_epoch_begins(long: str, monkeypatch: pytest.MonkeyPatch) -> None:
    late, told, shorter = Told(), Told(), learned(long, epochs=2)
    answering = learned(long, late, deadline=time.process_time() - 1.0)
    assert late.epochs == []
    assert answering.recommend(History.of(["i003", "i004"]), 3)
    monkeypatch.setattr(time, "process_time", told.clock)
    cut = learned(long, told, deadline=2.0, epochs=9)
    assert told.epochs == [1, 2] and told.of == {9}
    assert same(cut, shorter)
