"""The one tuner: settings with ordered values, tried one configuration after the other, best first found.

Two methods. "tpe" draws by the tree-structured Parzen estimator (Bergstra et al. 2011) of optuna (Akiba et al. 2019), where many
trials can be afforded. "coordinate" moves one setting at a time from where it stands: for a few dear trials, and for cheap ones
on little data, as it moves in few directions and so fits chance less (Metzler and Croft 2007). Trials may be stored in a file, a
study of optuna, and gone on with.
"""

from __future__ import annotations

import math
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from es_recsys.errors import MissingExtra, OutOfTime
from es_recsys.sqlite import enable_wal

if TYPE_CHECKING:
    import optuna

__all__ = ["Trial", "TuningResult", "optimize"]

# Draws that may repeat earlier ones, before settings are drawn blindly.
_PATIENCE = 5
# Seconds to wait for another run that opens the same file.
_WAIT_S = 30.0

Space = Mapping[str, Sequence[Any]]
Settings = Mapping[str, Any]
# Setting -> index of its value in the space, so that a sampler knows which values are neighbours.
Indices = dict[str, int]
Key = tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Trial:
    """One configuration that was tried.

    number: from 0, in the order of the trials. value: its score. seconds: of processor time.
    """

    number: int
    settings: Settings
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
class TuningResult:
    """Outcome of a tuning.

    trials: those that ended with a score. best: the first with the highest (None: there is none). resumed: how many earlier runs
    had made. cut_short: whether time ran out. failed: what settings could not be tried, as each raised it.
    """

    trials: tuple[Trial, ...]
    best: Trial | None
    resumed: int = 0
    cut_short: bool = False
    failed: tuple[Exception, ...] = ()

    @property
    def tried(self) -> int:
        return len(self.trials) + len(self.failed)


def optimize(
    space: Space,
    score: Callable[[Settings], float],
    *,
    method: Literal["tpe", "coordinate"] = "tpe",
    start: Settings | None = None,
    trials: int | None = None,
    deadline: float = math.inf,
    rounds: int = 2,
    exhaustive: bool = False,
    min_gain: float = 0.0,
    seed: int = 7,
    file: Path | None = None,
    name: str = "study",
    progress: Callable[[float, float | None], None] | None = None,
) -> TuningResult:
    """Search the space for the settings with the highest score.

    start: tried first, however late it is (of "coordinate", unless given, the first values); where one of its values isn't in the
    space, "coordinate" enters that setting at every value. trials: different configurations to score at most. deadline:
    `time.process_time` seconds, so that a busy machine tries as much; no trial begins of which more than half would be late, if
    it took as long as those before it on average. rounds, exhaustive, min_gain: of "coordinate": how often each setting comes;
    whether all its values are tried instead of neighbours as long as the score rises; by how much a move must better it. seed: of
    "tpe". file: SQLite, in which the study of this name is gone on with.

    OutOfTime from `score` ends the search; that trial is made again by the next run. Settings for which it raises another error
    are passed over. What it raises for the start is raised, and MissingExtra without optuna where it is needed.
    """
    if start is None and method == "coordinate":
        start = {setting: values[0] for setting, values in space.items()}
    first = {setting: list(space[setting]).index(value) for setting, value in (start or {}).items() if value in space[setting]}
    with _opened(file, name) as store:
        search = _Search(space, score, store, trials, deadline, progress, needs_start=start is not None)
        with suppress(_SearchOver):
            if method == "tpe":
                _sample(search, first, seed)
            else:
                _move_one_at_a_time(search, first, rounds, exhaustive, min_gain)
        return search.result()


class _SearchOver(Exception):
    """Raised where no further trial is made, as time or the number of trials has run out."""


class _Search:
    """The trials of one search: those that earlier runs stored, and those that are made now.

    stored: what earlier runs scored. interrupted: what was being tried when a run was broken off. values: the score of each
    configuration that has come up in this search.
    """

    def __init__(
        self,
        space: Space,
        score: Callable[[Settings], float],
        store: _TrialStore | None,
        max_trials: int | None,
        deadline: float,
        progress: Callable[[float, float | None], None] | None,
        *,
        needs_start: bool,
    ) -> None:
        self.space = space
        self.stored, self.interrupted = ([], []) if store is None else (store.ended(), store.interrupted())
        self._score, self._store, self._needs_start = score, store, needs_start
        self._max_trials, self._deadline, self._progress = max_trials, deadline, progress
        self._stored_by_key = {_key(one.params): one for one in self.stored}
        self.values: dict[Key, float] = {}
        self._trials: list[Trial] = []
        self._failed: list[Exception] = []
        self._resumed, self._cut_short = 0, False
        self._made, self._seconds = 0, 0.0

    def result(self) -> TuningResult:
        best = max(self._trials, key=lambda trial: (trial.value, -trial.number), default=None)
        return TuningResult(tuple(self._trials), best, self._resumed, self._cut_short, tuple(self._failed))

    def value_of(self, indices: Indices) -> float:
        """Return the score of a configuration, made once; -inf where it can't be tried. Raises _SearchOver."""
        key = _key(indices)
        if key not in self.values:
            stored = self._stored_by_key.get(key)
            self.values[key] = self._try(indices) if stored is None else self._resume(stored)
            if self._progress is not None:
                self._progress(self._tried, self._max_trials)
        return self.values[key]

    def _resume(self, stored: optuna.trial.FrozenTrial) -> float:
        """Take over a trial that an earlier run made, and return its score."""
        trial = _trial(len(self._trials), stored, self.space)
        self._trials.append(trial)
        self._resumed += 1
        return trial.value

    @property
    def _tried(self) -> int:
        return len(self._trials) + len(self._failed)

    def _try(self, indices: Indices) -> float:
        required = self._needs_start and not self._trials
        if not required:
            self._check_limits()
        number = None if self._store is None else self._store.begin(indices, self.space)
        value = self._scored(indices, required)
        if self._store is not None and number is not None:
            self._store.end(number, value)
        return value

    def _check_limits(self) -> None:
        """Raise _SearchOver where there is no time or no trial left."""
        half = 0.5 * self._seconds / max(self._made, 1)
        self._cut_short = time.process_time() + half > self._deadline
        if self._cut_short or self._tried >= (self._max_trials or math.inf):
            raise _SearchOver

    def _scored(self, indices: Indices, required: bool) -> float:
        """Make a trial. required: whether what the score raises is raised."""
        settings = {setting: self.space[setting][index] for setting, index in indices.items()}
        began = time.process_time()
        try:
            value = float(self._score(settings))
        except Exception as error:
            if required:
                raise
            if isinstance(error, OutOfTime):
                self._cut_short = True
                raise _SearchOver from error
            self._failed.append(error)
            return -math.inf
        seconds = time.process_time() - began
        self._made, self._seconds = self._made + 1, self._seconds + seconds
        self._trials.append(Trial(len(self._trials), settings, value, seconds))
        return value


def _move_one_at_a_time(search: _Search, start: Indices, rounds: int, exhaustive: bool, min_gain: float) -> None:
    """Move one setting after the other to where the score is best, for so many rounds or until none betters it."""
    best, top = start, search.value_of(start)
    for _ in range(rounds):
        before = top
        for setting in search.space:
            best, top = _moved(search, best, top, setting, exhaustive, min_gain)
        if top <= before:
            break


def _moved(search: _Search, best: Indices, top: float, setting: str, exhaustive: bool, min_gain: float) -> tuple[Indices, float]:
    """Return the best configuration that differs in this setting at most, and its score.

    From the setting's value up, else down, as long as the score rises; all values where it has none yet, or where `exhaustive`.
    """
    n, before = len(search.space[setting]), top
    index = None if exhaustive else best.get(setting)
    ways = (range(n),) if index is None else (range(index + 1, n), range(index - 1, -1, -1))
    for way in ways:
        for i in way:
            changed = {**best, setting: i}
            value = search.value_of(changed)
            if value > top + min_gain:
                best, top = changed, value
            elif index is not None:
                break
        if top > before:
            break
    return best, top


def _sample(search: _Search, start: Indices, seed: int) -> None:
    """Try what the sampler draws, after what was interrupted, or where nothing was tried yet, after the start."""
    optuna = _optuna()
    for one in search.stored:
        search.value_of(one.params)
    # A resumed study draws on, and doesn't repeat what it drew first.
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed + len(search.stored)))
    study.add_trials(search.stored)
    for indices in search.interrupted:
        study.enqueue_trial(indices)
    if not search.stored and len(start) == len(search.space):
        study.enqueue_trial(start)
    rng = np.random.default_rng([seed, len(search.values)])
    while len(search.values) < math.prod(max(len(values), 1) for values in search.space.values()):
        trial, indices = _fresh(study, search, rng)
        value = search.value_of(indices)
        if math.isfinite(value):
            study.tell(trial, value)
        else:
            study.tell(trial, state=optuna.trial.TrialState.FAIL)


def _fresh(study: optuna.Study, search: _Search, rng: np.random.Generator) -> tuple[optuna.Trial, Indices]:
    """Return a trial with settings that none had yet: the sampler's, or where it only repeats itself, any."""
    for draw in count():
        if draw >= _PATIENCE:
            study.enqueue_trial({setting: int(rng.integers(len(values))) for setting, values in search.space.items()})
        trial = study.ask()
        indices = {setting: trial.suggest_int(setting, 0, len(values) - 1) for setting, values in search.space.items()}
        if _key(indices) not in search.values:
            return trial, indices
        study.tell(trial, state=_optuna().trial.TrialState.PRUNED)
    raise AssertionError("unreachable")


class _TrialStore:
    """Study of optuna in a file.

    Trials are written here whole, since optuna itself would write each setting of a trial by itself, which takes longer than many
    a trial.
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

    def interrupted(self) -> list[Indices]:
        """Return what was tried when a run was broken off; from now on these trials count as failed."""
        found = self._storage.get_all_trials(self._study, states=(self._states.RUNNING,))
        for one in found:
            self._storage.set_trial_state_values(one._trial_id, self._states.FAIL)
        return [dict(one.params) for one in found if one.params]

    def begin(self, indices: Indices, space: Space) -> int:
        """Note what is tried, and return the number to end it by."""
        optuna = _optuna()
        kinds = {setting: optuna.distributions.IntDistribution(0, len(space[setting]) - 1) for setting in indices}
        begun = optuna.trial.create_trial(state=self._states.RUNNING, params=dict(indices), distributions=kinds)
        return int(self._storage.create_new_trial(self._study, template_trial=begun))

    def end(self, number: int, value: float) -> None:
        """Store the score of a trial; one without counts as failed, and is made again by the next run."""
        if math.isfinite(value):
            self._storage.set_trial_state_values(number, self._states.COMPLETE, [value])
        else:
            self._storage.set_trial_state_values(number, self._states.FAIL)

    def close(self) -> None:
        self._storage.engine.dispose()


@contextmanager
def _opened(file: Path | None, name: str) -> Iterator[_TrialStore | None]:
    if file is None:
        yield None
        return
    with closing(_TrialStore(file, name)) as store:
        yield store


def _optuna() -> Any:
    try:
        import optuna
    except ImportError as error:
        raise MissingExtra("optuna", "train") from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


def _trial(number: int, one: optuna.trial.FrozenTrial, space: Space) -> Trial:
    settings = {setting: space[setting][at] for setting, at in one.params.items() if setting in space}
    return Trial(number, settings, float(one.value or 0.0), one.duration.total_seconds() if one.duration is not None else 0.0)


def _key(indices: Mapping[str, Any]) -> Key:
    return tuple(sorted(indices.items()))


def _plain(value: Any) -> Any:
    """Return a value as JSON that every reader takes: infinity is written in words."""
    if isinstance(value, tuple | list):
        return [_plain(one) for one in value]
    return str(value) if isinstance(value, float) and value in (float("inf"), float("-inf")) else value
