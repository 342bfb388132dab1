"""What came of showing items is counted from the answer log, kept, and read back; without a log nothing is read."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from es_recsys.events.records import StoredEvent
from es_recsys.index_metadata import IndexMetadata
from es_recsys.search.exploration import InteractionStats
from es_recsys.serving.answer_log import AnswerLog
from es_recsys.serving.interaction_stats import interaction_stats_folder, load_interaction_stats
from es_recsys.settings import Settings
from es_recsys.training.count_interactions import recount_interaction_stats

METADATA = IndexMetadata("shop", 1)


class Events:
    def __init__(self, *events: StoredEvent) -> None:
        self._events = events
        self.scans = 0

    def scan(self) -> tuple[StoredEvent, ...]:
        self.scans += 1
        return self._events


def store(folder: Path, *events: StoredEvent) -> Any:
    settings = Settings(home=folder, index="shop")
    forgotten: list[bool] = []
    snapshots = SimpleNamespace(invalidate=lambda: forgotten.append(True))
    log = AnswerLog(settings.store_home / "answers")
    return SimpleNamespace(settings=settings, log=log, events=Events(*events), snapshots=snapshots, forgotten=forgotten)


def record(answer_id: str, *item_ids: str) -> dict[str, Any]:
    hits = [{"item_id": i, "position": rank, "parts": {"als": 0.5}, "propensity": 0.5} for rank, i in enumerate(item_ids, 1)]
    return {"answer_id": answer_id, "kind": "recommend", "user_key": "k", "query": None, "hits": hits, "features": {"a": [1.0]}}


def test_without_a_log_nothing_is_read_and_nothing_is_kept(tmp_path: Path) -> None:
    work = store(tmp_path)
    recount_interaction_stats(work, METADATA)
    assert work.events.scans == 0 and not work.forgotten
    assert not interaction_stats_folder(work.settings).exists()
    popular = load_interaction_stats(interaction_stats_folder(work.settings), [("a", 4.0)])
    assert popular.by_item == {"a": (pytest.approx(40.0), 4.0)}


def test_counts_are_those_of_the_log_and_are_counted_anew(tmp_path: Path) -> None:
    click = {"event_type": "click", "timestamp": 1.0, "user_id": "u"}
    events = [
        StoredEvent(1, item_id="a", recommendation_id="x", **click),
        StoredEvent(2, item_id="b", recommendation_id="elsewhere", **click),
        StoredEvent(3, item_id="c", recommendation_id="y", quarantine="too_fast", **click),
    ]
    work = store(tmp_path, *events)
    work.log.write([record("x", "a", "b"), record("y", "b", "c")])
    for _ in range(2):
        recount_interaction_stats(work, METADATA)
    assert work.forgotten
    kept = load_interaction_stats(interaction_stats_folder(work.settings), [])
    assert dict(kept.by_item) == {"a": (1.0, 1.0), "b": (2.0, 0.0), "c": (1.0, 0.0)}
    assert kept.rate == pytest.approx(0.25)
    asked = ["c", "nothing", "a", "b"]
    plain = InteractionStats(dict(kept.by_item), kept.rate)
    np.testing.assert_array_equal(kept.counts(asked), plain.counts(asked))
    np.testing.assert_array_equal(kept.counts([]), plain.counts([]))
