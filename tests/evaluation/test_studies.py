"""Searches by trials: what is tried, kept and gone on with."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import optuna
import pytest

from es_recsys.errors import OutOfTime
from es_recsys.evaluation.studies import search

SPACE = {"x": tuple(float(v) for v in range(9)), "window": ((5, 0.7), (10, 0.8), (None, 1.0)), "half": (1.0, float("inf"))}


def _score(settings: Mapping[str, Any]) -> float:
    return -abs(settings["x"] - 6.0) - (settings["window"] != (10, 0.8)) - (settings["half"] != float("inf"))


def test_it_finds_the_best_and_tries_the_start_first() -> None:
    start = {"x": 1.0, "window": (5, 0.7), "half": 1.0}
    found = search(SPACE, _score, start=start, trials=60)
    assert dict(found.trials[0].settings) == start
    assert found.best is not None
    assert found.best.value == max(trial.value for trial in found.trials if trial.value is not None)
    assert found.best.value == 0.0
    assert found.resumed == 0


def test_the_same_seed_tries_the_same() -> None:
    one, other = (search(SPACE, _score, trials=12, seed=3) for _ in range(2))
    assert [trial.settings for trial in one.trials] == [trial.settings for trial in other.trials]


def test_settings_are_scored_once_however_often_they_are_drawn() -> None:
    scored = []

    def score(settings: Mapping[str, Any]) -> float:
        scored.append(settings["x"])
        return float(settings["x"])

    found = search({"x": (1, 2, 3)}, score, trials=50)
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

    first = search(SPACE, slow, file=tmp_path / "study.sqlite3", trials=20)
    assert sum(trial.value is not None for trial in first.trials) == 3 and len(calls) == 4
    search(SPACE, slow, file=tmp_path / "study.sqlite3", trials=4)
    assert calls[3] == calls[4] and len(calls) == 5


def test_a_broken_study_is_gone_on_with(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "study.sqlite3"
    calls: list[dict[str, Any]] = []

    def breaking(settings: Mapping[str, Any]) -> float:
        calls.append(dict(settings))
        if len(calls) == 5:
            raise KeyboardInterrupt
        return _score(settings)

    with pytest.raises(KeyboardInterrupt):
        search(SPACE, breaking, file=file, trials=20)
    before = list(calls)
    found = search(SPACE, breaking, file=file, trials=20)
    assert found.resumed == 4
    assert calls[5] == before[4]
    assert sum(trial.value is not None for trial in found.trials) == 20
    again = search(SPACE, breaking, file=file, trials=20)
    assert again.resumed == 20
    assert again.best == found.best


def test_a_file_is_a_study_of_optuna(tmp_path: Path) -> None:
    file = tmp_path / "study.sqlite3"
    found = search(SPACE, _score, name="a", file=file, trials=4)
    study = optuna.load_study(study_name="a", storage=f"sqlite:///{file}")
    assert [one.value for one in study.trials] == [one.value for one in found.trials]
    assert [SPACE["x"][one.params["x"]] for one in study.trials] == [one.settings["x"] for one in found.trials]


def test_other_names_in_one_file_are_other_studies(tmp_path: Path) -> None:
    file = tmp_path / "study.sqlite3"
    search({"x": (1, 2, 3)}, lambda s: s["x"], name="a", file=file, trials=2)
    assert search({"x": (1, 2, 3)}, lambda s: s["x"], name="b", file=file, trials=1).resumed == 0


def test_time_ends_it() -> None:
    assert len(search(SPACE, _score, trials=500, seconds=0.0).trials) == 0


def test_a_trial_is_json_also_where_a_value_is_infinite() -> None:
    import json

    found = search({"half": (float("inf"),), "window": ((None, 1.0),)}, lambda _: 1.0, trials=1)
    assert json.loads(json.dumps(found.trials[0].to_dict()))["settings"] == {"half": "inf", "window": [None, 1.0]}
