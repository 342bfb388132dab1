"""Measure the product on real data, through its command line alone: files in, answers out.

    python scripts/quality.py msrd|gowalla|sequences|events FOLDER [--protocol published|last] [--split NAME]
                              [--users N] [--queries N] [--models NAME...]
                              [--text-encoder NAME]

With --text-encoder msrd also asks the vectors alone, before anything is tuned.

FOLDER holds the data set (docs/quality.md says which files): of `sequences` any one file of lines `user item item ...`, oldest
first; of `events` files items.* and events.*, as `items load` and `events load` read them. Each run makes a store of its own in a
temporary home, on the embedded node or at ES_RECSYS_URL, and drops it at the end.
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
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from es_recsys.evaluation import accuracy, bootstrap

CLI = Path(sys.executable).with_name("es-recsys")


class Store:
    """The command line, bound to one store in a home of its own."""

    def __init__(self, name: str, folder: Path) -> None:
        self.folder = folder
        self.environment = {**os.environ, "ES_RECSYS_INDEX": name, "ES_RECSYS_HOME": str(folder / "home")}

    def run(self, *words: str | Path, **settings: str) -> float:
        """Runs one command, prints it with what it said, and returns the seconds it took. settings: of the environment."""
        print("$ es-recsys", *(str(word).replace(f"{self.folder}{os.sep}", "") for word in words), flush=True)
        started = time.perf_counter()
        subprocess.run([CLI, *words], env={**self.environment, **settings}, check=True)
        seconds = time.perf_counter() - started
        print(f"  [{seconds:.1f} s]", flush=True)
        return seconds


@contextmanager
def own_store(name: str) -> Iterator[Store]:
    """A store of this process, in a temporary home, dropped at the end of the block."""
    with tempfile.TemporaryDirectory(prefix="es-recsys-quality-") as folder:
        store = Store(f"{name}_{os.getpid()}", Path(folder))
        try:
            yield store
        finally:
            subprocess.run([CLI, "index", "drop", "--store", "--yes"], env=store.environment, check=False)
            subprocess.run([CLI, "engine", "stop"], env=store.environment, check=False)


def write_lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> Path:
    with path.open("w", encoding="utf-8") as lines:
        for row in rows:
            lines.write(json.dumps(row) + "\n")
    return path


def read_answers(path: Path, key: str) -> dict[str, list[str]]:
    """Query or user -> items, best first."""
    with path.open(encoding="utf-8") as lines:
        answers = [json.loads(line) for line in lines]
    return {a[key]: [hit["item_id"] for hit in a["hits"]] for a in answers}


def show(
    grades: Mapping[str, Mapping[str, int]],
    answers: Mapping[str, list[str]],
    n: int,
    *metrics: str,
    groups: Mapping[str, str] | None = None,
) -> dict[str, NDArray[np.float64]]:
    """Print means over all queries of `grades` with their 95 % intervals, and return the values of each query.

    A query without an answer counts 0. groups: query -> group that is drawn as a whole.
    """
    found = accuracy([answers.get(query, []) for query in grades], list(grades.values()), n, metrics)
    labels = None if groups is None else [groups[query] for query in grades]
    words = []
    for metric, values in found.items():
        one = bootstrap(values, np.random.default_rng(7), groups=labels)
        words.append(f"{metric}@{n} {one.mean:.4f} [{one.low:.4f}, {one.high:.4f}]")
    print(f"{len(grades):,} queries: " + "   ".join(words), flush=True)
    return found


def query_groups(judged: Mapping[str, Mapping[str, int]]) -> dict[str, str]:
    """Return the group of each query: queries with the same relevant items, or the same judged ones, share a group."""
    names: list[str] = list(judged)
    keys: dict[tuple[str, frozenset[str]], int] = {}
    rows, columns = [], []
    for row, query in enumerate(names):
        relevant = frozenset(item for item, grade in judged[query].items() if grade > 0)
        for key in (("relevant", relevant), ("judged", frozenset(judged[query]))):
            rows.append(row)
            columns.append(len(names) + keys.setdefault(key, len(keys)))
    size = len(names) + len(keys)
    _, labels = connected_components(coo_array((np.ones(len(rows)), (rows, columns)), shape=(size, size)), directed=False)
    return {query: str(labels[row]) for row, query in enumerate(names)}


def read_sequences(path: Path) -> Iterator[tuple[str, list[str]]]:
    """Lines of a user and its items."""
    with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as lines:
        for line in lines:
            user, *items = line.split()
            yield user, items


def read_judgments(data: Path) -> dict[str, dict[str, int]]:
    """Return the grades of MSRD: query -> item id -> grade."""
    judged: dict[str, dict[str, int]] = defaultdict(dict)
    with gzip.open(data / "movies-judgments.tsv.gz", "rt", encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines, delimiter="\t"):
            judged[row["query"]][row["doc_id"]] = int(row["grade"])
    return judged


def load_msrd(
    store: Store, data: Path, queries: int, *options: str
) -> tuple[Path, Path, dict[str, dict[str, int]], dict[str, str]]:
    """Load the films, and draw half of the groups of queries for learning.

    Returns the judgments of that half and the queries of the other as files, the grades of the latter (the first `queries` of
    them, 0: all), and the group of each query. options: of `items load`.
    """
    judged = read_judgments(data)
    groups = query_groups(judged)
    drawn = sorted(set(groups.values()))
    random.Random(7).shuffle(drawn)
    chosen = set(drawn[: len(drawn) // 2])
    learned = [query for query in sorted(judged) if groups[query] in chosen]
    tested = [query for query in sorted(judged) if groups[query] not in chosen][: queries or None]
    rows = ({"query": q, "item_id": i, "grade": g} for q in learned for i, g in judged[q].items())
    judgments = write_lines(store.folder / "judgments.jsonl", rows)
    requests = write_lines(store.folder / "queries.jsonl", ({"query": q} for q in tested))
    columns = "item_id=id,description=overview,categories=genres"
    store.run("items", "load", data / "movies-corpus.jsonl.gz", "--columns", columns, *options)
    return judgments, requests, {q: judged[q] for q in tested}, groups


VECTORS_ALONE = {
    "ES_RECSYS_SEARCH__WEIGHTS__QUERY": '{"text_vector": 1.0}',
    "ES_RECSYS_SEARCH__MIN_COSINES": '{"text_vector": [-1.0, -1.0]}',
}


def msrd(store: Store, data: Path, queries: int, text_encoder: str | None) -> None:
    options = [] if text_encoder is None else ["--text-encoder", text_encoder]
    judgments, requests, grades, groups = load_msrd(store, data, queries, *options)
    if text_encoder is not None:
        out = store.folder / "vectors.jsonl"
        store.run("batch", "search", requests, "--n", "10", "--out", out, **VECTORS_ALONE)
        print("vectors alone:", end=" ")
        show(grades, read_answers(out, "query"), 10, "NDCG", groups=groups)
    for label in ("before", "after"):
        out = store.folder / f"{label}.jsonl"
        store.run("batch", "search", requests, "--n", "10", "--out", out)
        print(label, "tuning:", end=" ")
        show(grades, read_answers(out, "query"), 10, "NDCG", groups=groups)
        if label == "before":
            store.run("tune", "search", "--judgments", judgments)


def recommend(
    store: Store,
    histories: Mapping[str, list[str]],
    wanted: Mapping[str, list[str]],
    at: int,
    models: Sequence[str],
    later: Mapping[str, list[str]] | None = None,
) -> None:
    """Train on the histories and ask for what is wanted. later: user -> items that are known when the user asks, but are no part
    of the training."""

    def load_events(name: str, sequences: Mapping[str, list[str]]) -> None:
        path = write_lines(store.folder / name, ({"user_id": u, "item_id": i} for u, items in sequences.items() for i in items))
        store.run("events", "load", path, "--constant", "event_type=view", "--no-timestamps")

    ids = sorted({i for known in (histories, later or {}) for items in known.values() for i in items})
    items = write_lines(store.folder / "items.jsonl", ({"item_id": i} for i in ids))
    users = write_lines(store.folder / "users.jsonl", ({"user_id": u} for u in wanted))
    store.run("items", "load", items, "--text-encoder", "none", "--image-encoder", "none")
    load_events("events.jsonl", histories)
    store.run("train", *models)
    if later:
        # Without times the order of lines is all there is, so the file comes again with what was added to it.
        load_events("grown.jsonl", {u: [*items, *later.get(u, [])] for u, items in histories.items()})
    out = store.folder / "answers.jsonl"
    store.run("batch", "recommend", users, "--n", str(at), "--out", out)
    qrels = {u: dict.fromkeys(items, 1) for u, items in wanted.items()}
    show(qrels, read_answers(out, "user_id"), at, "Recall", "NDCG")


def gowalla(store: Store, data: Path, users: int, models: Sequence[str]) -> None:
    histories = dict(read_sequences(data / "train.txt.gz"))
    for user, items in read_sequences(data / "valid.txt.gz"):
        histories.setdefault(user, []).extend(items)
    wanted = {u: items for u, items in read_sequences(data / "test.txt.gz") if items}
    recommend(store, histories, dict(list(wanted.items())[: users or None]), 20, models)


def last_items(store: Store, data: Path, users: int, models: Sequence[str], protocol: str) -> None:
    """Ask for the last item of each user. protocol: "published" leaves the last two out of training, "last" the last one."""
    (path,) = sorted(path for path in data.iterdir() if path.name.endswith((".txt", ".txt.gz")))
    whole = {user: items for user, items in read_sequences(path) if len(items) >= 3}
    out = 2 if protocol == "published" else 1
    histories = {u: items[:-out] for u, items in whole.items()}
    wanted = {u: items[-1:] for u, items in whole.items()}
    later = {u: items[-2:-1] for u, items in whole.items()} if protocol == "published" else None
    recommend(store, histories, dict(list(wanted.items())[: users or None]), 10, models, later)


def events(store: Store, data: Path, users: int, models: Sequence[str], split: str) -> None:
    """Compare by `evaluate` on a folder of items and events; a global split in time unless another is named."""
    for kind in ("items", "events"):
        files = sorted(path for path in data.iterdir() if path.name.startswith(f"{kind}."))
        store.run(kind, "load", *files)
    store.run("evaluate", *models, "--split", split, "--users", str(users or 2_000))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", choices=["msrd", "gowalla", "sequences", "beauty", "events"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--protocol", choices=["published", "last"], default="published", help="of sequences")
    parser.add_argument("--split", default="time", help="of events: a split of `es-recsys evaluate`")
    parser.add_argument("--users", type=int, default=0, help="ask for the first N users only")
    parser.add_argument("--models", nargs="+", default=[], help="train these instead of what `train` chooses by itself")
    parser.add_argument("--text-encoder", help="of msrd: encode texts with this model")
    parser.add_argument("--queries", type=int, default=0, help="ask the first N test queries only")
    arguments = parser.parse_args()
    # Two runs at one Elasticsearch are not to drop each other's store.
    with own_store(f"quality_{arguments.dataset}") as store:
        if arguments.dataset == "msrd":
            msrd(store, arguments.folder, arguments.queries, arguments.text_encoder)
        elif arguments.dataset == "gowalla":
            gowalla(store, arguments.folder, arguments.users, arguments.models)
        elif arguments.dataset == "events":
            events(store, arguments.folder, arguments.users, arguments.models, arguments.split)
        else:
            last_items(store, arguments.folder, arguments.users, arguments.models, arguments.protocol)


if __name__ == "__main__":
    main()
