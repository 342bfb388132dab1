"""What every event store must do, on each kind of database that is promised: SQLite and a real PostgreSQL."""

from __future__ import annotations

import hashlib
import io
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.script import ScriptDirectory

from es_recsys.errors import InputError, KeyMismatch, SetupError
from es_recsys.events import database
from es_recsys.events import store as events_store
from es_recsys.events.migrate import configuration
from es_recsys.events.schema import HEAD, METADATA, VERSION_TABLE
from es_recsys.events.store import EventStore
from es_recsys.keys import key_check, user_key
from es_recsys.ratings import RatingScale
from es_recsys.types import Event

NOW = 1_790_000_000.0
SECRET = b"a secret of the tests"


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of its own for each test."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'events.sqlite3'}"
    server: str = request.getfixturevalue("postgresql")
    engine = sa.create_engine(server)
    with engine.begin() as connection:
        METADATA.drop_all(connection)
        connection.execute(sa.text(f"DROP TABLE IF EXISTS {VERSION_TABLE}"))
    engine.dispose()
    return server


@pytest.fixture
def store(url: str) -> Iterator[EventStore]:
    with EventStore(url, "shop", SECRET) as store:
        yield store


def view(item: str, user: str | None = "u1", ago: float = 0.0, **more: object) -> Event:
    return Event(event_type="view", user_id=user, item_id=item, timestamp=NOW - ago, **more)


def test_append_tells_new_from_known(store: EventStore) -> None:
    first = store.append([view("a", ago=2), view("b", ago=1)], NOW)
    again = store.append([view("b", ago=1), view("c"), view("c"), view("a", ago=2)], NOW + 9)
    assert [(row.item_id, row.timestamp) for row in first.rows] == [("a", NOW - 2), ("b", NOW - 1)]
    assert [row.item_id for row in again.rows] == ["c"]
    assert (first.duplicates, again.duplicates) == (0, 3)
    assert again.rows[0].row > first.rows[1].row > first.rows[0].row
    assert store.rows("u1") == [*first.rows, *again.rows]
    assert store.last_row == again.rows[0].row
    assert store.count() == 3


def test_every_field_survives(store: EventStore) -> None:
    event = Event(
        event_type="rating",
        user_id="üser 'x'",
        session_id="s",
        item_id="i%s?",
        query="rote\x00 Schuhe".replace("\x00", ""),
        value=4.5,
        event_id="e1",
        position=7,
        query_id="q",
        recommendation_id="r",
        timestamp=NOW - 0.123456,
    )
    [row] = store.append([event], NOW).rows
    for name, value in event:
        if name not in ("timestamp", "order"):
            assert getattr(row, name) == value, name
    assert row.timestamp == pytest.approx(NOW - 0.123456, abs=1e-6)
    assert (row.order, row.received_at, row.quarantine) == (None, NOW, None)
    assert store.rows("üser 'x'") == [row] == list(store.scan())


def test_event_id_decides_alone(store: EventStore) -> None:
    store.append([view("a", event_id="e1")], NOW)
    assert store.append([view("other", event_id="e1", ago=50)], NOW).duplicates == 1
    assert len(store.append([view("a", event_id="e2")], NOW).rows) == 1


def test_an_event_id_is_one_event_of_whoever_did_it(store: EventStore) -> None:
    ids = {"user": "u1", "session_id": "s1"}, {"user": "u2", "session_id": "s1"}, {"user": None, "session_id": "u1"}
    events = [view("a", event_id="1", **who) for who in ids]
    assert len(store.append(events, NOW).rows) == 3
    assert store.append([view("b", event_id="1", session_id="s2"), *events], NOW).duplicates == 4


def test_without_a_time_the_receipt_counts(store: EventStore) -> None:
    event = Event(event_type="view", user_id="u1", item_id="a")
    assert len(store.append([event], NOW).rows) == 1
    assert [row.timestamp for row in store.append([event], NOW + 60).rows] == [NOW + 60]
    assert store.append([event], NOW + 60).duplicates == 1


def test_who_searched(store: EventStore) -> None:
    searches = [Event(event_type="search", user_id=user, query="shoe") for user in ("u2", "u1", "u2", "u3")]
    rows = store.append([view("a", user="u4"), *searches], NOW).rows
    store.set_quarantine({rows[-1].row: "double"})
    assert store.actors_with("search") == ["u:u1", "u:u2"]
    assert store.actors_with("purchase") == []


def test_what_has_changed_since_a_position(store: EventStore) -> None:
    start = store.log_position()
    rows = store.append([view("a"), view("b", user="u2"), view("c", user="u3")], NOW).rows
    then = store.log_position()
    assert (start.row, then.row) == (0, rows[-1].row)
    assert (list(store.actors()), store.actors_after(rows[0].row)) == (["u:u1", "u:u2", "u:u3"], ["u:u2", "u:u3"])
    assert store.changed_keys(then.change) == set()
    store.set_quarantine({rows[0].row: "double"})
    store.erase("u2", NOW)
    assert store.log_position().change == then.change + 2
    assert store.changed_keys(then.change) == {user_key("u1", SECRET), user_key("u2", SECRET)}
    assert store.changed_keys(then.change + 1) == {user_key("u2", SECRET)}
    store.read_dwell_in_ms(True)
    assert store.log_position().revision == then.revision + 1


def test_reading_many_actors_is_reading_each(store: EventStore) -> None:
    events = [view(str(i), user=f"u{i % 5}", ago=i) for i in range(40)]
    rows = store.append([*events, view("x", user=None, session_id="u1")], NOW).rows
    store.set_quarantine({rows[3].row: "double"})
    store.update_settings(affects_profiles=True, bots="off")
    actors = ["s:u1", "u:nobody", "u:u1", "u:u3"]
    assert store.rows_of(actors, rows[9].row) == {
        "s:u1": store.rows(session_id="u1"),
        "u:u1": store.rows("u1", after=rows[9].row),
        "u:u3": store.rows("u3", after=rows[9].row),
    }
    assert store.rows_of([]) == {}
    assert store.last_rows(actors) == {actor: some[-1].row for actor, some in store.rows_of(actors).items()}
    assert store.revisions(actors) == {"s:u1": 1, "u:nobody": 1, "u:u1": 1, "u:u3": 2}


def test_an_event_on_an_unknown_item_is_set_aside_without_a_new_revision(store: EventStore) -> None:
    rows = store.append([view("a"), view("b"), view("c")], NOW).rows
    store.set_quarantine({rows[1].row: "bot_day_rate"})
    before = store.log_position()
    store.quarantine_unknown_items([row.row for row in rows[:2]])
    assert [row.quarantine for row in store.rows("u1")] == ["unknown_item", "bot_day_rate", None]
    assert store.log_position() == before
    assert store.item_ids(["view"]) == ["a", "c"]


def test_what_a_profile_lacks_comes_with_what_it_is_folded_by(store: EventStore) -> None:
    assert store.unfolded("u1") == (0, True, [])
    rated = view("d").model_copy(update={"event_type": "rating", "value": 4.0})
    rows = store.append([view("a"), view("b", user="u2"), view("c"), rated], NOW).rows
    assert store.unfolded("u1", after=rows[0].row) == (0, True, store.rows("u1", after=rows[0].row))
    store.set_quarantine({rows[0].row: "double"})
    store.update_settings(affects_profiles=True, rating_scale=RatingScale(0.0, 10.0).to_setting())
    found = store.unfolded("u1")
    assert found == (store.revision("u1"), True, store.rows("u1"))
    assert (found.revision, found.rows[0].quarantine, found.rows[-1].value) == (2, "double", pytest.approx(2.6))
    assert store.unfolded(session_id="u1") == (1, True, [])


def test_progress_is_kept_by_name(store: EventStore) -> None:
    store.update_progress(cleaned=4, counted=2)
    store.update_progress(cleaned=None, loaded=7)
    assert store.progress == {"counted": 2, "loaded": 7}


def test_another_secret_is_refused(url: str) -> None:
    with EventStore(url, "shop", SECRET) as store, EventStore(url, "shop", b"wrong-one") as early:
        assert not store.key_known
        store.append([view("a")], NOW)
        assert store.key_known
        for write in (
            lambda: early.append([view("b")], NOW),
            lambda: early.load([view("b")], NOW),
            lambda: early.erase("u1"),
            early.adopt_key,
        ):
            with pytest.raises(KeyMismatch):
                write()
        with pytest.raises(KeyMismatch) as caught:
            EventStore(url, "shop", b"wrong-one")
        assert "wrong-one" not in str(caught.value) and SECRET.decode() not in str(caught.value)
        assert store.count() == 1
        assert key_check(SECRET) not in str(caught.value)
    with EventStore(url, "shop2", b"wrong-one") as other:
        other.append([view("a")], NOW)
    with EventStore(url, "shop", SECRET) as again:
        assert again.append([view("a")], NOW).duplicates == 1


def test_a_store_of_the_first_version_keeps_its_secret_open_until_it_is_adopted(url: str) -> None:
    _of_the_first_version(url)
    with EventStore(url, "shop", SECRET) as store:
        store.append([view("b")], NOW)
        assert not store.key_known, "whether it is the right one can't be told from the events"
        store.adopt_key()
        assert store.key_known
    with pytest.raises(KeyMismatch):
        EventStore(url, "shop", b"wrong-one")


def test_times_are_settled_once(store: EventStore) -> None:
    ahead, close, ancient = view("a", ago=-301), view("b", ago=-299), view("c", ago=NOW - 10)
    done = store.append([ahead, close, ancient], NOW)
    assert [row.timestamp for row in done.rows] == [NOW, NOW + 299, 10.0]
    assert [row.quarantine for row in done.rows] == [None, None, "impossible_time"]
    assert done.clamped == 1
    assert store.append([ahead], NOW + 1_000).duplicates == 1
    assert store.rows("u1")[0].timestamp == NOW


def test_values_out_of_range_are_set_aside(store: EventStore) -> None:
    events = [
        Event(event_type=kind, user_id="u1", item_id="a", value=value, timestamp=NOW)
        for kind, value in [("rating", 0.5), ("rating", 5.5), ("rating", 1.0), ("purchase", -1), ("dwell", -3), ("dwell", 3)]
    ]
    reasons = [row.quarantine for row in store.append(events, NOW).rows]
    assert reasons == ["rating_out_of_range", "rating_out_of_range", None, "negative_quantity", "negative_dwell", None]
    assert store.load(events, NOW).duplicates == 6


def test_load_streams_in_batches(store: EventStore) -> None:
    events = [view(str(i % 700), user=f"u{i % 13}", ago=i // 2) for i in range(25_000)]
    first = store.load(iter(events), NOW)
    assert first.added == store.count() == len({(e.user_id, e.item_id, e.timestamp) for e in events})
    assert first.added + first.duplicates == 25_000
    assert store.load(events, NOW + 5).added == 0


@pytest.mark.parametrize(("most_values", "n", "step"), [(999, 345, 1), (32_766, 2_345, 67)])
def test_many_rows_are_written_as_one_by_one(
    store: EventStore, url: str, most_values: int, n: int, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More than a statement has, new ones and known ones in the same."""
    monkeypatch.setattr(database, "_most_values", lambda _: most_values)
    events = [
        view(f"i{k % 50}", f"u{k % 900}", ago=k % 1_800, session_id=None if k % 3 else f"s{k % 40}", position=k % 7 or None)
        for k in [*range(n - 45), *range(45)]
    ]
    events[n // 2] = Event(event_type="search", session_id="s1", query="a; 'b' \u00e9", timestamp=NOW)
    found = store.load(events, NOW)
    with EventStore(url, "other", SECRET) as other:
        for start in range(0, n, step):
            other.append(events[start : start + step], NOW)
        one_by_one = [row._replace(row=0) for row in other.scan()]
    assert [row._replace(row=0) for row in store.scan()] == one_by_one
    assert (found.added, found.duplicates) == (len(one_by_one), n - len(one_by_one))
    assert found.duplicates > 0 and store.load(events, NOW).duplicates == n


def test_a_load_ends_at_the_batch_that_fails(store: EventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events_store, "_BATCH", 10)
    events = [view(f"i{n}") for n in range(35)]
    events[25] = Event.model_construct(event_type="view", user_id="u1", item_id="b\x00c")
    with pytest.raises(InputError, match="item_id holds a NUL"):
        store.load(events, NOW)
    assert [row.item_id for row in store.scan()] == [f"i{n}" for n in range(20)]
    events[25] = view("i25")
    assert store.load(events, NOW).added == 15
    assert [row.item_id for row in store.scan()] == [f"i{n}" for n in range(35)]


def test_no_batch_is_written_after_one_that_could_not_be(store: EventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events_store, "_BATCH", 10)
    insert, calls = store._writer._insert, list[int]()

    def failing(connection: sa.Connection, columns: Sequence[Sequence[Any]]) -> int:
        calls.append(len(columns[0]))
        if len(calls) == 2:
            raise SetupError("The disk is full.")
        return insert(connection, columns)

    monkeypatch.setattr(store._writer, "_insert", failing)
    with pytest.raises(SetupError, match="disk is full"):
        store.load([view(f"i{n}") for n in range(50)], NOW)
    assert calls == [10, 10]
    assert [row.item_id for row in store.scan()] == [f"i{n}" for n in range(10)]


def test_an_actor_is_a_user_or_an_anonymous_session(store: EventStore) -> None:
    anonymous = view("a", user=None, session_id="s1")
    store.append([anonymous, view("b", session_id="s1"), view("c", user="s1")], NOW)
    assert [row.item_id for row in store.rows(session_id="s1")] == ["a"]
    assert [row.item_id for row in store.rows("u1")] == ["b"]
    assert [row.item_id for row in store.rows("s1")] == ["c"]
    assert (sorted(store.users()), list(store.sessions())) == (["s1", "u1"], ["s1"])
    with pytest.raises(InputError):
        store.rows()


def test_reading_on_from_a_row(store: EventStore) -> None:
    rows = store.append([view(str(i), ago=i) for i in range(10)], NOW).rows
    assert store.rows("u1", after=rows[3].row) == rows[4:]
    assert store.rows("u1", after=rows[3].row, limit=2) == rows[4:6]
    assert list(store.scan(after=rows[8].row)) == rows[9:]


def test_scanning_by_actor(store: EventStore) -> None:
    events = [view(str(i), user=f"u{i % 3}", ago=i) for i in range(9)]
    rows = store.append([*events, view("x", user=None, session_id="Z")], NOW).rows
    grouped = dict(store.by_actor())
    assert list(store.scan()) == rows
    assert {actor: [row.item_id for row in some] for actor, some in grouped.items()} == {
        "u:u0": ["0", "3", "6"],
        "u:u1": ["1", "4", "7"],
        "u:u2": ["2", "5", "8"],
        "s:Z": ["x"],
    }


def test_source_without_time(store: EventStore) -> None:
    def bought(item: str, order: int | None) -> Event:
        return Event(event_type="purchase", user_id="u1", item_id=item, order=order)

    assert len(store.append([bought("a", 0), bought("b", 1), bought("a", 2)], NOW).rows) == 3
    assert store.append([bought("a", 0), bought("a", 2)], NOW).duplicates == 2
    live = store.append([bought("c", None), view("d")], NOW + 5).rows
    assert [(row.order, row.timestamp) for row in live] == [(3, NOW + 5), (4, NOW)]
    assert [row.timestamp for row in store.rows("u1")[:3]] == [None] * 3
    assert [row.time for row in store.rows("u1")] == [0, 1, 2, 3, 4]
    assert store.timed is False


def test_orders_that_begin_again_are_counted(store: EventStore) -> None:
    def lines(items: str, user: str = "u1") -> list[Event]:
        return [Event(event_type="view", user_id=user, item_id=item, order=order) for order, item in enumerate(items)]

    assert store.load(lines("abc"), NOW).reordered == 0
    # The same file, one that has grown, and one of other users go on from what is there.
    for same in (lines("abc"), lines("abcde"), lines("xyz", "u2")):
        assert store.load(same, NOW).reordered == 0
    assert store.append([Event(event_type="view", user_id="u1", item_id="live")], NOW).rows[0].order == 5
    other = store.load([*lines("klmnopqr"), *lines("xy", "u3"), *lines("xyw", "u2")], NOW)
    assert (other.added, other.duplicates, other.reordered) == (11, 2, 7)
    assert store.load(lines("klmnopqr"), NOW).reordered == 0


def test_times_and_orders_do_not_mix(store: EventStore) -> None:
    store.append([view("a")], NOW)
    with pytest.raises(InputError, match="order only"):
        store.append([view("b"), Event(event_type="view", user_id="u1", item_id="c", order=0)], NOW)
    assert store.timed is True
    assert store.count() == 1


def test_stores_live_side_by_side(url: str) -> None:
    with EventStore(url, "shop", SECRET) as one, EventStore(url, "shop2", SECRET) as two:
        one.append([view("a"), view("b")], NOW)
        assert len(two.append([view("a")], NOW).rows) == 1
        two.erase("u1", NOW)
        assert (one.count(), two.count()) == (2, 0)
        assert (one.revision("u1"), two.revision("u1")) == (0, 1)
        assert (one.last_row, list(two.users())) == (2, [])


def test_flags_are_set_lifted_and_seen(store: EventStore) -> None:
    rows = store.append([view("a"), view("b"), view("c", user="u2")], NOW).rows
    store.set_quarantine({rows[0].row: "double", rows[1].row: "bot_day_rate"})
    assert [row.quarantine for row in store.rows("u1")] == ["double", "bot_day_rate"]
    assert (store.revision("u1"), store.revision("u2")) == (1, 0)
    store.set_quarantine({rows[0].row: None})
    assert [row.quarantine for row in store.rows("u1")] == [None, "bot_day_rate"]
    assert store.revision("u1") == 2


def test_dwell_in_milliseconds_is_read_in_seconds(store: EventStore) -> None:
    dwell = Event(event_type="dwell", user_id="u1", item_id="a", value=12_500, timestamp=NOW)
    store.append([dwell, Event(event_type="purchase", user_id="u1", item_id="a", value=2, timestamp=NOW)], NOW)
    store.read_dwell_in_ms(True)
    assert [row.value for row in store.rows("u1")] == [12.5, 2.0]
    assert store.append([dwell], NOW).duplicates == 1
    later = store.append([dwell.model_copy(update={"item_id": "b"})], NOW).rows
    assert later == store.rows("u1", after=2)
    assert (later[0].value, store.revision("u1")) == (12.5, 1)


def test_erasing_leaves_a_tombstone(store: EventStore) -> None:
    old = [view("a", ago=9), view("b", ago=8, session_id="s1"), view("c", user=None, ago=7, session_id="s1")]
    other = [view("d", user="u2", ago=6, session_id="s1"), view("e", user=None, ago=5, session_id="s2")]
    store.append([*old, *other], NOW)
    assert store.erase("u1", NOW) == 3
    assert {row.item_id for row in store.scan()} == {"d", "e"}
    replayed = store.append([*old, *other, view("f", ago=-1)], NOW + 2)
    assert (replayed.refused, replayed.duplicates) == (3, 2)
    assert [row.item_id for row in replayed.rows] == ["f"]
    assert store.revision("u1") == store.revision(session_id="s1") == 1
    assert store.revision("u2") == 0


def test_nothing_of_an_erased_user_is_left_but_a_key(store: EventStore) -> None:
    user = "somebody@example.org"
    store.append([view("a", user=user)], NOW)
    store.set_quarantine({1: "double"})
    store.erase(user, NOW)
    with store.database.reading() as connection:
        everything = [row for table in METADATA.sorted_tables for row in connection.execute(sa.select(table))]
    assert user not in repr(everything)
    assert user_key(user, SECRET) in repr(everything)
    path = store.database.engine.url.database if store.database.kind == "sqlite" else None
    for file in Path(path).parent.iterdir() if path else ():
        assert user.encode() not in file.read_bytes(), file.name


def test_erasing_without_time_refuses_what_has_an_order(store: EventStore) -> None:
    events = [Event(event_type="view", user_id="u1", item_id=str(i), order=i) for i in range(3)]
    store.append(events, NOW)
    assert store.erase("u1", NOW) == 3
    assert store.load(events, NOW + 5).refused == 3
    assert [row.order for row in store.append([view("x", ago=-9)], NOW + 9).rows] == [0]


def test_a_bad_event_stores_nothing(store: EventStore) -> None:
    with pytest.raises(InputError, match="item_id holds a NUL"):
        store.append([view("a"), Event.model_construct(event_type="view", user_id="u1", item_id="b\x00c")], NOW)
    with pytest.raises(InputError, match="too large"):
        store.append([view("a"), Event.model_construct(event_type="view", user_id="u1", item_id="b", position=2**63)], NOW)
    assert store.count() == 0
    assert store.append([], NOW).rows == []
    assert len(store.append([view("\\u0000")], NOW).rows) == 1


def test_rows_become_visible_in_their_order(url: str) -> None:
    """Two writers and a reader that never looks back: it must meet every row."""
    stores = [EventStore(url, "shop", SECRET) for _ in range(3)]
    failures: list[BaseException] = []

    def write(number: int) -> None:
        try:
            for batch in range(25):
                mine = [view(f"{number}-{batch}-{i}", ago=i) for i in range(7)]
                shared = [view(f"both-{batch}-{i}", ago=i) for i in range(3)]
                stores[number].append([*mine, *shared], NOW)
        except BaseException as error:
            failures.append(error)

    writers = [threading.Thread(target=write, args=(number,)) for number in range(2)]
    for writer in writers:
        writer.start()
    seen: list[int] = []
    while any(writer.is_alive() for writer in writers):
        seen += [row.row for row in stores[2].rows("u1", after=seen[-1] if seen else 0)]
    seen += [row.row for row in stores[2].rows("u1", after=seen[-1] if seen else 0)]
    assert not failures
    assert seen == [row.row for row in stores[2].scan()]
    assert len(seen) == 2 * 25 * 7 + 25 * 3
    for store in stores:
        store.close()


_VISIT = """
import sys
from es_recsys.events.store import EventStore
from es_recsys.types import Event
url, number, now = sys.argv[1], sys.argv[2], float(sys.argv[3])
with EventStore(url, "shop", b"a secret of the tests") as store:
    events = [Event(event_type="view", user_id="u1", item_id=f"{number}-{i}", timestamp=now - i) for i in range(50)]
    store.append(events, now)
"""


def test_two_processes_may_come_first(url: str) -> None:
    commands = [[sys.executable, "-c", _VISIT, url, str(number), str(NOW)] for number in range(2)]
    visitors = [subprocess.Popen(command, stderr=subprocess.PIPE) for command in commands]
    errors = [visitor.communicate(timeout=250)[1].decode() for visitor in visitors]
    assert [visitor.returncode for visitor in visitors] == [0, 0], errors
    with EventStore(url, "shop", SECRET) as store:
        assert store.count() == 100


def test_migrations_make_the_tables_that_the_code_uses(store: EventStore) -> None:
    with store.database.reading() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE, "compare_type": True})
        assert compare_metadata(context, METADATA) == []
        assert context.get_current_revision() == HEAD == ScriptDirectory.from_config(configuration()).get_current_head()


def _of_the_first_version(url: str) -> None:
    """Tables as the first version made them, with a store of one event."""
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        config = configuration()
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        columns = "store, row_no, digest, subject, event_type, time, received_at, item_id, event_id, clamped"
        digest = hashlib.blake2b(b"event_id\x00e1", digest_size=16).digest()
        connection.execute(
            sa.text(
                f"INSERT INTO es_recsys_event ({columns}) VALUES ('shop', 1, :digest, 'u:u1', 'view', 5e8, 5e8, 'a', 'e1', :no)"
            ),
            {"digest": digest, "no": False},
        )
        connection.execute(sa.text("INSERT INTO es_recsys_store VALUES ('shop', 1, :yes, :no, 3)"), {"yes": True, "no": False})
        connection.execute(sa.text("INSERT INTO es_recsys_subject VALUES ('shop', 'k', 2, NULL)"))
    engine.dispose()


def test_a_database_of_the_first_version_is_migrated_when_it_is_opened(url: str) -> None:
    _of_the_first_version(url)
    with EventStore(url, "shop", SECRET) as store:
        test_migrations_make_the_tables_that_the_code_uses(store)
        assert [(row.item_id, row.event_id) for row in store.scan()] == [("a", "e1")]
        assert (store.last_row, store.timed, store.revision("u1"), store.settings) == (1, True, 3, {})
        assert [row.item_id for row in store.append([view("b")], NOW).rows] == ["b"]
        again = [view("a", event_id="e1"), view("a", user="u2", event_id="e1"), view("a", user="u2", event_id="e1")]
        assert [row.user_id for row in store.append(again, NOW).rows] == ["u2"], "an id that another user's event had"
        assert store.load([*again, view("c", event_id="e2")], NOW).added == 1


def test_the_migration_is_one_that_mysql_can_run() -> None:
    """As statements, since there is no MySQL to test with; a TEXT column must have no default there."""
    statements = io.StringIO()
    context = MigrationContext.configure(dialect_name="mysql", opts={"as_sql": True, "output_buffer": statements})
    with Operations.context(context):
        for script in reversed(list(ScriptDirectory.from_config(configuration()).walk_revisions())):
            script.module.upgrade()
    added = [line for line in statements.getvalue().splitlines() if line.startswith("ALTER TABLE")]
    assert "ALTER TABLE es_recsys_store ADD COLUMN settings TEXT;" in added
    assert "ALTER TABLE es_recsys_subject ADD COLUMN changed BIGINT NOT NULL DEFAULT 0;" in added


def test_settings_of_a_store_are_its_own(url: str) -> None:
    with EventStore(url, "shop", SECRET) as one, EventStore(url, "shop2", SECRET) as two:
        one.update_settings(bots="off", scale=[0, 10])
        one.update_settings(scale=None, actions={"wish": "like"})
        assert one.settings == {"bots": "off", "actions": {"wish": "like"}}
        assert (two.settings, one.revision("u1")) == ({}, 0)
        one.update_settings(affects_profiles=True, bots="on")
        assert (one.revision("u1"), two.revision("u1")) == (1, 0)
        with EventStore(url, "shop", SECRET) as again:
            assert again.settings == {"bots": "on", "actions": {"wish": "like"}}


def test_settings_changed_by_many_at_once_are_all_kept(url: str) -> None:
    stores = [EventStore(url, "shop", SECRET) for _ in range(4)]
    threads = [threading.Thread(target=store.update_settings, kwargs={f"s{n}": n}) for n, store in enumerate(stores)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert stores[0].settings == {"s0": 0, "s1": 1, "s2": 2, "s3": 3}
    for store in stores:
        store.close()


def test_tables_of_a_newer_version_are_refused(url: str) -> None:
    with EventStore(url, "shop", SECRET) as store, store.database.writing() as connection:
        connection.execute(sa.text(f"UPDATE {VERSION_TABLE} SET version_num = '9999'"))
    with pytest.raises(SetupError, match="9999"):
        EventStore(url, "shop", SECRET)
