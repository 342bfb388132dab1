"""How many epochs a model is trained for, and how such a training is interrupted and resumed."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from es_recsys.dataset import Interactions
from es_recsys.evaluation.holdout import some_users_holdout
from es_recsys.models import Popularity
from es_recsys.models.base import TrainingCallback
from es_recsys.models.sasrec import SASRec, SASRecConfig
from es_recsys.training.early_stopping import fit

Make = Callable[..., Interactions]
Whole = tuple[SASRec, list[tuple[int, int, dict[str, float]]]]
CONFIG = SASRecConfig(
    dims=16,
    max_length=8,
    dropout=0.1,
    negatives=20,
    batch_events=128,
    epochs=4,
    patience=2,
    validation_users=20,
)


@pytest.fixture(scope="module")
def data(ring_walks: Interactions) -> Interactions:
    return ring_walks


class Interrupted(Exception):
    pass


def interrupting(after: int) -> Callable[[int, int, Mapping[str, float]], None]:
    """Interrupts the training after so many epochs."""
    told = 0

    def tell(done: int, total: int, figures: Mapping[str, float]) -> None:
        nonlocal told
        told += 1
        if told == after:
            raise Interrupted

    return tell


@pytest.fixture(scope="module")
def whole(data: Interactions) -> Whole:
    """A training that nothing interrupts, and what it told after each epoch."""
    told: list[tuple[int, int, dict[str, float]]] = []
    callback = TrainingCallback(lambda *one: told.append((one[0], one[1], dict(one[2]))))
    return fit(SASRec(CONFIG), data, np.random.default_rng(2), callback=callback), told


def test_a_refit_that_was_interrupted_ends_as_an_uninterrupted_one(data: Interactions, whole: Whole, tmp_path: Path) -> None:
    epochs = [figures for _, _, figures in whole[1]]
    after = sum("ndcg" in figures for figures in epochs) + 1
    with pytest.raises(Interrupted):
        fit(
            SASRec(CONFIG),
            data,
            np.random.default_rng(2),
            callback=TrainingCallback(interrupting(after), tmp_path / "checkpoints"),
        )
    told: list[Mapping[str, float]] = []
    callback = TrainingCallback(lambda done, total, figures: told.append(figures), tmp_path / "checkpoints")
    resume = fit(SASRec(CONFIG), data, np.random.default_rng(2), callback=callback)
    # What was told before isn't learned again.
    assert told == epochs[after:] != []
    assert resume.fingerprint == whole[0].fingerprint
    assert not any((tmp_path / "checkpoints").iterdir())


def test_progress_is_reported_after_each_epoch_and_then_of_the_refit(whole: Whole) -> None:
    told = whole[1]
    first = [one for one in told if "ndcg" in one[2]]
    assert [done for done, _, _ in first] == list(range(1, len(first) + 1))
    assert all(0 <= figures["ndcg"] <= 1 for _, _, figures in first)
    assert first[-1][2]["loss"] < first[0][2]["loss"]
    # Then on everything, as many epochs as were best.
    best = max(range(len(first)), key=lambda place: (first[place][2]["ndcg"], -place)) + 1
    assert [(done, total) for done, total, figures in told if "ndcg" not in figures] == [(n, best) for n in range(1, best + 1)]


def test_a_refit_that_isnt_whole_is_dropped(data: Interactions, monkeypatch: pytest.MonkeyPatch) -> None:
    """The time is over when the first epoch of the second network is done."""
    clock = 0.0

    def tell(done: int, total: int, figures: Mapping[str, float]) -> None:
        nonlocal clock
        clock = 0.0 if "ndcg" in figures else 2.0
        told.append(figures)

    told: list[Mapping[str, float]] = []
    first = fit(SASRec(replace(CONFIG, refit=False)), data, np.random.default_rng(2))
    monkeypatch.setattr(time, "process_time", lambda: clock)
    found = fit(SASRec(CONFIG), data, np.random.default_rng(2), callback=TrainingCallback(tell, deadline=1.0))
    assert "ndcg" not in told[-1] and "ndcg" in told[-2]
    for name, array in found._arrays.items():
        np.testing.assert_array_equal(array, first._arrays[name])


@pytest.mark.parametrize("ordered", [True, False])
def test_the_last_new_item_of_some_users_is_held_out(interactions: Make, ordered: bool) -> None:
    users = {
        "again": ["a", "b", "c", "a"],
        "few": ["a", "b", "a", "b"],
        "long": ["d", "a", "d", "b", ("b", -1.0)],
        "new": ["a", "b", "c"],
        "short": ["a", "b"],
    }
    data = interactions(users)
    split = some_users_holdout(data, np.random.default_rng(0), 99, ordered=ordered)
    rows = np.argsort(split.users).tolist()
    assert data.user_ids[split.users[rows]].tolist() == ["again", "long", "new"]
    known = [set(data.item_ids[split.seen[row]]) for row in rows]
    wanted = [str(data.item_ids[split.targets[row][0]]) for row in rows]
    for name, items, target in zip(("again", "long", "new"), known, wanted, strict=True):
        liked = {one for one in users[name] if isinstance(one, str)}
        assert target in liked and items == liked - {target}
    assert not ordered or wanted == ["c", "b", "c"]
    # Nobody else loses an event, and nothing is left of what is held out.
    kept = {name: int((split.train.users == row).sum()) for row, name in enumerate(split.train.user_ids)}
    assert kept["few"] == 4 and kept["short"] == 2
    assert not ordered or (kept["again"], kept["long"], kept["new"]) == (2, 3, 2)
    assert len(some_users_holdout(data, np.random.default_rng(0), 1, ordered=ordered)) == 1
    nobody = some_users_holdout(data, np.random.default_rng(0), 0, ordered=ordered)
    assert len(nobody) == 0 and len(nobody.train.items) == len(data.items)


def test_a_model_without_epochs_is_only_fitted(data: Interactions) -> None:
    found = fit(Popularity(), data, np.random.default_rng(0))
    assert found.fingerprint == Popularity().fit(data, np.random.default_rng(0)).fingerprint


def test_without_users_to_validate_with_all_epochs_are_trained(data: Interactions) -> None:
    config = replace(CONFIG, validation_users=0, epochs=2)
    found = fit(SASRec(config), data, np.random.default_rng(0))
    assert found.epochs == 2 and found.config == config
