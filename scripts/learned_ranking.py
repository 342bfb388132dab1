"""Learned ranking against the weighted sum on judged film searches, through the command line alone.

    python scripts/learned_ranking.py FOLDER [--queries N] [--tune]

FOLDER holds movies-corpus.jsonl.gz and movies-judgments.tsv.gz (docs/quality.md). Half of the judged queries train, the other
half is asked; --tune also tunes the weights on the training half first. NDCG@10 is over the whole catalogue, unjudged items
counting 0. Prints both figures, the difference with its 95 % interval, and the seconds of each step.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import random
import tempfile
from collections import defaultdict
from pathlib import Path

import numpy as np
from quality import Store, read_answers, show, write_lines

from es_recsys.evaluation.accuracy import accuracy
from es_recsys.evaluation.statistics import bootstrap, paired_test


def judgments(data: Path) -> dict[str, dict[str, int]]:
    judged: dict[str, dict[str, int]] = defaultdict(dict)
    with gzip.open(data / "movies-judgments.tsv.gz", "rt", encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines, delimiter="\t"):
            judged[row["query"]][row["doc_id"]] = int(row["grade"])
    return judged


def measure(store: Store, data: Path, queries: int, tune: bool) -> None:
    judged = judgments(data)
    names = sorted(judged)
    random.Random(7).shuffle(names)
    half = len(names) // 2
    training, testing = names[:half], names[half:][: queries or None]
    given = ({"query": q, "item_id": i, "grade": g} for q in training for i, g in judged[q].items())
    file = write_lines(store.folder / "judgments.jsonl", given)
    questions = write_lines(store.folder / "queries.jsonl", ({"query": q} for q in testing))
    store.run("items", "load", data / "movies-corpus.jsonl.gz", "--columns", "item_id=id,description=overview,categories=genres")
    if tune:
        store.run("tune", "search", "--judgments", file)
    qrels = {query: judged[query] for query in testing}
    values = {}
    for label in ("weighted sum", "learned"):
        if label == "learned":
            store.run("train", "ranking", "--judgments", file)
        out = store.folder / f"{label.split()[0]}.jsonl"
        store.run("batch", "search", questions, "--n", "10", "--out", out)
        answers = read_answers(out, "query")
        print(f"{label}:", end=" ")
        show(qrels, answers, 10, "NDCG")
        lists = [answers.get(query, []) for query in testing]
        values[label] = accuracy(lists, [qrels[query] for query in testing], 10, ["NDCG"])["NDCG"]
    rng = np.random.default_rng(7)
    gain = bootstrap(values["learned"] - values["weighted sum"], rng)
    p = paired_test(values["learned"], values["weighted sum"], rng)
    print(f"gain {gain.mean:+.4f} [{gain.low:+.4f}, {gain.high:+.4f}], p = {p:.4f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--queries", type=int, default=0, help="ask the first N test queries only")
    parser.add_argument("--tune", action="store_true", help="tune the weights first")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="es-recsys-ranking-") as folder:
        store = Store("learned_ranking", Path(folder))
        try:
            measure(store, arguments.folder, arguments.queries, arguments.tune)
        finally:
            store.close()


if __name__ == "__main__":
    main()
