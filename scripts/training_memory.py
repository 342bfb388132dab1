"""Peak memory of training on a generated store: `python scripts/training_memory.py [MODEL ...]`.

Each model is trained in a process of its own, which reads the same events from a temporary folder; what it reports is the
largest resident set of that process (getrusage), with Python, numpy and the events themselves in it.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from measuring import machine
from numpy.typing import NDArray

from es_recsys.dataset import Interactions
from es_recsys.models import ALS, MODELS, ALSConfig, CoVisitation
from es_recsys.models.base import Model

VARIANTS: dict[str, Callable[[], Model]] = {
    "covisitation": lambda: CoVisitation(CoVisitation.default_config(True, True)),
    "covisitation-whole": lambda: CoVisitation(CoVisitation.default_config(False, True)),
    "als": lambda: ALS(ALSConfig(factors=128)),
    "als256": lambda: ALS(ALSConfig(factors=256)),
}
LIMIT_GIB = 6.0
GROUPS = 200
DAYS = 365
ARRAYS = ("user_ids", "item_ids", "users", "items", "weights", "times")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", default=list(VARIANTS), help=f"of {', '.join({**VARIANTS, **MODELS})}")
    parser.add_argument("--events", type=int, default=10_000_000)
    parser.add_argument("--users", type=int, default=500_000)
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--read", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.read:
        print(json.dumps(train(arguments.models[0], arguments.read)))
        return 0
    print(f"{arguments.events:,} events of {arguments.users:,} users on {arguments.items:,} items, {machine()}")
    print(f"{'model':<20}{'seconds':>9}{'processor s':>13}{'peak GiB':>10}")
    most = 0.0
    with tempfile.TemporaryDirectory() as folder:
        data = store(arguments.users, arguments.items, arguments.events, np.random.default_rng(0))
        for name in ARRAYS:
            np.save(Path(folder) / f"{name}.npy", getattr(data, name))
        del data
        for name in arguments.models:
            command = [sys.executable, __file__, name, "--read", folder]
            figures = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
            print("{:<20}{:>9.0f}{:>13.0f}{:>10.2f}".format(name, *figures), flush=True)
            most = max(most, figures[2])
    print(f"at most {most:.2f} GiB, {'under' if most < LIMIT_GIB else 'OVER'} {LIMIT_GIB:g} GiB")
    return int(most >= LIMIT_GIB)


def train(name: str, folder: Path) -> tuple[float, float, float]:
    """Seconds, seconds of processor, and the peak in GiB of this process."""
    model = VARIANTS.get(name, MODELS.get(name))
    if model is None:
        raise SystemExit(f"There is no model {name!r}.")
    data = Interactions(**{array: np.load(folder / f"{array}.npy") for array in ARRAYS})
    began, cpu = time.perf_counter(), time.process_time()
    model().fit(data, np.random.default_rng(0))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20)
    return time.perf_counter() - began, time.process_time() - cpu, peak


def store(n_users: int, n_items: int, n_events: int, rng: np.random.Generator) -> Interactions:
    """A year of events with a long tail on both sides: activity is log-normal, items follow Zipf's law within the user's
    group of tastes (seven events of ten) and over all."""
    activity = rng.lognormal(0.0, 1.3, n_users)
    users = np.sort(_drawn(np.cumsum(activity), n_events, rng)).astype(np.int32)
    of_group = n_items // GROUPS
    taste = rng.integers(GROUPS, size=n_users)
    group = np.where(rng.random(n_events) < 0.7, taste[users], rng.integers(GROUPS, size=n_events))
    rank = _drawn(np.cumsum(1.0 / np.arange(1, of_group + 1) ** 0.9), n_events, rng)
    # A group of a larger number is a rarer taste.
    keep = _drawn(np.cumsum(1.0 / np.arange(1, GROUPS + 1) ** 0.5), n_events, rng)
    group = np.where(rng.random(n_events) < 0.3, keep, group)
    items = (rank * GROUPS + group).astype(np.int32)
    times = rng.uniform(0.0, DAYS * 86_400.0, n_events)
    times = times[np.lexsort((times, users))]
    weights = rng.choice(np.array([1.0, 3.0, 10.0], np.float32), n_events, p=[0.85, 0.1, 0.05])
    names = (np.char.add("u", np.arange(n_users).astype(np.str_)), np.char.add("i", np.arange(n_items).astype(np.str_)))
    return Interactions(names[0], names[1], users, items, weights, 1.7e9 + times)


def _drawn(cumulated: NDArray[np.float64], n: int, rng: np.random.Generator) -> NDArray[np.int64]:
    drawn: NDArray[np.int64] = np.searchsorted(cumulated, rng.random(n) * cumulated[-1], side="right")
    return drawn


if __name__ == "__main__":
    sys.exit(main())
