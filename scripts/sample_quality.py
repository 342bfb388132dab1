"""What each signal is worth on the sample store, alone and together, on the served path.

    python scripts/sample_quality.py [--items N] [--users N] [--days D] [--tune] [--out FILE.json]

The store gets the events of all but the last D days, and is asked through Elasticsearch (at ES_RECSYS_URL, else a node of
its own) what was done after them: each shopper's next purchase, and for each category that they bought in, what they
bought there, asked by the category's name. Beside NDCG@10 there is the truth that only the simulator knows: the share of
what the best answer would bring beyond a random one (gain). Differences are paired by shopper. With --tune the legs'
weights are tuned on the store's own events first, as `es-recsys tune weights --target purchase --users 2000` does. The
store is dropped at the end.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from measuring import busy, machine, own_store, show
from numpy.typing import NDArray

from es_recsys import Client
from es_recsys.behaviours import BEHAVIOURS, event_weight
from es_recsys.data.sample import SampleStore, sample_store
from es_recsys.evaluation import Question, accuracy, ask, bootstrap
from es_recsys.evaluation.simulator import SampleWorld, Wish, draw_wishes, judge
from es_recsys.flows.view import View
from es_recsys.jobs.behaviour import load_events
from es_recsys.jobs.served import ServedRanker, one_leg, without_person
from es_recsys.jobs.tuning_weights import tune_weights
from es_recsys.search.legs import LEGS
from es_recsys.types import Event, Item, Query

AT = 10
NEUTRAL, TOGETHER = "neutral", "all together"
POSITIVE = frozenset(name for name, row in BEHAVIOURS.items() if row.known)

Change = Callable[[View], View]


@dataclass(frozen=True, eq=False)
class Task:
    """Questions of one kind with their right answers, and wishes of the same kind whose best answer is known."""

    name: str
    questions: tuple[Question, ...]
    wishes: tuple[Wish, ...]
    done_with: frozenset[str]


def _known(events: Sequence[Event]) -> dict[str, set[str]]:
    known: dict[str, set[str]] = defaultdict(set)
    for event in events:
        if event.user_id and event.item_id and event_weight(event.event_type, event.value) > 0.0:
            known[event.user_id].add(event.item_id)
    return known


def next_purchases(past: Sequence[Event], future: Sequence[Event], at: float) -> tuple[Question, ...]:
    """Each shopper's first purchase of something that they had never touched."""
    known, found = _known(past), dict[str, str]()
    for event in future:
        if event.event_type == "purchase" and event.user_id in known and event.item_id not in known[event.user_id]:
            found.setdefault(event.user_id, str(event.item_id))
    return tuple(Question(Query(user_id=user), {item: 1.0}, who=user, at=at) for user, item in found.items())


def by_category(items: Sequence[Item], past: Sequence[Event], future: Sequence[Event], at: float) -> tuple[Question, ...]:
    """For each shopper and each category that they bought in: what they bought."""
    leaf = {item.item_id: item.categories[-1] for item in items}
    known, found = _known(past), defaultdict[tuple[str, str], dict[str, float]](dict)
    for event in future:
        if event.event_type == "purchase" and event.user_id in known and event.item_id in leaf:
            found[event.user_id, leaf[event.item_id]][event.item_id] = 1.0
    return tuple(Question(Query(text=name, user_id=user), grades, who=user, at=at) for (user, name), grades in found.items())


def tasks(store: SampleStore, past: Sequence[Event], future: Sequence[Event], at: float) -> tuple[Task, Task]:
    seen = replace(store, events=tuple(past))
    # Recommendations leave out whatever was touched, searches nothing.
    worlds = SampleWorld.of(seen, searches=0.0, done_with=POSITIVE), SampleWorld.of(seen, searches=1.0, done_with=())
    recommended, searched = (tuple(draw_wishes(world, 1, 400, n=AT, start=at)) for world in worlds)
    return (
        Task("the next purchase", next_purchases(past, future, at), recommended, POSITIVE),
        Task("searches by category", by_category(store.items, past, future, at), searched, frozenset()),
    )


def techniques(view: View, task: Task) -> dict[str, Change | None]:
    """Each leg alone (in a search beside the legs that answer, unless it is one of them), nobody known, and all."""
    names = [name for name, leg in LEGS.items() if not leg.answers] + list(view.models)
    if task.name.startswith("searches"):
        names = [name for name in LEGS if name in view.meta.vectors or name == "lexical"] + names
    else:
        names = [name for name in names if name not in view.meta.vectors]
    return {NEUTRAL: without_person, **{name: one_leg(name) for name in names}, TOGETHER: None}


def measured(client: Client, store: SampleStore, task: Task) -> dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Technique -> NDCG@10 of each question, gain of each wish."""
    world = SampleWorld.of(store, done_with=task.done_with)
    found = {}
    for name, change in techniques(client.workspace.views.fresh(), task).items():
        lists = ask(ServedRanker(client.workspace, task.questions, change), task.questions, AT).lists
        ndcg = accuracy(lists, [question.grades for question in task.questions], AT, ("NDCG",))["NDCG"]
        gain = judge(world, ServedRanker(client.workspace, (), change), task.wishes).gain
        found[name] = ndcg, gain
    return found


def report(task: Task, found: Mapping[str, tuple[NDArray[np.float64], NDArray[np.float64]]]) -> dict[str, object]:
    """Prints the table and what all together gain over the best single signal."""
    rng = np.random.default_rng(0)
    who = [[question.who for question in task.questions], [wish.user_id for wish in task.wishes]]
    singles = [name for name in found if name not in (NEUTRAL, TOGETHER)]
    best = max(singles, key=lambda name: float(found[name][0].mean()))
    rows, result = [], {}
    for name, values in found.items():
        cells = [name]
        for place, one in enumerate(values):
            mean = bootstrap(one, rng, groups=who[place])
            over = bootstrap(one - found[best][place], rng, groups=who[place])
            cells += [
                f"{mean.mean:.4f} [{mean.low:.4f}, {mean.high:.4f}]",
                f"{over.mean:+.4f} [{over.low:+.4f}, {over.high:+.4f}]",
            ]
            result[f"{name}/{('ndcg', 'gain')[place]}"] = {**mean.to_dict(), "over_best_single": over.to_dict()}
        rows.append(cells)
    title = f"{task.name}: {len(task.questions):,} questions, {len(task.wishes):,} wishes; best single signal: {best}"
    show(title, ["technique", f"NDCG@{AT}", f"over {best}", "gain (the truth)", f"over {best} "], rows)
    return {"best_single": best, "questions": len(task.questions), **result}


def cold(client: Client, store: SampleStore, past: Sequence[Event]) -> None:
    """How often items without any event are found: by their titles, and in recommendations by content and by models."""
    touched = {event.item_id for event in past}
    items = [item for item in store.items if item.item_id not in touched]
    work = client.workspace
    found = [item.item_id in {hit.item_id for hit in client.search(item.title, n=AT).hits} for item in items]
    print(f"{len(items):,} items without events: {np.mean(found):.0%} are in the first {AT} for their own title", flush=True)
    cold_ids = {item.item_id for item in items}
    users = [Question(Query(user_id=shopper.user_id), {}, who=shopper.user_id) for shopper in store.shoppers]
    for name in ("taste_text", "taste_image", *work.views.current().models, TOGETHER):
        change = None if name == TOGETHER else one_leg(name)
        lists = ask(ServedRanker(work, users, change), users, 50).lists
        share = np.mean([bool(cold_ids & set(one)) for one in lists])
        reached = len(cold_ids & {item_id for one in lists for item_id in one}) / max(len(cold_ids), 1)
        print(
            f"  {name}: {share:.0%} of the shoppers have one among their first 50, {reached:.0%} of them reach somebody",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=2_000)
    parser.add_argument("--users", type=int, default=500)
    parser.add_argument("--days", type=float, default=12.0)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--tune", action="store_true")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    end = datetime.now(UTC) - timedelta(minutes=5)
    store = sample_store(arguments.seed, arguments.items, arguments.users, end=end)
    moment = end - timedelta(days=arguments.days)
    past = [event for event in store.events if event.timestamp is not None and event.timestamp < moment]
    future = [event for event in store.events if event.timestamp is not None and event.timestamp >= moment]
    both = tasks(store, past, future, moment.timestamp())
    with own_store("sample_quality") as client, tempfile.TemporaryDirectory() as folder:
        print(machine(client), busy(), flush=True)
        replace(store, events=tuple(past)).write(Path(folder))
        client.insert_items(store.items, base=folder)
        load_events(client.workspace, [Path(folder) / "events.jsonl"])
        for line in client.train().lines():
            print(line, flush=True)
        if arguments.tune:
            for line in tune_weights(client.workspace, users=2_000, targets=("purchase",)).lines():
                print(line, flush=True)
        seen = replace(store, events=tuple(past))
        found = {task.name: report(task, measured(client, seen, task)) for task in both}
        cold(client, store, past)
    if arguments.out is not None:
        arguments.out.write_text(json.dumps(found, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
