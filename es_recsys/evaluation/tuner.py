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
from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
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
Proposals = Generator[Indices, float, None]


@dataclass(frozen=True, slots=True)
class Trial:
    """One configuration that was tried.

    number: from 0, in the order of the trials. value: its score.
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
    time.monotonic seconds. rounds, exhaustive, min_gain: of "coordinate": how often each setting comes; whether all its values
    are tried instead of neighbours as long as the score rises; by how much a move must better it. seed: of "tpe". file: SQLite,
    in which the study of this name is gone on with.

    OutOfTime from `score` ends the search; that trial is made again by the next run. Settings for which it raises another error
    are passed over. What it raises for the start is raised, and MissingExtra without optuna where it is needed.
    """
    if start is None and method == "coordinate":
        start = {setting: values[0] for setting, values in space.items()}
    listed = {setting: list(space[setting]).index(value) for setting, value in (start or {}).items() if value in space[setting]}
    failed: list[Exception] = []
    rows: list[Trial] = []
    cut_short, resumed = False, 0
    with _opened(file, name) as store:
        earlier, interrupted = ([], []) if store is None else (store.ended(), store.interrupted())
        known = {_key(one.params): one for one in earlier}
        if method == "tpe":
            rows, resumed = [_trial(number, one, space) for number, one in enumerate(earlier)], len(earlier)
            proposals = _tpe(space, listed, earlier, interrupted, seed)
        else:
            proposals = _coordinate(space, listed, rounds, exhaustive, min_gain)
        indices = next(proposals, None)
        while indices is not None:
            if (one := known.get(_key(indices))) is not None:
                rows.append(_trial(len(rows), one, space))
                resumed += 1
            else:
                required = start is not None and not rows
                if not required and (len(rows) + len(failed) >= (trials or math.inf) or time.monotonic() > deadline):
                    cut_short = time.monotonic() > deadline
                    break
                settings = {setting: space[setting][at] for setting, at in indices.items()}
                began, number = time.monotonic(), None if store is None else store.begin(indices, space)
                try:
                    value = float(score(settings))
                except Exception as error:
                    if required:
                        raise
                    if isinstance(error, OutOfTime):
                        cut_short = True
                        break
                    failed.append(error)
                    value = -math.inf
                else:
                    rows.append(Trial(len(rows), settings, value, time.monotonic() - began))
                if store is not None and number is not None:
                    store.end(number, value)
            if progress is not None:
                progress(len(rows) + len(failed), trials)
            try:
                indices = proposals.send(rows[-1].value if one is not None else value)
            except StopIteration:
                break
    best = max(rows, key=lambda row: (row.value, -row.number), default=None)
    return TuningResult(tuple(rows), best, resumed, cut_short, tuple(failed))


def _coordinate(space: Space, start: Indices, rounds: int, exhaustive: bool, min_gain: float) -> Proposals:
    """Propose changes of one setting at a time, and move where they better the score."""
    scores: dict[Key, float] = {}

    def scored(indices: Indices) -> Generator[Indices, float, float]:
        key = _key(indices)
        if key not in scores:
            scores[key] = yield indices
        return scores[key]

    best = start
    top = yield from scored(best)
    for _ in range(rounds):
        before = top
        for setting, values in space.items():
            at = None if exhaustive else best.get(setting)
            for way in (range(len(values)),) if at is None else (range(at + 1, len(values)), range(at - 1, -1, -1)):
                stood = top
                for i in way:
                    changed = {**best, setting: i}
                    found = yield from scored(changed)
                    if found > top + min_gain:
                        best, top = changed, found
                    elif at is not None:
                        break
                if top > stood:
                    break
        if top <= before:
            break


def _tpe(
    space: Space, start: Indices, earlier: Sequence[optuna.trial.FrozenTrial], interrupted: Sequence[Indices], seed: int
) -> Proposals:
    """Propose what the sampler draws, after what was interrupted, or where nothing was tried yet, after the start."""
    optuna = _optuna()
    # A resumed study draws on, and doesn't repeat what it drew first.
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed + len(earlier)))
    study.add_trials(earlier)
    scored = {_key(one.params) for one in earlier}
    for indices in interrupted:
        study.enqueue_trial(indices)
    if not earlier and len(start) == len(space):
        study.enqueue_trial(start)
    rng = np.random.default_rng([seed, len(scored)])
    while len(scored) < math.prod(max(len(values), 1) for values in space.values()):
        trial, indices = _fresh(study, space, scored, rng)
        value = yield indices
        if math.isfinite(value):
            study.tell(trial, value)
        else:
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
        scored.add(_key(indices))


def _fresh(study: optuna.Study, space: Space, scored: Collection[Key], rng: np.random.Generator) -> tuple[optuna.Trial, Indices]:
    """Return a trial with settings that none had yet: the sampler's, or where it only repeats itself, any."""
    for draw in count():
        if draw >= _PATIENCE:
            study.enqueue_trial({setting: int(rng.integers(len(values))) for setting, values in space.items()})
        trial = study.ask()
        indices = {setting: trial.suggest_int(setting, 0, len(values) - 1) for setting, values in space.items()}
        if _key(indices) not in scored:
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
