"""Side by side with other libraries: the same split, the same metric code, training time and memory.

    python scripts/peers.py gowalla|beauty FOLDER [NAME...] [--trials N] [--users N] [--threads N] [--out FILE.json]

FOLDER holds the data set (docs/quality.md says which files). NAME: words of the techniques to run (`ALS`, `ours`), all
unless given. Each technique runs in a process of its own, with the same number of threads, and is trained on a few users
first, so that imports and compilation are no part of its time. All items are ranked, those that a user had are left out, and
the metrics are those of `es_recsys.evaluation`. Settings are chosen on the events before the test ones: of those in
peer_models.py to start from, and N random ones of the space there, as many for each technique (our best blend chooses
by itself, the neural models are not tuned). Needs the extras peers, train and evaluation.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from offline_models import Users, beauty, gowalla, interactions, lines
from peer_models import LENGTHS, Technique, techniques

METRICS = ("Recall", "NDCG")
# Users of the training that only warms up, and those that a trial asks for.
FEW = 100
TRIAL_USERS = 4_000
# So many times as many settings are drawn as are to be tried: of small spaces some come twice.
_DRAWS = 10
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "POLARS_MAX_THREADS", "RAYON_NUM_THREADS")


def load(dataset: str, folder: Path, validate: bool) -> tuple[Users, Users]:
    """Events of each user, oldest first, and what is asked for."""
    if not validate:
        return gowalla(folder) if dataset == "gowalla" else beauty(folder)
    if dataset == "gowalla":
        return dict(lines(folder / "train.txt.gz")), {user: items for user, items in lines(folder / "valid.txt.gz") if items}
    events, _ = beauty(folder)
    return {user: items[:-1] for user, items in events.items()}, {user: items[-1:] for user, items in events.items()}


def measure(dataset: str, folder: Path, one: Technique, users: int, validate: bool, settings: dict[str, Any]) -> dict[str, Any]:
    """One technique, in this process."""
    from es_recsys.evaluation import accuracy, measured

    events, wanted = load(dataset, folder, validate)
    data = interactions(events)
    places = np.flatnonzero(np.isin(data.user_ids, list(wanted)))
    if users:
        places = np.sort(np.random.default_rng(1).permutation(places)[:users])
    one.train(interactions({user: events[user] for user in sorted(events)[:FEW]}), one.brief(settings))
    used = _processor()
    asked, cost = measured(lambda: one.train(data, settings))
    used = _processor() - used
    began, n = time.perf_counter(), LENGTHS[dataset]
    lists = asked(places, n)
    each = (time.perf_counter() - began) / len(places) * 1_000.0
    right = [dict.fromkeys(wanted[user], 1.0) for user in data.user_ids[places].tolist()]
    values = accuracy(lists, right, n, METRICS)
    return {
        "technique": one.name,
        "library": one.library,
        "kind": one.kind,
        "settings": settings,
        "users": len(places),
        **{f"{name}@{n}": round(float(value.mean()), 5) for name, value in values.items()},
        "error": {f"{name}@{n}": round(float(value.std() / np.sqrt(len(value))), 5) for name, value in values.items()},
        "each": np.round(values["NDCG"], 6).tolist(),
        "training_s": round(cost.seconds, 2),
        "processor_s": round(used, 2),
        "peak_mib": round(cost.peak_mib),
        "ms_a_user": round(each, 3),
    }


def _processor() -> float:
    spent = resource.getrusage(resource.RUSAGE_SELF)
    return spent.ru_utime + spent.ru_stime


def tuned(arguments: argparse.Namespace, one: Technique) -> dict[str, Any]:
    """The settings that are best on validation; those to start from where there is no space. A failed trial is passed over."""
    dataset: str = arguments.dataset
    start = dict(one.settings.get(dataset, {}))
    if one.space is None or not arguments.trials:
        return start
    rng = np.random.default_rng(7)
    tried = {json.dumps(start): start}
    for _ in range(_DRAWS * arguments.trials):
        settings = one.drawn(dataset, rng)
        tried.setdefault(json.dumps(settings), settings)
        if len(tried) > arguments.trials:
            break
    best, highest = start, -1.0
    for words, settings in tried.items():
        found = apart(arguments, one, settings, TRIAL_USERS, True)
        value = found.get(f"NDCG@{LENGTHS[dataset]}", -1.0)
        print(f"  {one.name} {words}: {found.get('failed', value)}", flush=True)
        if value > highest:
            best, highest = settings, value
    return best


def apart(arguments: argparse.Namespace, one: Technique, settings: dict[str, Any], users: int, validate: bool) -> dict[str, Any]:
    """One technique in a process of its own; what went wrong where it fails."""
    words = [sys.executable, __file__, arguments.dataset, str(arguments.folder), "--one", one.name]
    words += ["--users", str(users), "--set", json.dumps(settings), *(["--validate"] if validate else [])]
    environment = {**os.environ, **dict.fromkeys(THREADS, str(arguments.threads))}
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=arguments.timeout, env=environment)
    except subprocess.TimeoutExpired:
        return {"technique": one.name, "failed": f"not done after {arguments.timeout:.0f} s"}
    if done.returncode:
        return {"technique": one.name, "failed": (done.stderr.strip().splitlines() or ["killed"])[-1]}
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def table(dataset: str, found: list[dict[str, Any]]) -> None:
    """Each technique; ± is half of the 95 % interval of a mean over users."""
    from measuring import busy, machine, show

    n, costs = LENGTHS[dataset], ("training_s", "processor_s", "peak_mib", "ms_a_user")
    metrics = [f"{name}@{n}" for name in METRICS]
    done = [one for one in found if "failed" not in one]
    rows = [
        [
            one["technique"],
            *(f"{one[name]:.4f} ± {1.96 * one['error'][name]:.4f}" for name in metrics),
            *(str(one[c]) for c in costs),
        ]
        for one in done
    ]
    show(f"{dataset}: {machine()}, {busy()}", ["technique", *metrics, *costs], rows)
    show(
        f"NDCG@{n} of ours less theirs, same users",
        ["ours", "theirs", "difference", "p", "processor, ours / theirs"],
        beside(done),
    )
    for one in found:
        if "failed" in one:
            print(f"{one['technique']}: {one['failed']}", flush=True)


def beside(found: list[dict[str, Any]]) -> list[list[str]]:
    """Ours beside each other library's of the same kind, and our best beside the best of each library."""
    from es_recsys.evaluation import bootstrap, paired_test

    theirs = [one for one in found if one["library"] != "ours"]
    own = {one["kind"]: one for one in found if one["library"] == "ours"}
    pairs = [(own[one["kind"]], one) for one in theirs if one["kind"] in own]
    for library in sorted({one["library"] for one in theirs} if own else ()):
        best = max((one for one in theirs if one["library"] == library), key=lambda one: float(np.mean(one["each"])))
        ours = max(own.values(), key=lambda one: float(np.mean(one["each"])))
        if best["kind"] != ours["kind"]:
            pairs.append((ours, best))
    rows = []
    for ours, other in pairs:
        one, two = np.array(ours["each"]), np.array(other["each"])
        gain = bootstrap(one - two, np.random.default_rng(7))
        p = paired_test(one, two, np.random.default_rng(7), rounds=1_000)
        times = ours["processor_s"] / max(other["processor_s"], 0.01)
        difference = f"{gain.mean:+.4f} [{gain.low:+.4f}, {gain.high:+.4f}]"
        rows.append([ours["technique"], other["technique"], difference, f"{p:.3f}", f"{times:.2f}"])
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", choices=sorted(LENGTHS))
    parser.add_argument("folder", type=Path)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--users", type=int, default=0, help="ask for so many random users only")
    parser.add_argument("--trials", type=int, default=0, help="random settings to try for each technique")
    parser.add_argument("--threads", type=int, default=1, help="of each technique")
    parser.add_argument("--timeout", type=float, default=3_600.0, help="seconds for each technique")
    parser.add_argument("--out", type=Path)
    # What the process of one technique is told.
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--set", type=json.loads, default={}, help=argparse.SUPPRESS)
    parser.add_argument("--validate", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        (one,) = (each for each in techniques([]) if each.name == arguments.one)
        found = measure(arguments.dataset, arguments.folder, one, arguments.users, arguments.validate, arguments.set)
        print(json.dumps(found), flush=True)
        return
    results = []
    for one in techniques(arguments.names):
        if arguments.dataset not in one.settings and one.settings:
            continue
        results.append(apart(arguments, one, tuned(arguments, one), arguments.users, False))
        print(json.dumps({name: value for name, value in results[-1].items() if name != "each"}), flush=True)
    table(arguments.dataset, results)
    if arguments.out is not None:
        arguments.out.write_text(json.dumps(results, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
