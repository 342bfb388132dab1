"""How long a model that learns in epochs is tried: as long as it promises to be worth its time."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from es_recsys.dataset import Interactions
from es_recsys.evaluation.holdout import leave_last_out
from es_recsys.evaluation.holdout_split import HoldoutSplit
from es_recsys.models import CoVisitation, Model
from es_recsys.models.base import TrainingCallback
from es_recsys.models.sasrec import SASRec, SASRecConfig
from es_recsys.models.types import sample_users
from es_recsys.training import epoch_trial, trial_time
from es_recsys.training import model_selection as module
from es_recsys.training.ensemble_selection import MarginalGain
from es_recsys.training.epoch_trial import EpochTrial, briefly, config_for_all
from es_recsys.training.model_selection import TrainSpec, select, suitable_models

CONFIG = SASRecConfig(dims=16, max_length=8, dropout=0.1, negatives=20, batch_events=128, epochs=20, patience=20)


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """So little to do is done soonest by one thread."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def data(ring_walks: Interactions) -> Interactions:
    return ring_walks


@pytest.fixture(scope="module")
def part(data: Interactions) -> HoldoutSplit:
    return leave_last_out(data, np.random.default_rng(0), 100)


def tried(
    part: HoldoutSplit, config: SASRecConfig, beside: Model | None, monkeypatch: pytest.MonkeyPatch, seconds: float = 9.0
) -> EpochTrial:
    """Try for so many seconds, of which each epoch takes one."""
    epochs: list[int] = []
    monkeypatch.setattr(time, "process_time", lambda: float(len(epochs)))
    trial = EpochTrial("sasrec", part, seconds, None if beside is None else MarginalGain({"beside": beside}, part))
    trial.run(SASRec(config), 3, None, TrainingCallback(lambda done, total, figures: epochs.append(done)))
    return trial


def test_what_betters_the_others_gets_all_of_the_time(part: HoldoutSplit, monkeypatch: pytest.MonkeyPatch) -> None:
    others = CoVisitation().fit(part.train, np.random.default_rng(0))
    assert tried(part, replace(CONFIG, learning_rate=2e-2), others, monkeypatch).epochs == 9


def test_what_promises_nothing_gets_a_third(part: HoldoutSplit, monkeypatch: pytest.MonkeyPatch) -> None:
    still = replace(CONFIG, learning_rate=0.0)
    same = SASRec(replace(still, epochs=1)).fit(part.train, np.random.default_rng(3))
    assert tried(part, still, same, monkeypatch).epochs == 3


def test_there_is_an_epoch_at_least(part: HoldoutSplit, monkeypatch: pytest.MonkeyPatch) -> None:
    others = CoVisitation().fit(part.train, np.random.default_rng(0))
    assert [tried(part, CONFIG, beside, monkeypatch, 0.0).epochs for beside in (others, None)] == [1, 1]


def test_a_trial_that_was_broken_off_goes_on(part: HoldoutSplit, tmp_path: Path) -> None:
    """Also where nothing was left to be trained."""

    def stop(done: int, total: int, figures: Mapping[str, float]) -> None:
        if done == 2:
            raise KeyboardInterrupt

    config = replace(CONFIG, epochs=2)
    whole = EpochTrial("sasrec", part, 99.0, None).run(SASRec(config), 3, None, TrainingCallback())
    with pytest.raises(KeyboardInterrupt):
        EpochTrial("sasrec", part, 99.0, None).run(SASRec(config), 3, None, TrainingCallback(stop, tmp_path))
    again = EpochTrial("sasrec", part, 99.0, None)
    assert again.run(SASRec(config), 3, None, TrainingCallback(checkpoints=tmp_path)).fingerprint == whole.fingerprint
    assert again.epochs == 0 and np.isnan(again.alone)


def test_what_is_alone_gets_all_of_the_time(part: HoldoutSplit, monkeypatch: pytest.MonkeyPatch) -> None:
    assert tried(part, replace(CONFIG, learning_rate=0.0), None, monkeypatch).epochs == 9


def test_all_data_are_learned_in_as_many_steps(data: Interactions, part: HoldoutSplit) -> None:
    model = SASRec(CONFIG)
    model.epochs = 12
    config = config_for_all(model, part.train, data)
    assert (config.epochs, config.validation_users) == (12, 0)
    fewer = sample_users(data, len(data.items) // 4, np.random.default_rng(0))
    assert config_for_all(model, fewer, data).epochs == round(12 * len(fewer.items) / len(data.items))


def test_of_many_events_a_brief_training_has_fewer_epochs(data: Interactions, monkeypatch: pytest.MonkeyPatch) -> None:
    model = SASRec(CONFIG)
    assert briefly(model, data) == CONFIG
    monkeypatch.setattr(epoch_trial, "_BRIEF", 4 * len(data.items))
    assert briefly(model, data) == replace(CONFIG, epochs=4)
    assert briefly(CoVisitation(), data) == CoVisitation().config


def test_the_last_training_goes_on_from_the_trial(data: Interactions, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it learned nearly all of many events; a tenth of the epochs is left to be learned."""
    monkeypatch.setattr(trial_time, "_NEARLY_ALL", 0.5)
    monkeypatch.setattr(trial_time, "_FEW_EVENTS", 100)
    brief = replace(CONFIG, learning_rate=2e-2, epochs=10)
    told: list[tuple[str, int, int]] = []
    spec = TrainSpec(("sasrec",), {"sasrec": brief}, part=lambda *one: told.append(one))
    found = select(data, np.random.default_rng(1), spec=spec).models["sasrec"]
    tried = max(done for stage, done, _ in told if stage == "sasrec, trial")
    assert tried > 3 and found.config.epochs > 3
    assert [one for one in told if one[0] == "sasrec, final"] == [("sasrec, final", 1, 1)]


def test_where_order_tells_the_sequence_model_is_tried_by_itself(data: Interactions, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "sasrec" not in suitable_models(data, True)
    monkeypatch.setattr(module, "_SEQUENCE_EVENTS", len(data.items))
    assert suitable_models(data, True)[:3] == ("covisitation", "als", "sasrec") and "sasrec" not in suitable_models(data, False)
    brief = replace(CONFIG, learning_rate=2e-2, epochs=3)
    monkeypatch.setattr(SASRec, "config_for", classmethod(lambda cls, data, ordered: brief))
    found = select(data, np.random.default_rng(1))
    (line,) = [one for one in found.report.lines if one.startswith("sasrec: ")]
    assert "in an ensemble with covisitation, als" in line and "epochs at" in line and " s: " in line
    assert found.report.figures["tried_s"]["sasrec"] > 0.0
    hasty = select(data, np.random.default_rng(1), 10.0)
    assert any(line.startswith("sasrec: not tried (the time ran out") for line in hasty.report.lines)
    named = select(data, np.random.default_rng(1), spec=TrainSpec(("covisitation", "sasrec"))).models["sasrec"]
    assert named.config == replace(brief, epochs=named.epochs, validation_users=0)
