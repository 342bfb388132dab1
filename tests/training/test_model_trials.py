"""Trials: what is kept of trained models while settings are searched, and what is given up when the time is over."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray

from es_recsys.cooccurrence import CooccurrenceConfig
from es_recsys.dataset import Interactions, ItemTable
from es_recsys.evaluation.holdout import leave_last_out
from es_recsys.evaluation.holdout_split import HoldoutSplit
from es_recsys.models.base import Model, TrainingCallback, unit
from es_recsys.models.covisitation import CoVisitationConfig
from es_recsys.models.ease import EASEConfig
from es_recsys.models.types import HistoryBatch
from es_recsys.training import model_trials as module
from es_recsys.training.model_trials import Trials, trials_of


@dataclass(frozen=True)
class Taught:
    right: int = 0


class Learner(Model):
    """Learns what is right as far as its setting lets it, and nothing after the deadline."""

    name: ClassVar[str] = "learner"
    config_class: ClassVar[type] = Taught
    trainings: ClassVar[list[int]] = []

    def fit(
        self, data: Interactions, rng: np.random.Generator, items: ItemTable | None = None, watch: TrainingCallback | None = None
    ) -> Learner:
        self.trainings.append(self.config.right)
        late = watch is not None and time.process_time() > watch.deadline
        scores = np.ones(len(data.item_ids), np.float32)
        # The target is the last item; the nearer the setting is to 2, the higher it stands.
        scores[-1] = 0.5 if late else 2.0 - abs(self.config.right - 2) / 2.0
        return self._set_learned(data.item_ids.tolist(), {"scores": scores})

    @classmethod
    def search_space(cls, ordered: bool, timed: bool) -> Mapping[str, tuple[Any, ...]]:
        return {"right": (0, 1, 2, 3, 4, 5, 6, 7)}

    def _all_scores(self, batch: HistoryBatch) -> NDArray[np.float32]:
        return self._arrays["scores"]  # type: ignore[no-any-return]

    def _contributions(self, batch: HistoryBatch, item_idx: NDArray[np.int64]) -> NDArray[np.float64]:
        return np.zeros((len(batch.items), len(item_idx)))


def _part() -> HoldoutSplit:
    train = Interactions(
        user_ids=np.array(["u"]),
        item_ids=np.array([f"i{i:02}" for i in range(30)]),
        users=np.zeros(2, np.int32),
        items=np.array([0, 1], np.int32),
        weights=np.ones(2, np.float32),
        times=np.arange(2.0),
    )
    users = np.array([0])
    return HoldoutSplit("the last", train, HistoryBatch.of_users(train, users), (np.array([0, 1]),), (np.array([29]),), (), users)


def test_the_best_of_a_search_is_there_when_time_has_run_out(monkeypatch: pytest.MonkeyPatch) -> None:
    Learner.trainings.clear()
    clock, deadline = [0.0], 1.0
    monkeypatch.setattr(time, "process_time", lambda: clock[0])
    trials = Trials(Learner, _part(), 0, None, TrainingCallback(deadline=deadline))
    # Every value is entered, as none of them is where the search begins.
    config, _ = trials.tune(True, deadline, None, lambda model: -abs(model.config.right - 1) - 0.1 * model.config.right)
    for other in (5, 6, 7):
        trials.model(Taught(other))
    clock[0] = 2.0
    before = list(Learner.trainings)
    assert len(before) > 4
    assert config == Taught(1)
    assert float(trials.each(config).mean()) == 1.0
    assert Learner.trainings == before


@pytest.fixture(scope="module")
def part(interactions: Callable[..., Interactions]) -> HoldoutSplit:
    rng = np.random.default_rng(3)
    users = {f"u{user}": [f"i{item:02}" for item in rng.choice(15, 8, replace=False) + 15 * (user % 2)] for user in range(60)}
    return leave_last_out(interactions(users), np.random.default_rng(0), 40)


def test_the_pairs_of_the_best_of_a_search_are_not_counted_again(part: HoldoutSplit, monkeypatch: pytest.MonkeyPatch) -> None:
    counted: list[CooccurrenceConfig] = []
    count = module.count
    monkeypatch.setattr(module, "count", lambda seq, how, *given: (counted.append(how), count(seq, how, *given))[1])
    found = trials_of("covisitation", part, 0)
    config, _ = found.tune(True, float("inf"), score=lambda model: -float(len(counted)))
    assert len(set(counted)) > 3 and config == CoVisitationConfig(counted[0], 0.5, 0.2, half_life=3.0)
    before = len(counted)
    found.model(config)
    assert len(counted) == before


def test_the_first_training_is_needed_and_others_may_be_given_up(part: HoldoutSplit) -> None:
    told: list[int] = []
    late = TrainingCallback(lambda done, total, _: told.append(done), deadline=time.process_time() - 1.0)
    config, result = trials_of("ease", part, 0, watch=late).tune(False, float("inf"))
    assert result.cut_short and result.tried == 1 and config == EASEConfig()
    steps = max(told)
    assert steps > 1 and told == [*range(1, steps + 1), 1]


@pytest.mark.parametrize("beside", [(), ("image_vector",), ("image_vector", "audio_vector")])
def test_weights_of_contents_are_tried_where_items_have_them(part: HoldoutSplit, beside: tuple[str, ...]) -> None:
    ids, rng = part.train.item_ids, np.random.default_rng(1)
    vectors = {name: unit(rng.normal(size=(len(ids), 6)).astype(np.float32)) for name in ("text_vector", *beside)}
    empty, nothing = [""] * len(ids), np.full(len(ids), np.nan)
    items = ItemTable(
        ids,
        empty,
        empty,
        [()] * len(ids),
        empty,
        nothing,
        nothing,
        {"audio_vector": np.zeros((len(ids), 4), np.float32), **vectors},
    )
    begin = {"image_vector": 0.5, "audio_vector": 2.0, "dims": 64}
    _, result = trials_of("fused", part, 0, items).tune(True, float("inf"), start=begin)
    tried = {setting for trial in result.trials for setting in trial.settings}
    assert tried & {"image_vector", "audio_vector"} == set(beside)
    assert {"dims", "whitening"} <= tried
