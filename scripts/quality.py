"""Measures the product on real data, through its command line alone: files in, answers out.

    python scripts/quality.py msrd|gowalla|beauty FOLDER [--users N] [--queries N] [--models NAME...]

FOLDER holds the data set (docs/quality.md says which files). Each run makes a store of its own in a temporary home, on
the embedded node or at ES_RECSYS_URL, and drops it at the end. Metrics are those of `es_recsys.evaluation`.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from es_recsys.evaluation import accuracy

CLI = Path(sys.executable).with_name("es-recsys")


class Store:
    """The command line, bound to one store in a home of its own."""

    def __init__(self, name: str, folder: Path) -> None:
        self.folder = folder
        self.environment = {**os.environ, "ES_RECSYS_INDEX": name, "ES_RECSYS_HOME": str(folder / "home")}

    def run(self, *words: str | Path) -> float:
        """Runs one command, prints it with what it said, and returns the seconds it took."""
        print("$ es-recsys", *(str(word).replace(f"{self.folder}{os.sep}", "") for word in words), flush=True)
        started = time.perf_counter()
        subprocess.run([CLI, *words], env=self.environment, check=True)
        seconds = time.perf_counter() - started
        print(f"  [{seconds:.1f} s]", flush=True)
        return seconds

    def close(self) -> None:
        subprocess.run([CLI, "index", "drop", "--store", "--yes"], env=self.environment, check=False)
        subprocess.run([CLI, "engine", "stop"], env=self.environment, check=False)


def write_lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> Path:
    with path.open("w", encoding="utf-8") as lines:
        for row in rows:
            lines.write(json.dumps(row) + "\n")
    return path


def read_answers(path: Path, key: str) -> dict[str, list[str]]:
    """Question -> items, best first."""
    with path.open(encoding="utf-8") as lines:
        answers = [json.loads(line) for line in lines]
    return {a[key]: [hit["item_id"] for hit in a["hits"]] for a in answers}


def show(grades: Mapping[str, Mapping[str, int]], answers: Mapping[str, list[str]], n: int, *metrics: str) -> None:
    """Prints means over all questions of `grades`; one without an answer counts 0."""
    found = accuracy([answers.get(question, []) for question in grades], list(grades.values()), n, metrics)
    print(f"{len(grades):,} questions: " + "   ".join(f"{m}@{n} {v.mean():.4f}" for m, v in found.items()), flush=True)


def sequences(path: Path) -> Iterator[tuple[str, list[str]]]:
    """Lines of a user and its items."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            user, *items = line.split()
            yield user, items


def msrd(store: Store, data: Path, queries: int) -> None:
    judged: dict[str, dict[str, int]] = defaultdict(dict)
    with gzip.open(data / "movies-judgments.tsv.gz", "rt", encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines, delimiter="\t"):
            judged[row["query"]][row["doc_id"]] = int(row["grade"])
    names = sorted(judged)
    random.Random(7).shuffle(names)
    half = len(names) // 2
    tuning, testing = names[:half], names[half:][: queries or None]
    judgments = write_lines(
        store.folder / "judgments.jsonl",
        ({"query": q, "item_id": i, "grade": g} for q in tuning for i, g in judged[q].items()),
    )
    questions = write_lines(store.folder / "queries.jsonl", ({"query": q} for q in testing))
    store.run(
        "items",
        "load",
        data / "movies-corpus.jsonl.gz",
        "--columns",
        "item_id=id,description=overview,categories=genres",
    )
    qrels = {q: judged[q] for q in testing}
    for label in ("before", "after"):
        out = store.folder / f"{label}.jsonl"
        store.run("batch", "search", questions, "--n", "10", "--out", out)
        print(label, "tuning:", end=" ")
        show(qrels, read_answers(out, "query"), 10, "NDCG")
        if label == "before":
            store.run("tune", "search", "--judgments", judgments)


def recommend(
    store: Store, histories: Mapping[str, list[str]], wanted: Mapping[str, list[str]], at: int, models: Sequence[str]
) -> None:
    events = write_lines(
        store.folder / "events.jsonl", ({"user_id": u, "item_id": i} for u, items in histories.items() for i in items)
    )
    ids = sorted({i for items in histories.values() for i in items})
    items = write_lines(store.folder / "items.jsonl", ({"item_id": i} for i in ids))
    users = write_lines(store.folder / "users.jsonl", ({"user_id": u} for u in wanted))
    store.run("items", "load", items, "--text-encoder", "none", "--image-encoder", "none")
    store.run("events", "load", events, "--constant", "event_type=view", "--no-timestamps")
    store.run("train", *models)
    out = store.folder / "answers.jsonl"
    store.run("batch", "recommend", users, "--n", str(at), "--out", out)
    qrels = {u: dict.fromkeys(items, 1) for u, items in wanted.items()}
    show(qrels, read_answers(out, "user_id"), at, "Recall", "NDCG")


def gowalla(store: Store, data: Path, users: int, models: Sequence[str]) -> None:
    histories = dict(sequences(data / "train.txt.gz"))
    for user, items in sequences(data / "valid.txt.gz"):
        histories.setdefault(user, []).extend(items)
    wanted = {u: items for u, items in sequences(data / "test.txt.gz") if items}
    recommend(store, histories, dict(list(wanted.items())[: users or None]), 20, models)


def beauty(store: Store, data: Path, users: int, models: Sequence[str]) -> None:
    whole = dict(sequences(data / "Beauty.txt.gz"))
    histories = {u: items[:-1] for u, items in whole.items()}
    wanted = {u: items[-1:] for u, items in whole.items()}
    recommend(store, histories, dict(list(wanted.items())[: users or None]), 10, models)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", choices=["msrd", "gowalla", "beauty"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--users", type=int, default=0, help="ask for the first N users only")
    parser.add_argument("--models", nargs="+", default=[], help="train these instead of what `train` chooses by itself")
    parser.add_argument("--queries", type=int, default=0, help="ask the first N test queries only")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="es-recsys-quality-") as folder:
        store = Store(f"quality_{arguments.dataset}", Path(folder))
        try:
            if arguments.dataset == "msrd":
                msrd(store, arguments.folder, arguments.queries)
            elif arguments.dataset == "gowalla":
                gowalla(store, arguments.folder, arguments.users, arguments.models)
            else:
                beauty(store, arguments.folder, arguments.users, arguments.models)
        finally:
            store.close()


if __name__ == "__main__":
    main()
