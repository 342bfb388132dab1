"""What the models answer in memory on a known data set: `python scripts/offline_models.py gowalla|beauty FOLDER`.

FOLDER holds train.txt.gz, valid.txt.gz and test.txt.gz (gowalla) or Beauty.txt.gz (beauty): a user and its items a line.
Models and weights are chosen by `select`, which sees no test event; the answers are those of `recommend`.
"""

from __future__ import annotations

import argparse
import gzip
import resource
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from es_recsys.dataset import History, Interactions
from es_recsys.models import recommend
from es_recsys.training.model_selection import select

Users = dict[str, list[str]]
LENGTHS = {"gowalla": 20, "beauty": 10}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dataset", choices=sorted(LENGTHS))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--users", type=int, default=0, help="answer only so many users (0: all)")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    events, wanted = gowalla(arguments.folder) if arguments.dataset == "gowalla" else beauty(arguments.folder)
    data = interactions(events)
    print(f"{len(data.user_ids):,} users, {len(data.item_ids):,} items, {len(data.items):,} events")
    began, cpu = time.perf_counter(), time.process_time()
    selection = select(data, np.random.default_rng(arguments.seed), on_line=print)
    print(f"select: {time.perf_counter() - began:.1f} s ({time.process_time() - cpu:.1f} s of processor)")
    users = sorted(wanted)
    if arguments.users:
        users = np.random.default_rng(1).permutation(users)[: arguments.users].tolist()
    n, began = LENGTHS[arguments.dataset], time.perf_counter()
    recalls, ndcgs = [], []
    for user in users:
        known = events[user]
        hits = recommend(selection.models, selection.weights, History.of(known[-300:]), n, frozenset(known))
        recall, ndcg = score([item_id for item_id, _ in hits], set(wanted[user]), n)
        recalls.append(recall)
        ndcgs.append(ndcg)
    each = (time.perf_counter() - began) / len(users) * 1_000
    print(f"Recall@{n} {np.mean(recalls):.4f}  NDCG@{n} {np.mean(ndcgs):.4f}  {len(users):,} users, {each:.2f} ms each")
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")


def lines(path: Path) -> Iterator[tuple[str, list[str]]]:
    with gzip.open(path, "rt", encoding="ascii") as file:
        for line in file:
            user, *items = line.split()
            yield user, items


def gowalla(folder: Path) -> tuple[Users, Users]:
    events: Users = {}
    for name in ("train", "valid"):
        for user, items in lines(folder / f"{name}.txt.gz"):
            events.setdefault(user, []).extend(items)
    return events, {user: items for user, items in lines(folder / "test.txt.gz") if items}


def beauty(folder: Path) -> tuple[Users, Users]:
    rows = list(lines(folder / "Beauty.txt.gz"))
    return {user: items[:-1] for user, items in rows}, {user: items[-1:] for user, items in rows}


def interactions(events: Users) -> Interactions:
    user_ids = sorted(events)
    item_ids, items = np.unique([item for user in user_ids for item in events[user]], return_inverse=True)
    lengths = [len(events[user]) for user in user_ids]
    return Interactions(
        user_ids=np.array(user_ids),
        item_ids=item_ids,
        users=np.repeat(np.arange(len(user_ids), dtype=np.int32), lengths),
        items=items.astype(np.int32),
        weights=np.ones(len(items), np.float32),
        times=np.concatenate([np.arange(length, dtype=np.float64) for length in lengths]),
        timed=False,
    )


def score(hits: list[str], wanted: set[str], n: int) -> tuple[float, float]:
    """Recall@n and NDCG@n of one answer."""
    discount = 1.0 / np.log2(np.arange(2, n + 2))
    found = np.array([hit in wanted for hit in hits], bool)
    return float(found.sum()) / len(wanted), float(discount[: len(hits)][found].sum() / discount[: min(n, len(wanted))].sum())


if __name__ == "__main__":
    main()
