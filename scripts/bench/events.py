"""Benchmark: the sample store's events in the catalogue, and how soon an event shows."""

from __future__ import annotations

import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import orjson
from measuring import median_ms, timed

from bench.loading import Catalogue
from bench.questions import Questions
from es_recsys import Client, Event
from es_recsys.jobs.load_events import load_events
from es_recsys.training.train import train

__all__ = ["COLUMNS", "event_to_answer", "prepare"]

COLUMNS = ["measured", "p50, ms", "of a personal search", "goal"]
COPIES = 5
VISITORS = 50


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


def event_to_answer(client: Client, questions: Questions, calls: int) -> list[list[str]]:
    """Rows: from a visitor's first event to the answer that shows it, and a personal search, in turns."""
    query = questions.texts[0]
    personal, recorded, answered = list[float](), list[float](), list[float]()
    visitors = min(VISITORS, calls)
    for k in range(visitors):  # so that what is known of words and users does not hang on the parts that ran before
        client.search(query, user_id=questions.user(k), n=50)
    shown = client.search(query, n=50).hits
    for k in range(visitors):
        visitor, item = f"visitor-{k}", shown[len(shown) - 1 - k % len(shown)].item_id
        personal.append(timed(lambda user: client.search(query, user_id=user, n=50), questions.user(k)))
        started = time.perf_counter()
        client.put_events(Event(event_type="purchase", session_id=visitor, item_id=item))
        recorded.append(time.perf_counter() - started)
        after = client.search(query, session_id=visitor, n=50).hits
        answered.append(time.perf_counter() - started)
        assert [(hit.item_id, hit.score) for hit in after] != [(hit.item_id, hit.score) for hit in shown], visitor
    rows = [("search, personal, 50 hits", personal, ""), ("put_events", recorded, ""), ("event to changed answer", answered, "3")]
    base = median_ms(personal)
    return [
        [name, f"{median_ms(seconds):.1f}", f"{median_ms(seconds) / base:.2f}", f"at most {goal}" if goal else ""]
        for name, seconds, goal in rows
    ]
