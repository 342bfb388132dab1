"""Benchmark, part 2: what an answer costs on top of its requests, and how soon an event shows."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import orjson
from measuring import median_ms, percentile_ms, timed

from bench.loading import Catalogue
from es_recsys import Client, Event
from es_recsys.jobs.load_events import load_events
from es_recsys.query import Query, Ranking
from es_recsys.serving.answering import run_search
from es_recsys.serving.drivers import Driver
from es_recsys.serving.operations import Flow, MultiSearch, Operation, Steps
from es_recsys.serving.ranking_policy import for_products, ranking_policy
from es_recsys.serving.requests import build_request
from es_recsys.serving.user_profiles import profile_keys, read_profile
from es_recsys.serving.user_state import load_user_state
from es_recsys.training.train import train

__all__ = ["event_to_answer", "latency", "prepare"]

COPIES = 5
QUESTIONS = 60
ROUNDS = 5
VISITORS = 50


class _Recorder(Driver):
    """Drives flows, and keeps the searches that they ask for."""

    def __init__(self, client: Client) -> None:
        super().__init__(client.workspace.es, client.workspace.log)
        self.searches: list[MultiSearch] = []

    def steps_of(self, operation: Operation) -> Steps[Any]:
        if isinstance(operation, MultiSearch):
            self.searches.append(operation)
        return super().steps_of(operation)


def prepare(client: Client, catalogue: Catalogue) -> None:
    """The sample store's events, on the first copies of its products, and both models trained on them."""
    number = {item.item_id: place for place, item in enumerate(catalogue.sample.items)}
    rng = np.random.default_rng(7)
    rows = []
    for event in catalogue.sample.events:
        row = event.model_dump(mode="json", exclude_none=True)
        if event.item_id is not None:
            place = number[event.item_id] + int(rng.integers(COPIES)) * len(number)
            row["item_id"] = catalogue.items[place % len(catalogue.items)].item_id
        rows.append(orjson.dumps(row))
    with TemporaryDirectory() as folder:
        path = Path(folder) / "events.jsonl"
        path.write_bytes(b"\n".join(rows))
        load_events(client.workspace, [path])
    train(client.workspace, ["covisitation", "als"])


def questions(catalogue: Catalogue) -> list[Query]:
    """Queries of the sample store's shoppers, each by a shopper."""
    asked = [event for event in catalogue.sample.events if event.query is not None and event.user_id is not None]
    rng = np.random.default_rng(3)
    chosen = rng.choice(len(asked), min(QUESTIONS, len(asked)), replace=False)
    return [Query(text=str(asked[place].query), user_id=asked[place].user_id) for place in chosen.tolist()]


def latency(client: Client, catalogue: Catalogue) -> list[list[str]]:
    """Rows: the ranking, its query encoded and its profile fetched, against its bare requests; and the whole call."""
    asks = questions(catalogue)
    pairs = [_acts(client, query) for query in asks]
    calls = [lambda query=query: client.execute(query) for query in asks]
    ours, bare, whole = list[float](), list[float](), list[float]()
    for turn in range(ROUNDS + 1):
        gc.collect()
        for place, ((mine, plain), call) in enumerate(zip(pairs, calls, strict=True)):
            # In turns, so that neither is always first to bring something into a cache.
            acts = [(mine, ours), (plain, bare)] if (turn + place) % 2 else [(plain, bare), (mine, ours)]
            for act, seconds in (*acts, (call, whole)):
                took = timed(act)
                if turn:  # the first round warms up
                    seconds.append(took)
    rows = []
    for name, percent, goal in (("p50", 50, "at most 1.3"), ("p99", 99, "")):
        a, b, c = (percentile_ms(seconds, percent) for seconds in (ours, bare, whole))
        rows.append([f"search with a user, encoded and fetched, ms, {name}", f"{a:.1f}", f"{b:.1f}", f"{a / b:.2f}", goal])
        rows.append([f"search with a user, the whole call, ms, {name}", f"{c:.1f}", f"{b:.1f}", f"{c / b:.2f}", ""])
    return rows


def _acts(client: Client, query: Query) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """The ranking of a question, and its recorded requests alone."""
    work = client.workspace
    snapshot, now = work.snapshots.latest(), time.time()
    profile = work.driver.run(read_profile(snapshot, query, profile_keys(snapshot, query), now))
    fields = snapshot.encoder.fields(snapshot.metadata, "text")
    vectors = {field: snapshot.encoder.vector(snapshot.metadata, field, query.text) for field in fields}
    recorder = _Recorder(client)

    def ranked() -> Flow[Ranking]:
        policy = for_products(ranking_policy(snapshot), query)
        request = build_request(query, policy, profile, vectors, (), now)
        user, _ = yield from load_user_state(snapshot, policy, query, request, profile, ())
        return (yield from run_search(request, user, policy))

    def ours(driver: Driver = work.driver) -> Ranking:
        return driver.run(ranked())

    answered = ours(recorder)
    assert answered.hits and not answered.degraded, query
    requests = [(search.index, [line for body in search.bodies for line in ({}, body)]) for search in recorder.searches]

    def bare() -> None:
        for index, lines in requests:
            work.es.msearch(index=index, searches=lines, max_concurrent_searches=8)

    return ours, bare


def event_to_answer(client: Client, catalogue: Catalogue) -> list[list[str]]:
    """Rows: from a visitor's first event to the answer that shows it."""
    query = questions(catalogue)[0].text
    recorded, answered = list[float](), list[float]()
    changed = 0
    shown = client.search(query, n=50).hits
    for number in range(VISITORS):
        visitor = f"visitor-{number}"
        item = shown[len(shown) - 1 - number % len(shown)].item_id
        started = time.perf_counter()
        client.put_events(Event(event_type="purchase", session_id=visitor, item_id=item))
        written = time.perf_counter()
        after = client.search(query, session_id=visitor, n=50)
        answered.append(time.perf_counter() - started)
        recorded.append(written - started)
        changed += [(hit.item_id, hit.score) for hit in after.hits] != [(hit.item_id, hit.score) for hit in shown]
    assert changed == VISITORS, f"{changed} of {VISITORS} answers changed"
    return [
        ["put_events, ms, p50", f"{median_ms(recorded):.1f}", "", "", ""],
        ["event to changed answer, ms, p50", f"{median_ms(answered):.1f}", "", "", ""],
    ]
