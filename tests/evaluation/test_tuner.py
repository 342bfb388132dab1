"""The tuner: what is tried, kept and gone on with, by either method."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import optuna
import pytest

from es_recsys.errors import OutOfTime
from es_recsys.evaluation.tuner import TuningResult, optimize

SPACE = {"x": tuple(float(v) for v in range(9)), "window": ((5, 0.7), (10, 0.8), (None, 1.0)), "half": (1.0, float("inf"))}


def _score(settings: Mapping[str, Any]) -> float:
    return -abs(settings["x"] - 6.0) - (settings["window"] != (10, 0.8)) - (settings["half"] != float("inf"))


@pytest.mark.parametrize("method", ["tpe", "coordinate"])
def test_it_finds_the_best_and_tries_the_start_first(method: Any) -> None:
    start = {"x": 1.0, "window": (5, 0.7), "half": 1.0}
    found = optimize(SPACE, _score, method=method, start=start, trials=60)
    assert dict(found.trials[0].settings) == start
    assert found.best is not None
    assert found.best.value == max(trial.value for trial in found.trials if trial.value is not None)
    assert found.best.value == 0.0
    assert found.resumed == 0


def test_the_same_seed_tries_the_same() -> None:
    one, other = (optimize(SPACE, _score, trials=12, seed=3) for _ in range(2))
    assert [trial.settings for trial in one.trials] == [trial.settings for trial in other.trials]


def test_settings_are_scored_once_however_often_they_are_drawn() -> None:
    scored = []

    def score(settings: Mapping[str, Any]) -> float:
        scored.append(settings["x"])
        return float(settings["x"])

    found = optimize({"x": (1, 2, 3)}, score, trials=50)
    assert sorted(scored) == [1, 2, 3]
    assert found.best is not None
    assert found.best.settings == {"x": 3}


def test_what_runs_out_of_time_ends_it_and_is_tried_again(tmp_path: Path) -> None:
    calls: list[dict[str, Any]] = []

    def slow(settings: Mapping[str, Any]) -> float:
        calls.append(dict(settings))
        if len(calls) == 4:
            raise OutOfTime("It took too long.")
        return _score(settings)

    first = optimize(SPACE, slow, file=tmp_path / "study.sqlite3", trials=20)
    assert sum(trial.value is not None for trial in first.trials) == 3 and len(calls) == 4
    optimize(SPACE, slow, file=tmp_path / "study.sqlite3", trials=4)
    assert calls[3] == calls[4] and len(calls) == 5


@pytest.mark.parametrize("method", ["tpe", "coordinate"])
def test_a_broken_study_is_gone_on_with(tmp_path: Path, method: Any) -> None:
    file = tmp_path / "deep" / "study.sqlite3"
    calls: list[dict[str, Any]] = []

    def breaking(settings: Mapping[str, Any]) -> float:
        calls.append(dict(settings))
        if len(calls) == 5:
            raise KeyboardInterrupt
        return _score(settings)

    with pytest.raises(KeyboardInterrupt):
        optimize(SPACE, breaking, method=method, file=file, trials=20)
    before = list(calls)
    found = optimize(SPACE, breaking, method=method, file=file, trials=20)
    assert found.resumed == 4
    assert calls[5] == before[4]
    assert len({str(trial.settings) for trial in found.trials}) == len(found.trials) == len(calls) - 1 > 6
    again = optimize(SPACE, breaking, method=method, file=file, trials=20)
    assert again.resumed == len(found.trials) == len(again.trials)
    states = [one.state.name for one in optuna.load_study(study_name="study", storage=f"sqlite:///{file}").trials]
    assert states.count("FAIL") == 1 and "RUNNING" not in states
    assert again.best is not None and found.best is not None
    assert (again.best.settings, again.best.value) == (found.best.settings, found.best.value)


def test_a_file_is_a_study_of_optuna(tmp_path: Path) -> None:
    file = tmp_path / "study.sqlite3"
    found = optimize(SPACE, _score, name="a", file=file, trials=4)
    study = optuna.load_study(study_name="a", storage=f"sqlite:///{file}")
    assert [one.value for one in study.trials] == [one.value for one in found.trials]
    assert [SPACE["x"][one.params["x"]] for one in study.trials] == [one.settings["x"] for one in found.trials]


def test_other_names_in_one_file_are_other_studies(tmp_path: Path) -> None:
    file = tmp_path / "study.sqlite3"
    optimize({"x": (1, 2, 3)}, lambda s: s["x"], name="a", file=file, trials=2)
    assert optimize({"x": (1, 2, 3)}, lambda s: s["x"], name="b", file=file, trials=1).resumed == 0


def test_time_ends_it() -> None:
    assert len(optimize(SPACE, _score, trials=500, deadline=0.0).trials) == 0


def test_no_trial_begins_of_which_most_would_come_too_late(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(time, "process_time", lambda: clock[0])

    def score(settings: Mapping[str, Any]) -> float:
        clock[0] += 10.0
        return float(settings["x"])

    for deadline, tried in [(34.0, 3), (36.0, 4)]:
        clock[0] = 0.0
        found = optimize({"x": tuple(range(9))}, score, method="coordinate", deadline=deadline, exhaustive=True)
        assert (found.tried, found.cut_short) == (tried, True)


def test_a_trial_is_json_also_where_a_value_is_infinite() -> None:
    import json

    found = optimize({"half": (float("inf"),), "window": ((None, 1.0),)}, lambda _: 1.0, trials=1)
    assert json.loads(json.dumps(found.trials[0].to_dict()))["settings"] == {"half": "inf", "window": [None, 1.0]}


def _hill(settings: Mapping[str, Any]) -> float:
    return -abs(settings["x"] - 3) - abs(settings["y"] + 2)


HILL = {"x": tuple(range(-5, 6)), "y": tuple(range(-5, 6))}


def _search(x: int, y: int, **more: Any) -> TuningResult:
    return optimize(HILL, _hill, method="coordinate", start={"x": x, "y": y}, **more)


def test_one_setting_after_the_other_reaches_the_top_and_nothing_is_tried_twice() -> None:
    found = _search(0, 0)
    assert found.best is not None and (found.best.settings, found.best.value) == ({"x": 3, "y": -2}, 0)
    assert not found.cut_short
    assert len(found.trials) == len({str(one.settings) for one in found.trials}) < 20
    assert len(_search(3, -2).trials) == 5


def test_all_values_of_a_setting_are_tried_where_they_are_cheap() -> None:
    def plateau(settings: Mapping[str, Any]) -> float:
        return float(settings["x"] >= 3)

    near, all_values = (
        optimize(HILL, plateau, method="coordinate", start={"x": 0, "y": 0}, exhaustive=exhaustive)
        for exhaustive in (False, True)
    )
    assert near.best is not None and near.best.value == 0.0
    assert all_values.best is not None and all_values.best.value == 1.0


def test_what_betters_it_too_little_is_no_move() -> None:
    found = optimize({"x": (0, 1, 2)}, lambda s: s["x"] * 0.1, method="coordinate", start={"x": 0}, min_gain=0.5)
    assert len(found.trials) == 2


def test_a_second_round_follows_what_the_first_opened() -> None:
    def ridge(settings: Mapping[str, Any]) -> float:
        x, y = settings["x"], settings["y"]
        return -abs(x - y) * 3 + y if x < 3 else -9.0

    once, twice = (optimize(HILL, ridge, method="coordinate", start={"x": 1, "y": 0}, rounds=rounds).best for rounds in (1, 3))
    assert once is not None and twice is not None
    assert twice.value >= once.value == 0


def test_what_is_not_in_the_space_is_entered_at_every_value() -> None:
    tried = []

    def score(settings: Mapping[str, Any]) -> float:
        tried.append(dict(settings))
        return _hill({"x": 40, "y": 40, **settings})

    found = optimize(HILL, score, method="coordinate", start={"x": 40, "y": 40})
    assert found.best is not None and found.best.settings == {"x": 3, "y": -2}
    assert tried[0] == {}


def test_when_time_is_out_the_start_stands() -> None:
    found = _search(2, -2, deadline=0.0)
    assert found.best is not None and found.best.settings == {"x": 2, "y": -2}
    assert found.cut_short and found.tried == 1


@pytest.mark.parametrize("method", ["tpe", "coordinate"])
def test_what_fails_is_passed_over_but_the_start_must_not(method: Any) -> None:
    def fragile(settings: Mapping[str, Any]) -> float:
        if settings["x"] == 3:
            raise ValueError("no such thing")
        return float(settings["x"])

    space = {"x": (1, 2, 3)}
    found = optimize(space, fragile, method=method, start={"x": 1})
    assert found.best is not None and found.best.settings == {"x": 2}
    assert [str(error) for error in found.failed] == ["no such thing"] and found.tried == 3
    with pytest.raises(ValueError, match="no such thing"):
        optimize(space, fragile, method=method, start={"x": 3})


def test_what_runs_out_of_time_is_no_trial() -> None:
    def slow(settings: Mapping[str, Any]) -> float:
        if settings["x"] == 3:
            raise OutOfTime("It took too long.")
        return float(settings["x"])

    found = optimize(HILL, slow, method="coordinate", start={"x": 1, "y": 0})
    assert found.best is not None and found.best.settings["x"] == 2
    assert found.cut_short and found.tried == 2
    with pytest.raises(OutOfTime):
        optimize(HILL, slow, method="coordinate", start={"x": 3, "y": 0})
