"""What the dials of a page cost and bring: `popularity` and `calibration` of recommendations, on the served path.

    python scripts/page_dials.py [FOLDER] [--users N] [--items N] [--seed N] [--out FILE.json]

With FOLDER, which holds MSRD's `movies-corpus.jsonl.gz`, users of `simulated_films.py` take films, whose genres are their
categories; the last film of each is to be found. Without it a sample store is asked for each shopper's first new purchase of
its last twelve days. Beside NDCG@10 with its 95 % interval, by bootstrap over users: the share of the catalogue that anybody is
shown, how unevenly places are spread (gini), how popular hits are over what the user knows, and how far the page's categories
are from those of the user's history (KL divergence of Steck 2018, nats). The store is dropped at its end.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from measuring import busy, load_sample, machine, own_store, show
from sample_quality import next_purchases
from simulated_films import AT, load, read_films, simulate

from es_recsys import Client
from es_recsys.evaluation import Catalogue, EvalQuery, accuracy, ask, bootstrap
from es_recsys.events.interactions import read_interactions
from es_recsys.query import Query
from es_recsys.sample import sample_store
from es_recsys.search.request import RankingPolicy
from es_recsys.search.rerank.calibration import divergence
from es_recsys.training.item_table import item_table
from es_recsys.training.served_ranker import ServedRanker
from es_recsys.training.train import train

DIALS: tuple[dict[str, float], ...] = (
    {},
    *({"popularity": dial} for dial in (-1.0, -0.5, -0.3, -0.1, 0.1, 0.3, 0.5, 1.0)),
    *({"calibration": dial} for dial in (0.1, 0.3, 0.5, 0.7, 0.9)),
)


@contextmanager
def films(arguments: argparse.Namespace) -> Iterator[tuple[Client, Sequence[EvalQuery]]]:
    corpus = read_films(arguments.folder / "movies-corpus.jsonl.gz", arguments.items, arguments.seed)
    shop = simulate(corpus, arguments.users, arguments.seed)
    with own_store("page_dials", encoders={"image": "none"}) as client:
        load(client, shop)
        asked = [replace(one, query=Query(user_id=one.actor)) for one in shop.questions(arguments.users)]
        yield client, asked


@contextmanager
def sample(arguments: argparse.Namespace) -> Iterator[tuple[Client, Sequence[EvalQuery]]]:
    end = datetime.now(UTC) - timedelta(minutes=5)
    store, moment = sample_store(arguments.seed, arguments.items, arguments.users, end=end), end - timedelta(days=12)
    past = [event for event in store.events if event.timestamp is not None and event.timestamp < moment]
    future = [event for event in store.events if event.timestamp is not None and event.timestamp >= moment]
    with own_store("page_dials", encoders={"image": "none"}) as client:
        load_sample(client, replace(store, events=tuple(past)))
        yield client, next_purchases(past, future, moment.timestamp())


def with_dials(policy: RankingPolicy, dials: dict[str, float]) -> RankingPolicy:
    return replace(policy, settings=policy.settings.model_copy(update=dials))


def apart(client: Client, lists: Sequence[Sequence[str]], users: Sequence[str], categories: dict[str, Sequence[str]]) -> float:
    """How far the categories of the lists are from those of the users' histories, on average."""
    found = []
    for own, user in zip(lists, users, strict=True):
        history = client.get_user_profile(user).affinities.get("categories", {})
        named = [name for item in own for name in categories.get(item, ())]
        if history and named:
            shares = np.array([[named.count(name) / len(named) for name in history]])
            found.append(float(divergence(np.array(list(history.values())), shares)[0]))
    return float(np.mean(found))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--users", type=int, default=1_500)
    parser.add_argument("--items", type=int, default=2_000)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    figures: list[dict[str, Any]] = []
    rows = []
    with (sample if arguments.folder is None else films)(arguments) as (client, questions):
        print(machine(client), busy(), f"{len(questions):,} questions", flush=True)
        work = client.workspace
        for line in train(work, ("covisitation", "als"), searches=False).lines():
            print(line, flush=True)
        items = item_table(work, work.snapshots.latest().metadata)
        events = read_interactions(work.events, work.now())
        catalogue = Catalogue.of(events, items)
        categories = dict(zip(items.item_ids.tolist(), items.categories, strict=True))
        known: dict[str, set[str]] = {}
        for user, item in zip(events.user_ids[events.users].tolist(), events.item_ids[events.items].tolist(), strict=True):
            known.setdefault(user, set()).add(item)
        users = [str(one.actor) for one in questions]
        plain = np.zeros(0)
        for dials in DIALS:
            ranker = ServedRanker(work, questions, lambda policy, own=dials: with_dials(policy, own))  # type: ignore[misc]
            lists = ask(ranker, questions, AT).lists
            ndcg = accuracy(lists, [one.grades for one in questions], AT, ("NDCG",))["NDCG"]
            plain = plain if dials else ndcg
            change = bootstrap(ndcg - plain, np.random.default_rng(0))
            figure = {
                "dials": dials,
                "ndcg": float(ndcg.mean()),
                "change": change.to_dict(),
                "coverage": catalogue.coverage(lists),
                "gini": catalogue.gini(lists),
                "popularity": float(np.nanmean(catalogue.popularity(lists, [known.get(user, set()) for user in users]))),
                "apart": apart(client, lists, users, categories),
            }
            figures.append(figure)
            name = ", ".join(f"{name} {dial:g}" for name, dial in dials.items()) or "as it is"
            told = [f"{figure[one]:.3f}" for one in ("coverage", "gini", "popularity", "apart")]
            rows.append([name, f"{figure['ndcg']:.4f}", str(change), *told])
            print(*rows[-1], sep=" | ", flush=True)
    columns = ["dials", f"NDCG@{AT}", "change", "coverage", "gini", "popularity", "categories apart"]
    show(f"{len(questions):,} questions", columns, rows)
    if arguments.out is not None:
        arguments.out.write_text(json.dumps(figures, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
