"""Searches by optuna (Akiba et al. 2019) over ordered values of a few settings, kept in a file and gone on with.

The sampler is the tree-structured Parzen estimator (Bergstra et al. 2011). A setting is searched by the place of its value, so
that the sampler knows which values are neighbours.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from es_recsys.errors import MissingExtra, OutOfTime

if TYPE_CHECKING:
    import optuna

__all__ = ["Found", "Trial", "search"]

# Draws that may repeat earlier ones, before settings are drawn blindly.
_PATIENCE = 5

Space = Mapping[str, Sequence[Any]]
Key = tuple[tuple[str, Any], ...]
Score = Callable[[Mapping[str, Any]], float]


@dataclass(frozen=True, slots=True)
class Trial:
    """One configuration that was tried. value: its score; None where it was broken off or failed."""

    number: int
    settings: Mapping[str, Any]
    value: float | None
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        return {
            "number": self.number,
            "settings": {name: _plain(value) for name, value in self.settings.items()},
            "value": self.value,
            "seconds": round(self.seconds, 3),
        }


@dataclass(frozen=True, slots=True)
class Found:
    """All trials of the study, those of earlier runs too, and the best of them (None: no trial ended)."""

    trials: tuple[Trial, ...]
    best: Trial | None
    resumed: int


def search(
    space: Space,
    score: Score,
    *,
    start: Mapping[str, Any] | None = None,
    name: str = "study",
    file: Path | None = None,
    trials: int = 40,
    seconds: float | None = None,
    seed: int = 7,
    progress: Callable[[float, float | None], None] | None = None,
) -> Found:
    """Until `trials` different settings have been scored, or for so many seconds. The higher the score, the better.

    start: tried first, where its values are in the space. file: SQLite, in which a study of this name is gone on with; what
    ran when it was broken off, or when `score` raised OutOfTime, which ends the search, is tried again. Raises MissingExtra, and
    what else `score` raises.
    """
    study = _study(name, file, seed)
    earlier = _mended(study)
    if start is not None and not earlier and (places := _places(space, start)) is not None:
        study.enqueue_trial(places)
    ends = time.monotonic() + seconds if seconds is not None else float("inf")
    scored = {_key(one.params) for one in study.trials if one.values}
    rng = np.random.default_rng([seed, len(study.trials)])
    while len(scored) < min(trials, _size(space)) and time.monotonic() < ends:
        trial, places = _fresh(study, space, scored, rng)
        try:
            value = float(score({setting: space[setting][at] for setting, at in places.items()}))
        except OutOfTime:
            break
        study.tell(trial, value)
        scored.add(_key(places))
        if progress is not None:
            progress(len(scored), trials)
    from optuna.trial import TrialState

    rows = tuple(_trial(one, space) for one in study.trials if one.state != TrialState.PRUNED)
    valued = [row for row in rows if row.value is not None]
    best = max(valued, key=lambda row: (row.value or 0.0, -row.number)) if valued else None
    return Found(rows, best, earlier)


def _study(name: str, file: Path | None, seed: int) -> optuna.Study:
    try:
        import optuna
    except ImportError as error:
        raise MissingExtra("optuna", "evaluation") from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = None
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        storage = optuna.storages.RDBStorage(f"sqlite:///{file}")
    study = optuna.create_study(study_name=name, storage=storage, direction="maximize", load_if_exists=True)
    # A resumed study draws on, and doesn't repeat what it drew first.
    study.sampler = optuna.samplers.TPESampler(seed=seed + len(study.trials))
    return study


def _fresh(
    study: optuna.Study, space: Space, scored: Collection[Key], rng: np.random.Generator
) -> tuple[optuna.Trial, dict[str, int]]:
    """A trial with settings that none had yet: the sampler's, or where it only repeats itself, any."""
    from optuna.trial import TrialState

    for draw in count():
        if draw >= _PATIENCE:
            study.enqueue_trial({setting: int(rng.integers(len(values))) for setting, values in space.items()})
        trial = study.ask()
        places = {setting: trial.suggest_int(setting, 0, len(values) - 1) for setting, values in space.items()}
        if _key(places) not in scored:
            return trial, places
        study.tell(trial, state=TrialState.PRUNED)
    raise AssertionError("unreachable")


def _mended(study: optuna.Study) -> int:
    """Has trials that were broken off tried again; -> how many had ended."""
    from optuna.trial import TrialState

    for one in study.get_trials(states=(TrialState.RUNNING,)):
        study.tell(one.number, state=TrialState.FAIL)
        if one.params:
            study.enqueue_trial(one.params)
    return _ended(study)


def _ended(study: optuna.Study) -> int:
    return sum(one.value is not None for one in study.trials)


def _trial(one: optuna.trial.FrozenTrial, space: Space) -> Trial:
    settings = {setting: space[setting][at] for setting, at in one.params.items() if setting in space}
    seconds = one.duration.total_seconds() if one.duration is not None else 0.0
    return Trial(one.number, settings, one.value if one.values else None, seconds)


def _places(space: Space, start: Mapping[str, Any]) -> dict[str, int] | None:
    if any(start.get(setting) not in values for setting, values in space.items()):
        return None
    return {setting: list(values).index(start[setting]) for setting, values in space.items()}


def _key(places: Mapping[str, Any]) -> Key:
    return tuple(sorted(places.items()))


def _size(space: Space) -> int:
    size = 1
    for values in space.values():
        size *= max(len(values), 1)
    return size


def _plain(value: Any) -> Any:
    """As JSON that every reader takes: infinity is written in words."""
    if isinstance(value, tuple | list):
        return [_plain(one) for one in value]
    return str(value) if isinstance(value, float) and value in (float("inf"), float("-inf")) else value
