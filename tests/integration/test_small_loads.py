"""A small load into a large store: only who is in it is looked at, and the result is that of looking at everybody."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa

from es_recsys.events import cleaning, event_frame
from es_recsys.events.event_frame import EventFrame
from es_recsys.events.event_reader import EventReader
from es_recsys.index.fetch import scan
from es_recsys.jobs.load_events import EventsReport, load_events
from es_recsys.jobs.load_items import load_items
from es_recsys.models.popularity import Popularity
from es_recsys.serving import refresh
from es_recsys.serving.refresh import build_profiles, count_popularity
from es_recsys.serving.snapshot_cache import popularity_folder
from es_recsys.serving.workspace import Workspace
from es_recsys.settings import EncoderSettings, Settings
from es_recsys.types import Event, Item

pytestmark = pytest.mark.engine

NOW = datetime.now(UTC).replace(microsecond=0)
USERS, EACH = 400, 25


@pytest.fixture
def work(settings: Settings, tmp_path: Path) -> Iterator[Workspace]:
    with Workspace(settings.model_copy(update={"encoders": EncoderSettings(text="none", image="none")})) as work:
        items = [Item(item_id=f"i{n}", title=f"item {n}", price=1.0 + n, categories=[f"c{n % 5}"]) for n in range(60)]
        load_items(work, [_lines(tmp_path / "items.jsonl", items)])
        rng = np.random.default_rng(3)
        _load(work, tmp_path, [_event(rng, user, rng.uniform(2, 60)) for user in range(USERS) for _ in range(EACH)])
        yield work


def _event(rng: np.random.Generator, user: int, days: float, item: int | None = None) -> Event:
    return Event(
        event_type=str(rng.choice(["view", "cart", "purchase", "dislike"])),
        user_id=f"u{user}",
        item_id=f"i{rng.integers(60) if item is None else item}",
        timestamp=NOW - timedelta(days=float(days)),
    )


def _lines(path: Path, models: list[Any]) -> Path:
    path.write_text("".join(model.model_dump_json(exclude_none=True) + "\n" for model in models))
    return path


def _load(work: Workspace, folder: Path, events: list[Event]) -> EventsReport:
    return load_events(work, [_lines(folder / "events.jsonl", events)])


def _profiles(work: Workspace) -> dict[str, Any]:
    index = work.snapshots.latest().metadata.profiles
    return {hit["_id"]: {**hit["_source"], "updated_at": None} for hits in scan(work.es, index) for hit in hits}


def _near(found: Any, expected: Any, path: str = "") -> None:
    """Equal, floats within rounding."""
    if isinstance(expected, dict):
        assert found.keys() == expected.keys(), path
        for name, value in expected.items():
            _near(found[name], value, f"{path}.{name}")
    elif isinstance(expected, list):
        assert len(found) == len(expected), path
        for number, value in enumerate(expected):
            _near(found[number], value, f"{path}[{number}]")
    elif isinstance(expected, float):
        assert found == pytest.approx(expected, rel=1e-9, abs=1e-9), path
    else:
        assert found == expected, path


class _Watched:
    """What is read of the events: statements, and whose rows."""

    def __init__(self, work: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
        self.statements: list[str] = []
        self.rows = 0
        self.actors: set[str] = set()
        real_frame, real_rows = event_frame.read_event_frame, EventReader.rows_of

        def watched_frame(*arguments: Any, **named: Any) -> EventFrame:
            frame = real_frame(*arguments, **named)
            self.rows += len(frame.rows)
            self.actors.update(frame.actors)
            return frame

        def watched_rows(reader: EventReader, actors: Any, after: int) -> dict[str, list[Any]]:
            found = real_rows(reader, actors, after)
            self.rows += sum(map(len, found.values()))
            self.actors.update(found)
            return found

        monkeypatch.setattr(cleaning, "read_event_frame", watched_frame)
        monkeypatch.setattr(EventReader, "rows_of", watched_rows)

        @sa.event.listens_for(work.events.database.engine, "connect")
        def trace(connection: Any, _record: Any) -> None:
            connection.set_trace_callback(self.statements.append)

        work.events.database.engine.dispose()

    def searched(self, work: Workspace) -> list[str]:
        """How SQLite goes about each SELECT of events: one line for each table or index that it looks into."""
        plans = []
        with work.events.database.reading() as connection:
            for statement in dict.fromkeys(self.statements):
                if re.match(r"SELECT\b", statement) and "es_recsys_event" in statement:
                    plans += [str(line[3]) for line in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}")]
        return [plan for plan in plans if "es_recsys_event" in plan]


def test_a_small_load_reads_the_events_of_its_users_alone(
    work: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(4)
    watched = _Watched(work, monkeypatch)
    for name in ("scan_ids", "load_interactions"):  # the whole catalogue, all events
        monkeypatch.setattr(refresh, name, None)
    new = [_event(rng, user, rng.uniform(0, 1)) for user in (3, 17, 200, USERS) for _ in range(5)]
    report = _load(work, tmp_path, new)
    assert report.loaded.added == 20
    assert (report.cleaning.events, report.cleaning.actors) == (USERS * EACH + 20, USERS + 1)
    assert watched.actors == {"u:u3", "u:u17", "u:u200", f"u:u{USERS}"}
    assert watched.rows <= 2 * (3 * EACH + 20)  # once for cleaning, once for profiles
    plans = watched.searched(work)
    assert plans
    # Each goes by an actor, a row number or a digest, none through the whole store.
    assert [plan for plan in plans if not re.search(r"SEARCH .*\(store=\? AND \w+[=>]", plan)] == []


def test_small_loads_end_where_counting_everybody_does(work: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(5)
    found: list[bool] = []
    real = cleaning.clean_changed

    def watched(*arguments: Any) -> Any:
        result = real(*arguments)
        found.append(result is not None)
        return result

    monkeypatch.setattr(cleaning, "clean_changed", watched)
    for turn in range(4):
        events = [
            _event(rng, user, rng.uniform(0, 1), 70 if turn == 2 else None) for user in (turn, 50, USERS + turn) for _ in range(4)
        ]
        events += [event.model_copy(update={"timestamp": event.timestamp - timedelta(seconds=1)}) for event in events[:2]]
        _load(work, tmp_path, events)
    # Where an item was unknown for the first time, the catalogue was looked through for one that is like it.
    assert found == [True, True, False, True]
    profiles, popularity = _profiles(work), Popularity.load(popularity_folder(work.settings))
    build_profiles(work)
    work.events.update_progress(cleaning=None, popularity=None)
    again = cleaning.clean(work.events, {f"i{n}" for n in range(60)}, work.now())
    assert (again.report.flagged, again.report.lifted) == (0, 0)
    _near(profiles, _profiles(work))
    count_popularity(work)
    whole = Popularity.load(popularity_folder(work.settings))
    assert list(popularity.item_ids) == list(whole.item_ids)
    np.testing.assert_allclose(popularity._arrays["sums"], whole._arrays["sums"], rtol=1e-9)


def test_a_load_after_an_erasure_looks_at_everybody(work: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    work.events.erase("u3", work.now())
    rng = np.random.default_rng(6)
    watched = _Watched(work, monkeypatch)
    report = _load(work, tmp_path, [_event(rng, 5, 0.5)])
    assert (report.cleaning.events, report.cleaning.actors) == ((USERS - 1) * EACH + 1, USERS - 1)
    assert len(watched.actors) == USERS - 1
    assert "u3" not in str(work.events.progress)
