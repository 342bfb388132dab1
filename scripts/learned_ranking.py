"""Learned ranking against the weighted sum on judged film searches, through the command line alone.

    python scripts/learned_ranking.py FOLDER [--queries N] [--tune]

FOLDER holds movies-corpus.jsonl.gz and movies-judgments.tsv.gz (docs/quality.md). Half of the groups of queries with the same
relevant items train, the others test; --tune also tunes the weights on the training half first. NDCG@10 is over the whole
catalogue, unjudged items counting 0. Prints both figures, the difference with its 95 % interval by groups, and the seconds of
each step.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from quality import Store, load_msrd, own_store, read_answers, show

from es_recsys.evaluation import bootstrap, paired_test


def measure(store: Store, data: Path, queries: int, tune: bool) -> None:
    judgments, requests, grades, groups = load_msrd(store, data, queries)
    if tune:
        store.run("tune", "search", "--judgments", judgments)
    values = {}
    for label in ("weighted sum", "learned"):
        if label == "learned":
            store.run("train", "ranking", "--judgments", judgments)
        out = store.folder / f"{label.split()[0]}.jsonl"
        store.run("batch", "search", requests, "--n", "10", "--out", out)
        print(f"{label}:", end=" ")
        values[label] = show(grades, read_answers(out, "query"), 10, "NDCG", groups=groups)["NDCG"]
    rng, labels = np.random.default_rng(7), [groups[query] for query in grades]
    gain = bootstrap(values["learned"] - values["weighted sum"], rng, groups=labels)
    p = paired_test(values["learned"], values["weighted sum"], rng, groups=labels)
    print(f"gain {gain.mean:+.4f} [{gain.low:+.4f}, {gain.high:+.4f}], p = {p:.4f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--queries", type=int, default=0, help="ask the first N test queries only")
    parser.add_argument("--tune", action="store_true", help="tune the weights first")
    arguments = parser.parse_args()
    with own_store("learned_ranking") as store:
        measure(store, arguments.folder, arguments.queries, arguments.tune)


if __name__ == "__main__":
    main()
