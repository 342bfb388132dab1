"""What personal answers gain over neutral and popular ones in each scenario, with intervals, and a picture of it.

Sample feeds or shops are made as if they went on for some hours: the store knows what was before now, and what the same people
open afterwards, of the items that are there, is to be found. The settings are those of `es-recsys init --scenario`, the models
those that `train` chooses; pictures are left out. NDCG@10 of `recommend`, of the same without the user, and of what was opened
most in the last day, of the people of all feeds; 95 % intervals by bootstrap over feeds, which differ more than people do,
differences paired. What loading, training and an answer take is told, too.

python scripts/scenarios.py news social shop [--feeds 8] [--readers 300] [--items 800] [--budget 120] [--draw docs/scenarios]
python scripts/scenarios.py social news --half-lives
"""

from __future__ import annotations

import argparse
import time
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from xml.sax.saxutils import escape

import numpy as np
from measuring import busy, machine, own_store, show, timed

from es_recsys import Client, Event, Item
from es_recsys.cli.init import SCENARIOS, scenario_file
from es_recsys.evaluation.metrics import ndcg
from es_recsys.evaluation.statistics import Estimate, bootstrap
from es_recsys.sample import sample_store
from es_recsys.sample.feed import feed
from es_recsys.serving.refresh import refresh_after_events
from es_recsys.settings import load_settings
from es_recsys.training.train import train

Values = np.ndarray[tuple[int], np.dtype[np.float64]]
AHEAD = {"news": timedelta(hours=12), "social": timedelta(days=2), "shop": timedelta(days=5)}
OPENED = frozenset({"view", "click", "cart", "purchase"})


def made(
    scenario: str, items: int, readers: int, now: datetime, seed: int = 7
) -> tuple[list[Item], list[Event], dict[str, set[str]]]:
    """The items and events until now, and what each person opens afterwards of items that they haven't opened before."""
    end = now + AHEAD[scenario]
    if scenario == "shop":
        store = sample_store(seed, items=items, users=readers, end=end)
        everything, events = store.items, store.events
    else:
        found = feed(scenario, seed, items=items, readers=readers, end=end)
        everything, events = found.items, found.events
    there = [item.model_copy(update={"image": None}) for item in everything if item.created_at and item.created_at <= now]
    known = {item.item_id for item in there if item.expires_at is None or item.expires_at > end}
    past, targets, opened = [], defaultdict[str, set[str]](set), defaultdict[str, set[str]](set)
    for event in events:
        user, item = event.user_id or "", event.item_id or ""
        if event.timestamp and event.timestamp < now:
            past.append(event)
            opened[user] |= {item} if event.event_type in OPENED else set()
        elif event.event_type in OPENED and item in known and item not in opened[user]:
            targets[user].add(item)
    return there, past, dict(targets)


def _load_events(client: Client, events: Sequence[Event]) -> None:
    client.workspace.events.load(events)
    refresh_after_events(client.workspace)


def half_lives(scenario: str, items: int, readers: int) -> None:
    """NDCG@10 of one list for all, of what was opened, by the half-life that it is counted by; no store is needed."""
    now = datetime.now(UTC)
    _, past, targets = made(scenario, items, readers, now)
    opened = defaultdict[str, set[str]](set)
    ages = [((now - one.timestamp).total_seconds() / 3_600.0, one) for one in past if one.event_type in OPENED and one.timestamp]
    for _, one in ages:
        opened[one.user_id or ""].add(one.item_id or "")
    rows = []
    for hours in (3, 6, 12, 24, 48, 720):
        counts = Counter[str]()
        for age, one in ages:
            counts[one.item_id or ""] += 2.0 ** (-age / hours)
        order = [item for item, _ in counts.most_common()]
        lists = [[item for item in order if item not in opened[user]][:10] for user in targets]
        rows.append([f"{hours} h", str(bootstrap(_ndcg(lists, list(targets.values())), np.random.default_rng(0)))])
    show(f"{scenario}: a list for all, by its half-life", ["", "NDCG@10 [95 %]"], rows)


def _ndcg(lists: Sequence[Sequence[str]], wanted: Sequence[Collection[str]]) -> Values:
    codes: dict[str, int] = {}

    def encoded(rows: Sequence[Collection[str]]) -> list[np.ndarray[tuple[int], np.dtype[np.int64]]]:
        return [np.array([codes.setdefault(item, len(codes)) for item in row], np.int64) for row in rows]

    return ndcg(encoded(lists), encoded([sorted(one) for one in wanted]), 10)


def measured(client: Client, past: Sequence[Event], targets: Mapping[str, set[str]], now: datetime) -> dict[str, Values]:
    """NDCG@10 of each way to answer, of each person."""
    since = now - timedelta(days=1)
    recent = [one for one in past if one.event_type in OPENED and one.timestamp and one.timestamp >= since]
    counts = Counter(one.item_id for one in recent)
    popular = [item for item, _ in counts.most_common()]
    took: list[float] = []
    lists: dict[str, list[list[str]]] = {"personal": [], "neutral": [], "popular": []}
    people = sorted(targets)
    for user in people:
        started = time.perf_counter()
        lists["personal"].append([hit.item_id for hit in client.recommend(user, n=10).hits])
        took.append(time.perf_counter() - started)
        lists["neutral"].append([hit.item_id for hit in client.recommend(user, n=10, personalization=0.0).hits])
        profile = client.get_user_profile(user)
        lists["popular"].append([item for item in popular if item and item not in profile.seen][:10])
    print(f"{np.median(took) * 1_000:.0f} ms an answer in the middle, {busy()}")
    return {name: _ndcg(rows, [targets[user] for user in people]) for name, rows in lists.items()}


def one_feed(scenario: str, seed: int, given: argparse.Namespace) -> dict[str, Values]:
    """What `measured` returns of one feed."""
    now, settings = datetime.now(UTC), load_settings(scenario_file(scenario))
    options = {"search": settings.search, "profiles": settings.profiles, "encoders": {"image": "none"}}
    items, past, targets = made(scenario, given.items, given.readers, now, seed)
    with own_store(f"scenario_{scenario}", **options) as client:
        print(f"{scenario}: {len(items):,} items, {len(past):,} events, {len(targets):,} people; {machine(client)}")
        loading = timed(client.insert_items, items), timed(_load_events, client, past)
        began = time.perf_counter()
        # Nobody searches here.
        report = train(client.workspace, budget=given.budget, searches=False)
        print(f"items {loading[0]:.1f} s, events {loading[1]:.1f} s, training {time.perf_counter() - began:.1f} s")
        print("\n".join(report.lines()), flush=True)
        values = measured(client, past, targets, now)
    print(", ".join(f"{name} {own.mean():.4f}" for name, own in values.items()), flush=True)
    return values


def over_feeds(feeds: Sequence[Mapping[str, Values]]) -> dict[str, Estimate]:
    """NDCG@10 of each way to answer, and the differences."""
    values = {name: np.concatenate([each[name] for each in feeds]) for name in feeds[0]}
    values |= {f"personal - {name}": values["personal"] - values[name] for name in ("neutral", "popular")}
    of_feed = [f"{number}" for number, each in enumerate(feeds) for _ in each["personal"]]
    rng = np.random.default_rng(0)
    return {name: bootstrap(own, rng, groups=of_feed if len(feeds) > 1 else None) for name, own in values.items()}


def draw(scenario: str, found: Mapping[str, Estimate], folder: Path) -> None:
    """Bars with their intervals."""
    shown = [name for name in found if " - " not in name]
    most = max(found[name].high for name in shown) or 1.0
    rows = []
    for row, name in enumerate(shown):
        y, one = 34 + 30 * row, found[name]
        x, low, high = (110 + 380 * value / most for value in (one.mean, one.low, one.high))
        rows.append(f'<text x="100" y="{y + 14}" text-anchor="end">{escape(name)}</text>')
        rows.append(f'<rect x="110" y="{y}" width="{x - 110:.1f}" height="18" fill="#4878a8"/>')
        rows.append(f'<path d="M{low:.1f} {y + 9}H{high:.1f}" stroke="#222" stroke-width="2"/>')
        rows.append(f'<text x="500" y="{y + 14}">{one.mean:.3f}</text>')
    title = f"{scenario}: NDCG@10 of what people open next, with 95 % intervals"
    style = '<style>text{font:13px sans-serif;fill:#222}</style><rect width="560" height="130" fill="#fff"/>'
    body = f'<text x="10" y="20">{escape(title)}</text>{"".join(rows)}'
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 560 130" width="560" height="130">{style}{body}</svg>\n'
    (folder / f"{scenario}.svg").write_text(svg, encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenarios", nargs="*", default=list(SCENARIOS))
    parser.add_argument("--feeds", type=int, default=8)
    parser.add_argument("--readers", type=int, default=300)
    parser.add_argument("--items", type=int, default=800)
    parser.add_argument("--budget", type=float, default=120.0, help="seconds of processor time to try settings in")
    parser.add_argument("--draw", type=Path)
    parser.add_argument("--half-lives", action="store_true", help="only what a list for all has, by the half-life of its counts")
    given = parser.parse_args()
    for scenario in given.scenarios:
        if given.half_lives:
            half_lives(scenario, given.items, given.readers)
            continue
        found = over_feeds([one_feed(scenario, seed, given) for seed in range(1, given.feeds + 1)])
        show(scenario, ["", "NDCG@10 [95 %]"], [[name, str(one)] for name, one in found.items()])
        if given.draw:
            draw(scenario, found, given.draw)


if __name__ == "__main__":
    main()
