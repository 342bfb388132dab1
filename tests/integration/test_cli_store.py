"""The commands that load, change, train and drop a store, as a person types them, on a real engine."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from command_line import Run, ids_of, lines_of, things
from elasticsearch import Elasticsearch

from es_recsys.settings import Settings

pytestmark = pytest.mark.engine

# The state of a store


def test_a_training_shows_on_a_terminal_how_far_it_is(
    empty: Settings, run: Run, write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    run("items", "load", write("items.jsonl", things(*range(8))))
    seen = [{"event_type": "view", "user_id": f"u{n % 5}", "item_id": f"i{n % 8}", "timestamp": 1.7e9 + n} for n in range(40)]
    run("events", "load", write("events.jsonl", seen))
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    done = run("train", "--json")
    assert done.json["version"] == 2
    chosen = done.json["chosen"]
    assert len(chosen) > 1 and all(line in done.err for line in chosen)
    assert "als, final" in done.err and "100%" in done.err

    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    done = run("train")
    assert all(done.err.count(line) == 1 and line not in done.out for line in chosen[:1])
    assert "Version 3 is live" in done.out and "Version 3" not in done.err


def test_doctor_on_a_server_that_is_not_there(empty: Settings, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ES_RECSYS_URL", "http://127.0.0.1:9")
    assert "FAIL" in run("doctor", code=3).out


def test_versions_are_listed_swapped_and_dropped(empty: Settings, run: Run, write: Callable[..., Path]) -> None:
    run("items", "load", write("items.jsonl", things(*range(12))))
    day = datetime.now(UTC).timestamp() - 86_400
    events = [
        {"user_id": f"u{user}", "item_id": f"i{(user + n) % 12}", "event_type": "view", "timestamp": day + 3_000 * user + 60 * n}
        for user in range(12)
        for n in range(5)
    ]
    run("events", "load", write("events.jsonl", events))
    run("train", "covisitation")
    listed = run("index", "list", "--json").json
    assert [(version["version"], version["live"]) for version in listed] == [(1, False), (2, True)]
    assert listed[1]["models"] == ["covisitation"]
    assert all(version["documents"] == 12 for version in listed)
    assert "live" in run("index", "list").out
    assert "Version 1" in run("index", "swap").out
    assert "Version 2" in run("index", "swap", 2).out
    assert "live" in run("index", "drop", 2, "--yes", code=4).err
    run("index", "drop", 7, "--yes", code=4)
    run("index", "drop", "--yes", code=2)
    run("index", "drop", 1, "--yes")
    assert [version["version"] for version in run("index", "list", "--json").json] == [2]
    run("index", "drop", "--store", "--yes")
    assert run("index", "list", "--json").json == []
    run("search", "thing", code=4)
    # The events are the truth and stay; the items bring everything back.
    run("items", "load", write("items.jsonl", things(*range(12))))
    assert run("profiles", "build", "--json").json["written"] == 12
    assert run("profile", "show", "u1", "--json").json["counts"] == {"view": 5}
    assert run("train", "covisitation", "--json").json["models"] == ["covisitation"]


def test_erase(empty: Settings, run: Run, write: Callable[..., Path]) -> None:
    run("items", "load", write("items.jsonl", things(1, 2)))
    event = {"user_id": "anna", "item_id": "i1", "event_type": "view", "timestamp": "2026-01-01T10:00:00Z"}
    file = write("events.jsonl", [event])
    run("events", "load", file)
    run("recommend", "--user", "anna")
    assert "1 event, 1 profile, 1 logged answer." in run("erase", "anna", "--yes").out
    assert "1 refused" in run("events", "load", file).out
    assert run("profile", "show", "anna", "--json").json["counts"] == {}


# Items


def test_items_load_again_changes_what_changed(empty: Settings, run: Run, write: Callable[..., Path]) -> None:
    assert run("items", "load", write("a.jsonl", things(1, 2, 3)), "--json").json["added"] == 3
    changed = [*things(1, 2), {"item_id": "i3", "title": "other"}, *things(4)]
    report = run("items", "load", write("b.jsonl", changed), "--json").json
    assert (report["added"], report["changed"], report["unchanged"]) == (1, 1, 2)
    assert ids_of(run("search", "other", "--json").json) == ["i3"]


def test_items_sync_makes_the_file_the_whole_truth(empty: Settings, run: Run, write: Callable[..., Path]) -> None:
    run("items", "load", write("a.jsonl", things(1, 2, 3)))
    report = run("items", "sync", write("b.jsonl", [*things(2, 5), {"item_id": "i3", "title": "other"}]), "--json").json
    counts = {name: report[name] for name in ("added", "changed", "unchanged", "removed")}
    assert counts == {"added": 1, "changed": 1, "unchanged": 1, "removed": 1}
    assert sorted(ids_of(run("recommend", "--json").json)) == ["i2", "i3", "i5"]


def test_items_delete_by_id_and_by_file(empty: Settings, run: Run, write: Callable[..., Path]) -> None:
    run("items", "load", write("a.jsonl", things(1, 2, 3, 4)))
    report = run("items", "delete", "i1", "never-there", "--json").json
    assert (report["removed"], report["notes"]) == (1, ["1 id is that of no item in the store: nothing to remove."])
    assert run("items", "delete", "--file", write("b.jsonl", things(2, 3)), "--json").json["removed"] == 2
    assert ids_of(run("recommend", "--json").json) == ["i4"]
    run("items", "delete", code=2)


def test_csv_with_other_column_names(empty: Settings, run: Run, tmp_path: Path) -> None:
    file = tmp_path / "films.csv"
    file.write_text("movieId;name;year\n17;Alien;1979\n18;Aliens;1986\n")
    report = run("items", "load", file, "--separator", ";", "--columns", "item_id=movieId,title=name", "--json").json
    assert report["added"] == 2
    assert ids_of(run("search", "alien", "--filter", "year:..1980", "--json").json) == ["17"]


def test_a_bad_line_goes_to_the_rejects_and_the_rest_loads(empty: Settings, run: Run, write: Callable[..., Path]) -> None:
    file = write("items.jsonl", [*things(1), {"item_id": "i2", "price": -3}, "{nonsense", *things(3)])
    report = run("items", "load", file, "--json").json
    assert (report["added"], report["rejected"]) == (3, 1)
    assert [(each["field"], each["reason"], each["count"]) for each in report["fields"]] == [("price", "is less than 0", 1)]
    rejected = lines_of(file.with_name("items.jsonl.rejected.jsonl"))
    told = sorted((line["line"], line["field"], line.get("kept", False)) for line in rejected)
    assert told == [(2, "price", True), (3, "", False)]
    assert all({"file", "line", "field", "reason"} <= line.keys() for line in rejected)
    said = run("items", "load", file).out
    assert "1 line was rejected" in said
    assert f"1 line is used without its price: it is less than 0 ({file} line 2: -3)" in said


def test_a_load_of_which_nothing_is_left_says_why(empty: Settings, run: Run, write: Callable[..., Path]) -> None:
    items = write("items.jsonl", [{"item_id": None, "title": "no id"}, "{nonsense"])
    said = run("items", "load", items, code=2).err
    assert "2 lines were rejected" in said
    assert "line 1, item_id: is missing" in said
    assert f"{items}.rejected.jsonl" in said
    run("items", "load", write("items.jsonl", things(1)))
    day = {"event_type": "view", "timestamp": "2026-01-01T10:00:00Z", "item_id": "i1"}
    events = write("events.jsonl", [day, {**day, "user_id": "a", "timestamp": "soon"}])
    said = run("events", "load", events, code=2).err
    assert "2 lines were rejected" in said
    assert "line 1, user_id: is missing, and session_id too" in said
    assert f"{events}.rejected.jsonl" in said
    header = write("none.csv", ["user_id,item_id,event_type,timestamp"])
    assert "There is no event in" in run("events", "load", header, code=2).err
    odd = write("odd.jsonl", [{**day, "user_id": "a", "event_type": "zzz"}])
    assert "the action 'zzz' is unknown" in run("events", "load", odd, code=2).err
    assert run("profile", "show", "a", "--json").json["counts"] == {}


def test_too_many_bad_lines_stop_before_anything_is_written(empty: Settings, run: Run, write: Callable[..., Path]) -> None:
    items = write("items.jsonl", [*things(1), {"item_id": "x" * 600}, {"title": "no id"}])
    assert "items.jsonl" in run("items", "load", items, "--max-errors", 1, code=2).err
    run("search", "thing", code=4)
    run("items", "load", items, "--max-errors", 2)
    day = {"event_type": "view", "timestamp": "2026-01-01T10:00:00Z"}
    events = write("events.jsonl", [{"user_id": "a", "item_id": "i1", **day}, {"user_id": "a", "item_id": "i1"}, "[]"])
    run("events", "load", events, "--max-errors", 1, code=2)
    assert run("profile", "show", "a", "--json").json["counts"] == {}
    assert run("events", "load", events, "--max-errors", 2, "--json").json["added"] == 1
    assert run("profile", "show", "a", "--json").json["counts"] == {"view": 1}


# Events


def test_events_again_change_nothing(empty: Settings, run: Run, write: Callable[..., Path]) -> None:
    run("items", "load", write("items.jsonl", things(1, 2)))
    lines = [{"user_id": "a", "item_id": f"i{n}", "timestamp": f"2026-01-0{n}T10:00:00Z"} for n in (1, 2)]
    file = write("events.jsonl", lines)
    assert run("events", "load", file, "--constant", "event_type=view", "--json").json["added"] == 2
    again = run("events", "load", file, "--constant", "event_type=view", "--json").json
    assert (again["added"], again["duplicates"]) == (0, 2)
    assert run("profile", "show", "a", "--json").json["counts"] == {"view": 2}


def test_events_of_unknown_items_are_set_aside_until_the_items_come(
    empty: Settings, run: Run, write: Callable[..., Path]
) -> None:
    run("items", "load", write("items.jsonl", things(1)))
    lines = [{"user_id": "a", "item_id": f"i{n}", "event_type": "view", "timestamp": f"2026-01-0{n}"} for n in (1, 2)]
    report = run("events", "load", write("events.jsonl", lines), "--json").json
    assert report["cleaning"]["kept"] == 1
    assert report["cleaning"]["set_aside"] == {"unknown_item": 1}
    assert ids_of(run("recommend", "--json").json) == ["i1"]
    loaded = run("items", "load", write("more.jsonl", things(2))).out
    assert "1 event counts again, with the items that came" in loaded and "no longer" not in loaded
    popular = run("recommend", "--json").json
    assert sorted(ids_of(popular)) == ["i1", "i2"]
    assert all(hit["parts"]["popularity"] > 0 for hit in popular["hits"])
    assert run("profile", "show", "a", "--json").json["counts"] == {"view": 2}
    deleted = run("items", "delete", "i2").out
    assert "1 event counts no longer, with the items that went" in deleted and "again" not in deleted


def test_events_without_timestamps_in_an_empty_store(empty: Settings, run: Run, tmp_path: Path) -> None:
    """A bare catalogue is made of the ids; training and answers go on it, and the catalogue can come later."""
    file = tmp_path / "events.csv"
    rows = [f"{user},{(user + n) % 15}" for user in range(30) for n in range(6)]
    file.write_text("user,thing\n" + "\n".join(rows) + "\n")
    options = ["--no-timestamps", "--columns", "user_id=user,item_id=thing", "--constant", "event_type=view"]
    done = run("events", "load", file, *options)
    assert "15 items were made of the ids" in done.out
    assert "180 events added" in done.out
    assert run("train", "--json").json["models"]
    hits = ids_of(run("recommend", "--user", "3", "--json").json)
    assert set(hits).isdisjoint({"3", "4", "5", "6", "7", "8"})
    assert len(hits) == 9
    items = tmp_path / "items.jsonl"
    items.write_text("".join(json.dumps({"item_id": n, "title": f"thing {n}"}) + "\n" for n in range(15)))
    assert run("items", "load", items, "--json").json["changed"] == 15
    assert run("search", "thing", "--json").json["total"] == 15


def test_a_second_file_without_timestamps_is_told_of(empty: Settings, run: Run, tmp_path: Path) -> None:
    options = ["--no-timestamps", "--columns", "user_id=user,item_id=thing", "--constant", "event_type=view", "--json"]
    first, second = tmp_path / "january.csv", tmp_path / "february.csv"
    first.write_text("user,thing\na,i1\na,i2\nb,i1\n")
    second.write_text("user,thing\na,i3\nc,i3\n")

    def warned(*files: Path) -> list[str]:
        return [note for note in run("events", "load", *files, *options).json["notes"] if "--no-timestamps" in note]

    assert warned(first) == warned(first) == []
    (note,) = warned(second)
    assert note.startswith("1 event counts as no newer than what") and "all files in one command" in note
    assert warned(second) == []


def test_ubi_events_are_read_as_they_are(empty: Settings, run: Run, write: Callable[..., Path]) -> None:
    run("items", "load", write("items.jsonl", things(1, 2)))
    ubi = {
        "action_name": "click",
        "client_id": "browser-1",
        "user_id": "visitor-1",
        "session_id": "session-1",
        "query_id": "q-1",
        "timestamp": "2026-01-01T10:00:00.000Z",
        "message_type": "CLICK_THROUGH",
        "event_attributes": {"object": {"object_id": "i1", "object_id_field": "item_id"}, "position": {"ordinal": 1}},
    }
    assert run("events", "load", write("ubi.jsonl", [ubi]), "--json").json["added"] == 1
    del ubi["user_id"]
    assert run("events", "load", write("more.jsonl", [{**ubi, "action_name": "purchase"}]), "--json").json["added"] == 1
    for whose in (["--user", "visitor-1"], ["--session", "session-1"]):
        assert ids_of(run("recommend", *whose, "--json").json) == ["i2"]


def test_refused_items_are_named_with_the_way_out_and_end_the_command_with_6(
    empty: Settings, run: Run, tmp_path: Path, es: Elasticsearch
) -> None:
    file = tmp_path / "items.csv"
    file.write_text("item_id,title\na,thing\n")
    run("items", "load", file)
    # As an index of somebody's own could have it.
    mapping = {"attributes": {"properties": {"address": {"type": "ip"}}}}
    es.indices.put_mapping(index=f"{empty.index}-items", properties=mapping)
    file.write_text("item_id,title,address\na,thing,10.0.0.1\nb,thing,Main Street 5\n")
    said = run("items", "load", file, code=6).out
    assert "1 item was refused (b: " in said and "attributes.address" in said and "index rebuild" in said
    assert run("items", "sync", file, "--json", code=6).json["failed"] == 1
    assert "Version 2" in run("index", "rebuild").out
    assert run("items", "load", file, "--json").json["added"] == 1
    assert run("search", "thing", "--filter", "address:Main Street 5", "--json").json["hits"][0]["item_id"] == "b"


def test_without_events_there_is_nothing_to_train_on(empty: Settings, run: Run, write: Callable[..., Path]) -> None:
    run("items", "load", write("items.jsonl", things(1, 2)))
    run("train", code=5)
