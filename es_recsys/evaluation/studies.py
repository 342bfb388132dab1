"""Searches by optuna (Akiba et al. 2019) over ordered values of a few settings, kept in a file and gone on with.

The sampler is the tree-structured Parzen estimator (Bergstra et al. 2011). A setting is searched by the index of its value, so
that the sampler knows which values are neighbours.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from es_recsys.errors import MissingExtra, OutOfTime
from es_recsys.sqlite import enable_wal

if TYPE_CHECKING:
    import optuna

__all__ = ["Found", "Trial", "search"]

# Draws that may repeat earlier ones, before settings are drawn blindly.
_PATIENCE = 5
# Seconds to wait for another run that opens the same file.
_WAIT_S = 30.0

Space = Mapping[str, Sequence[Any]]
Key = tuple[tuple[str, Any], ...]
Score = Callable[[Mapping[str, Any]], float]


@dataclass(frozen=True, slots=True)
class Trial:
    """One configuration that was tried.

    number: from 0, in the order of the trials. value: its score.
    """

    number: int
    settings: Mapping[str, Any]
    value: float
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
    """Search for the settings with the highest score, until `trials` different ones have been scored, or for `seconds`.

    start: tried first, where its values are in the space. file: SQLite, in which a study of this name is gone on with; what
    ran when it was broken off, or when `score` raised OutOfTime, which ends the search, is tried again. Raises MissingExtra, and
    what else `score` raises.
    """
    with _keeping(file, name) as kept:
        study, scored = _begun(kept, space, start, seed)
        ends = time.monotonic() + seconds if seconds is not None else float("inf")
        earlier, rng = len(scored), np.random.default_rng([seed, len(scored)])
        while len(scored) < min(trials, _size(space)) and time.monotonic() < ends:
            trial, places = _fresh(study, space, scored, rng)
            number = None if kept is None else kept.begin(places, space)
            try:
                value = float(score({setting: space[setting][at] for setting, at in places.items()}))
            except OutOfTime:
                break
            study.tell(trial, value)
            if kept is not None and number is not None:
                kept.end(number, value)
            scored.add(_key(places))
            if progress is not None:
                progress(len(scored), trials)
        ended = _ended(study) if kept is None else kept.ended()
    rows = tuple(_trial(place, one, space) for place, one in enumerate(ended))
    return Found(rows, max(rows, key=lambda row: (row.value, -row.number), default=None), earlier)


def _begun(kept: _Kept | None, space: Space, start: Mapping[str, Any] | None, seed: int) -> tuple[optuna.Study, set[Key]]:
    """Return the study as an earlier run left it, and what was scored; enqueue what is to be tried first."""
    optuna = _optuna()
    earlier = [] if kept is None else kept.ended()
    # A resumed study draws on, and doesn't repeat what it drew first.
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed + len(earlier)))
    study.add_trials(earlier)
    for params in [] if kept is None else kept.broken():
        study.enqueue_trial(params)
    if start is not None and not earlier and (places := _places(space, start)) is not None:
        study.enqueue_trial(places)
    return study, {_key(one.params) for one in earlier}


def _ended(study: optuna.Study) -> list[optuna.trial.FrozenTrial]:
    return study.get_trials(states=(_optuna().trial.TrialState.COMPLETE,))


class _Kept:
    """Study in a file.

    Trials are drawn from a study in memory and written here whole, since optuna itself would write each setting of a trial by
    itself, which takes longer than many a trial.
    """

    def __init__(self, file: Path, name: str) -> None:
        optuna = _optuna()
        file.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(file)) as connection:
            enable_wal(connection, _WAIT_S)
        self._states = optuna.trial.TrialState
        self._storage = optuna.storages.RDBStorage(f"sqlite:///{file}")
        optuna.create_study(study_name=name, storage=self._storage, direction="maximize", load_if_exists=True)
        self._study = self._storage.get_study_id_from_name(name)

    def ended(self) -> list[optuna.trial.FrozenTrial]:
        found: list[optuna.trial.FrozenTrial] = self._storage.get_all_trials(self._study, states=(self._states.COMPLETE,))
        return found

    def broken(self) -> list[dict[str, Any]]:
        """Return the settings of the trials that were broken off; from now on these count as failed."""
        found = self._storage.get_all_trials(self._study, states=(self._states.RUNNING,))
        for one in found:
            self._storage.set_trial_state_values(one._trial_id, self._states.FAIL)
        return [dict(one.params) for one in found if one.params]

    def begin(self, places: Mapping[str, int], space: Space) -> int:
        """Note what is tried, and return the number to end it by."""
        optuna = _optuna()
        kinds = {setting: optuna.distributions.IntDistribution(0, len(values) - 1) for setting, values in space.items()}
        begun = optuna.trial.create_trial(state=self._states.RUNNING, params=dict(places), distributions=kinds)
        return int(self._storage.create_new_trial(self._study, template_trial=begun))

    def end(self, number: int, value: float) -> None:
        self._storage.set_trial_state_values(number, self._states.COMPLETE, [value])

    def close(self) -> None:
        self._storage.engine.dispose()


@contextmanager
def _keeping(file: Path | None, name: str) -> Iterator[_Kept | None]:
    if file is None:
        yield None
        return
    with closing(_Kept(file, name)) as kept:
        yield kept


def _optuna() -> Any:
    try:
        import optuna
    except ImportError as error:
        raise MissingExtra("optuna", "evaluation") from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


def _fresh(
    study: optuna.Study, space: Space, scored: Collection[Key], rng: np.random.Generator
) -> tuple[optuna.Trial, dict[str, int]]:
    """Return a trial with settings that none had yet: the sampler's, or where it only repeats itself, any."""
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


def _trial(number: int, one: optuna.trial.FrozenTrial, space: Space) -> Trial:
    settings = {setting: space[setting][at] for setting, at in one.params.items() if setting in space}
    assert one.value is not None
    return Trial(number, settings, one.value, one.duration.total_seconds() if one.duration is not None else 0.0)


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
    """Return a value as JSON that every reader takes: infinity is written in words."""
    if isinstance(value, tuple | list):
        return [_plain(one) for one in value]
    return str(value) if isinstance(value, float) and value in (float("inf"), float("-inf")) else value
