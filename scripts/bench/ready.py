"""Benchmark: recommendations from ready lists, against a bare read of the same documents, in turns."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from elasticsearch import Elasticsearch
from measuring import percentile_ms

from bench.answers import in_turns
from bench.questions import Questions, bare_client
from es_recsys import Client
from es_recsys.events.actors import actor_of
from es_recsys.query import Answer

__all__ = ["COLUMNS", "ready_lists"]

COLUMNS = ["call", "p50, ms", "of the read", "goal", "p99, ms", "of the read"]
READ, READY, NEXT_PAGE = "a bare read of the document", "recommend, ready", "recommend, ready, the second page"
PERSONAL, PERSONAL_WITHOUT = "search, personal, of users with a list", "search, personal, of users without"
GOALS = {READY: 1.5}


def ready_lists(client: Client, questions: Questions, calls: int) -> list[list[str]]:
    """Rows: reads and recommendations of users with a list, and searches of users with and without. The lists stay."""
    half = len(questions.users) // 2
    users, others = questions.users[:half], questions.users[half:]
    started = time.perf_counter()
    report = client.store_recommendations(users)
    seconds = time.perf_counter() - started
    assert report.stored == len(users), report
    snapshot = client.workspace.snapshots.latest()
    keys = [snapshot.key_of(actor_of(user)) for user in users]

    def search(some: Sequence[str], k: int) -> Answer:
        return client.search(questions.text(k), user_id=some[k % len(some)])

    with bare_client(client) as es:
        found = in_turns(
            {
                READ: lambda k: _read(es, snapshot.metadata.profiles, keys[k % len(keys)]),
                READY: lambda k: _ready(client, users[k % len(users)], 0),
                NEXT_PAGE: lambda k: _ready(client, users[k % len(users)], 10),
                PERSONAL: lambda k: search(users, k),
                PERSONAL_WITHOUT: lambda k: search(others, k),
            },
            calls,
        )
    return [*(_row(found, name) for name in found), ["making lists, users/s", f"{len(users) / seconds:,.0f}", "", "", "", ""]]


def _read(es: Elasticsearch, index: str, key: str) -> object:
    return es.get(index=index, id=key)


def _ready(client: Client, user: str, offset: int) -> Answer:
    answer = client.recommend(user, offset=offset)
    assert answer.made_at is not None, user
    return answer


def _row(found: Mapping[str, Sequence[float]], name: str) -> list[str]:
    p50, p99 = ([percentile_ms(found[one], percent) for one in (name, READ)] for percent in (50, 99))
    goal = f"at most {GOALS[name]:g}" if name in GOALS else ""
    return [name, f"{p50[0]:.2f}", f"{p50[0] / p50[1]:.2f}", goal, f"{p99[0]:.2f}", f"{p99[0] / p99[1]:.2f}"]
