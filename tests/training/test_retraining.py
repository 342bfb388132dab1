"""Whether a training is due, and whether what it made may be served."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from es_recsys.dataset import Interactions
from es_recsys.index.id_set import IdSet
from es_recsys.index_metadata import IndexMetadata
from es_recsys.models import CoVisitation, UserKNN
from es_recsys.models.types import take
from es_recsys.settings import Settings
from es_recsys.training import retrain as retraining
from es_recsys.training.model_selection import TrainSpec, select
from es_recsys.training.retrain import RetrainCheck, RetrainReport
from es_recsys.training.selection_report import ExpectedQuality
from es_recsys.training.served_quality import Quality, compare, held_out, quality
from es_recsys.training.training_record import TrainingRecord, training_lock

DAY = 86_400.0
UNTIL = 60 * DAY


def rings(users: int = 400, days: int = 80, turn: float = float("inf"), seed: int = 0) -> Interactions:
    """Four rings of 60 items; everybody goes along one of them, an event every five days or so, a third of them anywhere.
    From `turn` on (epoch seconds) people jump about anywhere."""
    rng = np.random.default_rng(seed)
    rows: list[tuple[int, int, float]] = []
    for user in range(users):
        ring, place = user % 4, int(rng.integers(60))
        for time in np.sort(rng.random(days // 5) * days * DAY).tolist():
            place += 1
            item = 60 * ring + place % 60 if time < turn and rng.random() > 0.33 else int(rng.integers(240))
            rows.append((user, item, time))
    who, what, when = zip(*rows, strict=True)
    n = len(rows)
    return Interactions(
        np.array([f"u{place:03d}" for place in range(users)]),
        np.array([f"i{place:03d}" for place in range(240)]),
        np.array(who, np.int32),
        np.array(what, np.int32),
        np.ones(n, np.float32),
        np.array(when),
    )


def known(data: Interactions) -> Interactions:
    return take(data, data.times <= UNTIL)


def snapshot(models: dict[str, Any]) -> Any:
    share = {name: 1.0 / len(models) for name in models}
    return SimpleNamespace(models=models, metadata=SimpleNamespace(retriever_weights={"no_query": {**share, "popularity": 1e-3}}))


def trained(data: Interactions) -> tuple[Any, TrainingRecord]:
    """CoVisitation on what was known at the time, and what was expected of it."""
    chosen = select(known(data), np.random.default_rng(1), 0.0, spec=TrainSpec(("covisitation",)))
    record = TrainingRecord.on(known(data), UNTIL, ("covisitation",), {}, chosen.report.figures)
    return snapshot({"covisitation": chosen.models["covisitation"]}), record


def test_the_expected_quality_is_what_held_out_events_gave() -> None:
    _, record = trained(rings())
    assert record.expected_quality is not None
    assert record.expected_quality.ndcg > 0.3
    assert 0.0 < record.expected_quality.error < 0.1
    assert record.expected_quality.users >= 50


@pytest.mark.parametrize("seed", [0, 1, 2, 3])
def test_more_of_the_same_has_not_fallen(seed: int) -> None:
    data = rings(seed=seed)
    served, record = trained(data)
    found = quality(served, record, data, np.random.default_rng(0))
    assert isinstance(found, Quality)
    assert not found.fallen
    assert "has not fallen" in found.line()


def test_tastes_that_turn_after_the_training_make_quality_fall() -> None:
    data = rings(turn=UNTIL)
    served, record = trained(data)
    found = quality(served, record, data, np.random.default_rng(0))
    assert isinstance(found, Quality)
    assert found.fallen
    assert found.change.high < 0.0
    assert found.now < 0.5 * found.expected_quality.ndcg


def test_a_fall_within_chance_or_of_little_is_none() -> None:
    data = rings()
    served, record = trained(data)
    measured = quality(served, record, data, np.random.default_rng(0))
    assert isinstance(measured, Quality)
    for expected, fallen in [
        (ExpectedQuality(1.5 * measured.now, 0.5 * measured.now, 100), False),
        (ExpectedQuality(1.5 * measured.now, 0.01 * measured.now, 100), True),
        (ExpectedQuality(1.05 * measured.now, 0.0, 100), False),
    ]:
        told = TrainingRecord(record.events, record.until, (), {}, expected)
        again = quality(served, told, data, np.random.default_rng(0))
        assert isinstance(again, Quality)
        assert again.fallen is fallen


@pytest.mark.parametrize(
    ("record", "why"),
    [
        (TrainingRecord(10, None, (), {}, ExpectedQuality(0.5, 0.01, 100)), "has no times"),
        (TrainingRecord(10, UNTIL), "too little to measure"),
        (TrainingRecord(10, 80 * DAY, (), {}, ExpectedQuality(0.5, 0.01, 100)), "0 users"),
    ],
)
def test_what_cannot_be_compared_is_said(record: TrainingRecord, why: str) -> None:
    found = quality(snapshot({"covisitation": CoVisitation()}), record, rings(), np.random.default_rng(0))
    assert isinstance(found, str)
    assert why in found


def test_nothing_that_the_served_version_knew_is_held_out() -> None:
    data = rings()
    _, record = trained(data)
    part = held_out(record, data, np.random.default_rng(0))
    assert part is not None
    since = data.times[data.times > UNTIL]
    latest = part.train.times.max()
    assert UNTIL < latest < since.max()
    assert (part.train.times > UNTIL).sum() >= 0.4 * len(since)
    assert held_out(None, data, np.random.default_rng(0)) is None
    assert held_out(TrainingRecord(10, None), data, np.random.default_rng(0)) is None
    assert held_out(TrainingRecord(10, 80 * DAY), data, np.random.default_rng(0)) is None


def test_quality_is_of_what_answers_are_to_lead_to() -> None:
    plain = rings(800)
    # Every fourth item is only ever bought, the others are looked at.
    data = replace(plain, type_idx=(plain.items % 4 == 0).astype(np.int8), event_types=("view", "purchase"))
    _, record = trained(data)
    part = held_out(record, data, np.random.default_rng(0), ("purchase",))
    assert part is not None
    assert all((wanted % 4 == 0).all() for wanted in part.targets)
    chosen = select(known(data), np.random.default_rng(1), 0.0, spec=TrainSpec(("covisitation",), targets=("purchase",)))
    bought = TrainingRecord.on(known(data), UNTIL, ("covisitation",), {}, chosen.report.figures, targets=("purchase",))
    assert bought.expected_quality is not None and bought.expected_quality != record.expected_quality
    served = snapshot({"covisitation": chosen.models["covisitation"]})
    found = quality(served, bought, data, np.random.default_rng(0))
    assert isinstance(found, Quality)
    assert found.expected_quality == bought.expected_quality
    buyers = len(np.unique(data.users[(data.times > UNTIL) & (data.type_idx == 1)]))
    assert 50 <= found.change.n <= buyers < len(data.user_ids)


def test_worse_models_are_told_from_better_ones() -> None:
    data = rings()
    served, record = trained(data)
    part = held_out(record, data, np.random.default_rng(0))
    assert part is not None
    good = (served.models, {"covisitation": 1.0})
    poor = ({"popularity": select(part.train, np.random.default_rng(1), 0.0).models["popularity"]}, {"popularity": 1.0})
    lost = compare(good, poor, part, np.random.default_rng(0))
    assert lost.worse
    assert lost.new < lost.serving
    won = compare(poor, good, part, np.random.default_rng(0))
    assert not won.worse
    assert won.gain.low > 0.0
    assert won.expected_quality.users == won.users == len(part)
    same = compare(good, good, part, np.random.default_rng(0))
    assert not same.worse
    assert same.gain.mean == 0.0


def test_user_knn_is_compared_with_the_users_that_it_finds_in_elasticsearch() -> None:
    data = rings()
    model = UserKNN().fit(known(data), np.random.default_rng(0))
    record = TrainingRecord(len(known(data).items), UNTIL, (), {}, ExpectedQuality(0.01, 0.001, 100))
    found = quality(snapshot({"userknn": model.to_serve()}), record, data, np.random.default_rng(0))
    assert isinstance(found, Quality)
    assert found.now > 0.01


def test_a_record_is_kept_in_the_notes_of_a_version() -> None:
    record = TrainingRecord(100, UNTIL, ("als", "lsa"), {"view": 0.5}, ExpectedQuality(0.1, 0.01, 80), ("purchase",))
    notes = record.noted({"bare": True, "replaces": 3, "attempt": 90})
    metadata = IndexMetadata("shop", 4, models=("als",), notes=notes)
    assert set(notes) == {"bare", "trained"}
    assert TrainingRecord.of(IndexMetadata.from_dict(metadata.to_dict())) == record
    # What was kept before there were targets.
    older = {"trained": {name: value for name, value in notes["trained"].items() if name != "targets"}}
    assert TrainingRecord.of(IndexMetadata("shop", 1, models=("als",), notes=older)) == replace(record, targets=())
    assert TrainingRecord.of(IndexMetadata("shop", 1, notes=notes)) is None
    assert TrainingRecord.of(IndexMetadata("shop", 1, models=("als",))) is None


def test_one_training_at_a_time(tmp_path: Path) -> None:
    settings = Settings(url="http://localhost:1", home=tmp_path)
    other = Settings(url="http://localhost:1", home=tmp_path, index="other")
    with training_lock(settings) as first, training_lock(settings) as second, training_lock(other) as third:
        assert (first, second, third) == (True, False, True)
    with training_lock(settings) as free:
        assert free


def test_a_catalogue_knows_what_is_new_to_it() -> None:
    then, now = IdSet(), IdSet()
    then.update(["a", "b", "c"])
    now.update(["b", "c", "d", "e"])
    again = IdSet.from_array(then.to_array())
    assert len(again) == 3
    assert again.coverage_of(now) == 0.5
    assert again.coverage_of(IdSet()) == 1.0


def test_decided_shares_are_trained_without_any_trial() -> None:
    data = rings()
    config = CoVisitation.default_config(True, True)
    spec = TrainSpec(configs={"covisitation": config}, shares={"covisitation": 1.0})
    chosen = select(data, np.random.default_rng(1), spec=spec)
    assert dict(chosen.weights) == {"covisitation": 1.0}
    assert chosen.models["covisitation"].config == config
    assert "expected_quality" not in chosen.report.figures


def test_the_report_says_what_was_done() -> None:
    assert "nothing is done" in "".join(RetrainReport("busy").lines())
    idle = RetrainReport("nothing", RetrainCheck(("Events: 5.",)))
    assert list(idle.lines()) == ["Events: 5.", "No training is needed."]
    assert idle.to_dict()["outcome"] == "nothing"


def test_a_comparison_that_fails_ends_no_training(monkeypatch: pytest.MonkeyPatch) -> None:
    data = rings()
    served, record = trained(data)
    metadata = IndexMetadata(
        "shop", 1, models=("covisitation",), notes=record.noted({}), retriever_weights={"no_query": {"covisitation": 1.0}}
    )
    served = SimpleNamespace(metadata=metadata, models=served.models, removed_models=())

    def fail(*_: Any) -> Any:
        raise MemoryError

    for name, told in (("_events", ("Events.", "they have grown")), ("_items", ("Items.", ""))):
        monkeypatch.setattr(retraining, name, lambda *_, told=told: told)
    monkeypatch.setattr(retraining, "live_names", lambda _, snapshot: tuple(snapshot.models))
    monkeypatch.setattr(retraining, "quality", fail)
    checked = retraining.check(cast(Any, None), served, data, (), (), 0.1, np.random.default_rng(0))
    assert checked.reasons == ("they have grown",) and checked.quality is None
    assert checked.facts[2] == "Quality: not compared: There is not enough memory for it (MemoryError)."

    # Nor one of the new models with those in service: they are trained on everything, and served.
    asked: list[str] = []
    monkeypatch.setattr(retraining, "check", lambda *_: checked)
    monkeypatch.setattr(retraining, "_tried", fail)
    monkeypatch.setattr(retraining, "train_spec", lambda *_, **__: TrainSpec())
    monkeypatch.setattr(retraining, "train_and_publish", lambda *_, **__: asked.append("served"))
    monkeypatch.setattr(retraining, "load_interactions", lambda *_: data)
    work = SimpleNamespace(snapshots=SimpleNamespace(for_training=lambda: served), now=lambda: 0.0, events=None)
    report = retraining._run(cast(Any, work), (), False, (), 0.1, None, 1, None)
    assert (report.outcome, asked) == ("trained", ["served"])
    assert report.tried == (
        "The new models are not compared with those in service: There is not enough memory for it (MemoryError).",
    )
