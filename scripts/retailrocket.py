"""What views and carts tell of purchases, measured through the command line alone.

    python scripts/retailrocket.py FOLDER [--seed N] [--budget SECONDS] [--users N]

FOLDER holds view_ecommerce.dat.gz, add_to_cart_ecommerce.dat.gz and purchase_ecommerce.dat.gz (Retailrocket). A fifth of
the purchased items of each visitor with two or more is held out, with every other event of the same visitor on the same
item, and asked for by `batch recommend`: after purchases alone, after all three behaviours with the usual weights, and
with the weights that `tune event-weights` chose. Each store is dropped at the end.
"""

from __future__ import annotations

import argparse
import gzip
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from quality import Store, own_store, read_answers, write_lines

from es_recsys.evaluation import accuracy, bootstrap

FILES = {"view": "view_ecommerce.dat.gz", "cart": "add_to_cart_ecommerce.dat.gz", "purchase": "purchase_ecommerce.dat.gz"}
METRICS = ("NDCG", "Recall")
AT = 10
DEEP = 400  # answers long enough that what was viewed can be taken out of them

Pairs = dict[str, list[str]]


def pairs(path: Path) -> Pairs:
    """Visitor -> items, in the file's order."""
    found: dict[str, list[str]] = defaultdict(list)
    with gzip.open(path, "rt", encoding="ascii") as lines:
        next(lines)
        for line in lines:
            visitor, item, _ = line.split()
            found[visitor].append(item)
    return found


def first_of(data: Mapping[str, Pairs], n: int) -> dict[str, Pairs]:
    """The first n visitors who purchased something, with all they did."""
    chosen = list(data["purchase"])[:n]
    return {kind: {visitor: found[visitor] for visitor in chosen if visitor in found} for kind, found in data.items()}


def hold_out(bought: Pairs, seed: int) -> dict[str, set[str]]:
    rng = np.random.default_rng(seed)
    return {
        visitor: set(rng.permutation(items)[: max(1, round(0.2 * len(items)))].tolist())
        for visitor, items in sorted(bought.items())
        if len(items) >= 2
    }


def loaded(store: Store, data: Mapping[str, Pairs], held: Mapping[str, set[str]], kinds: Sequence[str]) -> None:
    rows = [
        {"user_id": visitor, "item_id": item, "event_type": kind}
        for kind in kinds
        for visitor, items in data[kind].items()
        for item in items
        if item not in held.get(visitor, ())
    ]
    # The data has no time; in a random order nothing can be read out of the file's.
    rows = [rows[place] for place in np.random.default_rng(0).permutation(len(rows))]
    ids = sorted({item for one in data.values() for items in one.values() for item in items})
    items = write_lines(store.folder / "items.jsonl", ({"item_id": item} for item in ids))
    store.run("items", "load", items, "--text-encoder", "none", "--image-encoder", "none")
    store.run("events", "load", write_lines(store.folder / "events.jsonl", rows), "--no-timestamps")


def answers(store: Store, held: Mapping[str, set[str]], n: int) -> list[list[str]]:
    users = write_lines(store.folder / "users.jsonl", ({"user_id": visitor} for visitor in held))
    out = store.folder / "answers.jsonl"
    store.run("batch", "recommend", users, "--n", str(n), "--out", out)
    found = read_answers(out, "user_id")
    return [found.get(visitor, []) for visitor in held]


class Scores:
    """Metrics of several answers to the same queries."""

    def __init__(self, held: Mapping[str, set[str]]) -> None:
        self._held = held
        self._values: dict[str, dict[str, np.ndarray]] = {}

    def add(self, name: str, lists: list[list[str]]) -> None:
        wanted = [dict.fromkeys(items, 1.0) for items in self._held.values()]
        self._values[name] = accuracy([own[:AT] for own in lists], wanted, AT, METRICS)
        print(f"{name}: " + "   ".join(f"{m}@{AT} {v.mean():.4f}" for m, v in self._values[name].items()), flush=True)

    def gain(self, name: str, over: str) -> None:
        for metric in METRICS:
            difference = self._values[name][metric] - self._values[over][metric]
            found = bootstrap(difference, np.random.default_rng(0))
            print(
                f"{name} over {over}: {metric}@{AT} {found.mean:+.4f} [{found.low:+.4f}, {found.high:+.4f}]"
                f" ({len(difference):,} visitors)",
                flush=True,
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--budget", type=int, default=120, help="seconds of trying settings, in each training")
    parser.add_argument("--users", type=int, default=0, help="load and ask the first N purchasers only, for a quick trial")
    arguments = parser.parse_args()
    data: Mapping[str, Pairs] = {kind: pairs(arguments.folder / file) for kind, file in FILES.items()}
    if arguments.users:
        data = first_of(data, arguments.users)
    held = hold_out(data["purchase"], arguments.seed)
    budget = ("--budget", str(arguments.budget))
    scores = Scores(held)
    with own_store("quality_retailrocket_one") as store:
        loaded(store, data, held, ("purchase",))
        store.run("train", *budget)
        deep = answers(store, held, DEEP)
        scores.add("purchases", deep)
        # The other store knows what was looked at and leaves it out; so that this is no advantage, here too.
        seen = [(set(data["view"].get(v, ())) | set(data["cart"].get(v, ()))) - held[v] for v in held]
        scores.add("purchases, less what was viewed", [[i for i in own if i not in s] for own, s in zip(deep, seen, strict=True)])
    with own_store("quality_retailrocket_all") as store:
        loaded(store, data, held, tuple(FILES))
        store.run("train", *budget)
        scores.add("all behaviours, usual weights", answers(store, held, AT))
        store.run("tune", "behaviours", "--target", "purchase")
        store.run("train", *budget)
        scores.add("all behaviours, tuned weights", answers(store, held, AT))
    for over in ("purchases", "purchases, less what was viewed", "all behaviours, usual weights"):
        scores.gain("all behaviours, tuned weights", over)


if __name__ == "__main__":
    main()
