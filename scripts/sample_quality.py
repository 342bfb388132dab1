"""What each signal is worth on the sample store, alone and together, on the served path.

    python scripts/sample_quality.py [--items N] [--users N] [--days D] [--stores N] [--tasks NAME...] [--target TYPE...]
                                     [--tune] [--needs N] [--budget S] [--out FILE.json]

The store gets the events of all but the last D days, and is asked through Elasticsearch (at ES_RECSYS_URL, else a node of
its own) what was done after them: each shopper's next purchase, and for each category that they bought in, what they
bought there, asked by the category's name. Beside NDCG@10 there is the truth that only the simulator knows: the share of
what the best answer would bring beyond a random one (gain). Differences are paired by shopper. With --tune the retrievers'
weights are tuned on the store's own events first, as `es-recsys tune weights --target purchase --users 2000` does. With
--stores several stores with shoppers and items of their own are made, trained and tuned one after the other, and all their
questions so far are counted together. Each store is dropped at its end.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from measuring import busy, load_sample, machine, own_store, show
from numpy.typing import NDArray

from es_recsys import Client
from es_recsys.evaluation import EvalQuery, accuracy, ask, bootstrap
from es_recsys.event_types import EVENT_TYPES, event_weight
from es_recsys.query import Query
from es_recsys.sample import SampleStore, sample_store
from es_recsys.search.retrievers import RETRIEVERS
from es_recsys.serving.snapshot import ServingSnapshot
from es_recsys.simulator import SampleStoreEnvironment, SimulatedNeed, measure_regret, sample_needs
from es_recsys.training.served_ranker import Change, ServedRanker, only_retriever, without_person
from es_recsys.training.tune_weights import SITUATIONS, tune_weights
from es_recsys.types import Event, Item

AT = 10
NEUTRAL, TOGETHER = "neutral", "all together"
# Words of the names of the tasks, and the finding of new items.
TASKS = ("purchase", "searches", "cold")
POSITIVE = frozenset(name for name, row in EVENT_TYPES.items() if row.counts_as_seen)


@dataclass(frozen=True, eq=False)
class Task:
    """Questions of one kind with their right answers, and needs of the same kind whose best answer is known."""

    name: str
    questions: tuple[EvalQuery, ...]
    needs: tuple[SimulatedNeed, ...]
    excluded_event_types: frozenset[str]


def _known(events: Sequence[Event]) -> dict[str, set[str]]:
    known: dict[str, set[str]] = defaultdict(set)
    for event in events:
        if event.user_id and event.item_id and event_weight(event.event_type, event.value) > 0.0:
            known[event.user_id].add(event.item_id)
    return known


def next_purchases(past: Sequence[Event], future: Sequence[Event], at: float) -> tuple[EvalQuery, ...]:
    """Each shopper's first purchase of something that they had never touched."""
    known, found = _known(past), dict[str, str]()
    for event in future:
        if event.event_type == "purchase" and event.user_id in known and event.item_id not in known[event.user_id]:
            found.setdefault(event.user_id, str(event.item_id))
    return tuple(EvalQuery(Query(user_id=user), {item: 1.0}, actor=user, timestamp=at) for user, item in found.items())


def by_category(items: Sequence[Item], past: Sequence[Event], future: Sequence[Event], at: float) -> tuple[EvalQuery, ...]:
    """For each shopper and each category that they bought in: what they bought."""
    leaf = {item.item_id: item.categories[-1] for item in items}
    known, found = _known(past), defaultdict[tuple[str, str], dict[str, float]](dict)
    for event in future:
        if event.event_type == "purchase" and event.user_id in known and event.item_id in leaf:
            found[event.user_id, leaf[event.item_id]][event.item_id] = 1.0
    return tuple(
        EvalQuery(Query(text=name, user_id=user), grades, actor=user, timestamp=at) for (user, name), grades in found.items()
    )


def tasks(store: SampleStore, past: Sequence[Event], future: Sequence[Event], at: float, needs: int) -> tuple[Task, Task]:
    seen = replace(store, events=tuple(past))
    # Recommendations leave out whatever was touched, searches nothing.
    worlds = (
        SampleStoreEnvironment.of(seen, searches=0.0, excluded_event_types=POSITIVE),
        SampleStoreEnvironment.of(seen, searches=1.0, excluded_event_types=()),
    )
    recommended, searched = (tuple(sample_needs(environment, 1, needs, n=AT, start=at)) for environment in worlds)
    return (
        Task("the next purchase", next_purchases(past, future, at), recommended, POSITIVE),
        Task("searches by category", by_category(store.items, past, future, at), searched, frozenset()),
    )


def techniques(snapshot: ServingSnapshot, task: Task) -> dict[str, Change | None]:
    """Each retriever alone (in a search beside the retrievers that answer, unless it is one of them), nobody known, and all."""
    names = [name for name, one in RETRIEVERS.items() if not one.matches_query] + list(snapshot.models)
    if task.name.startswith("searches"):
        names = [name for name in RETRIEVERS if name in snapshot.metadata.vectors or name == "lexical"] + names
    else:
        names = [name for name in names if name not in snapshot.metadata.vectors]
    return {NEUTRAL: without_person, **{name: only_retriever(name) for name in names}, TOGETHER: None}


# Technique -> NDCG@10 of each question, gain of each need; NaN where a store doesn't have the signal.
Found = Mapping[str, tuple[NDArray[np.float64], NDArray[np.float64]]]


def measured(client: Client, store: SampleStore, task: Task) -> Found:
    environment = SampleStoreEnvironment.of(store, excluded_event_types=task.excluded_event_types)
    found = {}
    for name, change in techniques(client.workspace.snapshots.latest(), task).items():
        lists = ask(ServedRanker(client.workspace, task.questions, change), task.questions, AT).lists
        ndcg = accuracy(lists, [question.grades for question in task.questions], AT, ("NDCG",))["NDCG"]
        gain = (
            measure_regret(environment, ServedRanker(client.workspace, (), change), task.needs).gain
            if task.needs
            else np.zeros(0)
        )
        found[name] = ndcg, gain
    return found


def pooled(stores: Sequence[tuple[Task, Found]]) -> tuple[Task, Found]:
    """The questions of all stores as one; shoppers of two stores are two people."""
    tasks = [task for task, _ in stores]
    questions = [replace(one, actor=f"{place}:{one.actor}") for place, task in enumerate(tasks) for one in task.questions]
    needs = [replace(one, user_id=f"{place}:{one.user_id}") for place, task in enumerate(tasks) for one in task.needs]
    whole = replace(tasks[0], questions=tuple(questions), needs=tuple(needs))

    def values(name: str, column: int) -> NDArray[np.float64]:
        parts = [found[name][column] if name in found else np.full_like(found[NEUTRAL][column], np.nan) for _, found in stores]
        return np.concatenate(parts)

    return whole, {name: (values(name, 0), values(name, 1)) for name in dict.fromkeys(n for _, found in stores for n in found)}


def report(task: Task, found: Found) -> dict[str, object]:
    """Prints the table and what all together gain over the best single signal: the one over which they gain least, each asked
    where its stores have it."""
    rng = np.random.default_rng(0)
    who = [[question.actor for question in task.questions], [need.user_id for need in task.needs]]
    singles = [name for name in found if name not in (NEUTRAL, TOGETHER)]
    best = min(singles, key=lambda name: float(np.nanmean(found[TOGETHER][0] - found[name][0])))
    columns = [f"NDCG@{AT}", f"all together over it (best single: {best})"]
    columns += ["gain (the truth)", "all together over it"] if task.needs else []
    rows, result = [], {}
    for name, values in found.items():
        cells = [name]
        for place, one in enumerate(values if task.needs else values[:1]):
            mean = bootstrap(one, rng, groups=who[place])
            over = bootstrap(found[TOGETHER][place] - one, rng, groups=who[place])
            cells += [
                f"{mean.mean:.4f} [{mean.low:.4f}, {mean.high:.4f}]",
                f"{over.mean:+.4f} [{over.low:+.4f}, {over.high:+.4f}]",
            ]
            result[f"{name}/{('ndcg', 'gain')[place]}"] = {**mean.to_dict(), "all_together_over_it": over.to_dict()}
        rows.append(cells)
    show(f"{task.name}: {len(task.questions):,} questions, {len(task.needs):,} needs", ["technique", *columns], rows)
    return {"best_single": best, "questions": len(task.questions), **result}


def cold(client: Client, store: SampleStore, past: Sequence[Event]) -> None:
    """How often items without any event are found: by their titles, and in recommendations by content and by models."""
    touched = {event.item_id for event in past}
    items = [item for item in store.items if item.item_id not in touched]
    work = client.workspace
    found = [item.item_id in {hit.item_id for hit in client.search(item.title, n=AT).hits} for item in items]
    print(f"{len(items):,} items without events: {np.mean(found):.0%} are in the first {AT} for their own title", flush=True)
    cold_ids = {item.item_id for item in items}
    users = [EvalQuery(Query(user_id=shopper.user_id), {}, actor=shopper.user_id) for shopper in store.shoppers]
    for name in ("taste_text", "taste_image", *work.snapshots.current().models, TOGETHER):
        change = None if name == TOGETHER else only_retriever(name)
        lists = ask(ServedRanker(work, users, change), users, 50).lists
        share = np.mean([bool(cold_ids & set(one)) for one in lists])
        reached = len(cold_ids & {item_id for one in lists for item_id in one}) / max(len(cold_ids), 1)
        print(
            f"  {name}: {share:.0%} of the shoppers have one among their first 50, {reached:.0%} of them reach somebody",
            flush=True,
        )


def one_store(arguments: argparse.Namespace, seed: int) -> list[tuple[Task, Found]]:
    """Makes a store, trains and tunes it, asks it, drops it."""
    end = datetime.now(UTC) - timedelta(minutes=5)
    store = sample_store(seed, arguments.items, arguments.users, end=end)
    moment = end - timedelta(days=arguments.days)
    past = [event for event in store.events if event.timestamp is not None and event.timestamp < moment]
    future = [event for event in store.events if event.timestamp is not None and event.timestamp >= moment]
    seen = replace(store, events=tuple(past))
    with own_store("sample_quality") as client:
        print(f"store {seed}, {machine(client)}, {busy()}", flush=True)
        load_sample(client, seen)
        for line in client.train(targets=arguments.target, budget=arguments.budget).lines():
            print(line, flush=True)
        if arguments.tune:
            # Without searches to ask nothing of theirs needs to be tuned.
            wanted = SITUATIONS if "searches" in arguments.tasks else ("no_query",)
            for line in tune_weights(client.workspace, users=2_000, targets=("purchase",), situations=wanted).lines():
                print(line, flush=True)
        asked = tasks(store, past, future, moment.timestamp(), arguments.needs)
        tested = [task for task in asked if any(word in task.name for word in arguments.tasks)]
        found = [(task, measured(client, seen, task)) for task in tested]
        if "cold" in arguments.tasks:
            cold(client, store, past)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=2_000)
    parser.add_argument("--users", type=int, default=500)
    parser.add_argument("--days", type=float, default=12.0)
    parser.add_argument("--seed", type=int, default=7, help="of the first store; the others have the numbers after it")
    parser.add_argument("--stores", type=int, default=1)
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=TASKS)
    parser.add_argument("--needs", type=int, default=400, help="of each task, whose best answer the simulator knows; 0 for none")
    parser.add_argument("--budget", type=float, help="seconds of trying in each training, as `es-recsys train --budget`")
    parser.add_argument("--target", nargs="*", default=(), help="event types to train for, as `es-recsys train --target`")
    parser.add_argument("--tune", action="store_true")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    stores = []
    for place in range(arguments.stores):
        stores.append(one_store(arguments, arguments.seed + place))
        # What there is so far, as the next store takes its time.
        print(f"{len(stores)} of {arguments.stores} stores", flush=True)
        result = {task.name: report(task, found) for task, found in (pooled(each) for each in zip(*stores, strict=True))}
        if arguments.out is not None:
            arguments.out.write_text(json.dumps({"stores": len(stores), **result}, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
