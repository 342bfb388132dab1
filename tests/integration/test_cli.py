"""Every command of the contract, as a person types it, on a real engine."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from elasticsearch import Elasticsearch

from es_recsys.cli import main
from es_recsys.sample import SampleStore
from es_recsys.settings import Settings

pytestmark = pytest.mark.engine

HIT_KEYS = {"item_id", "title", "score", "rank", "parts", "because"}
ANSWER_KEYS = {"total", "hits", "facets", "suggestion", "degraded", "took_ms"}


@dataclass
class Done:
    """What a command printed, and what it ended with."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Run = Callable[..., Done]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command in this process. Ends the test where the exit code is not `code`."""

    def act(*words: object, code: int = 0) -> Done:
        monkeypatch.setattr(sys, "argv", ["es-recsys", *map(str, words)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as caught:
            main()
        ended = caught.value.code
        done = Done(ended if isinstance(ended, int) else 0, *capsys.readouterr())
        assert done.code == code, done
        return done

    return act


def _environment(settings: Settings) -> dict[str, str]:
    return {
        "ES_RECSYS_URL": str(settings.url),
        "ES_RECSYS_INDEX": settings.index,
        "ES_RECSYS_HOME": str(settings.home),
        "ES_RECSYS_CACHE": str(settings.cache),
        "ES_RECSYS_ENCODERS__TEXT": "none",
        "ES_RECSYS_ENCODERS__IMAGE": "none",
    }


@pytest.fixture
def empty(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A store of the test's own, which the environment names."""
    for name, value in _environment(settings).items():
        monkeypatch.setenv(name, value)
    return settings


@pytest.fixture(scope="module")
def made(module_settings: Callable[..., Settings], sample: SampleStore, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A store with items, events and models, made by commands in processes of their own."""
    settings = module_settings()
    folder = tmp_path_factory.mktemp("files")
    with gzip.open(folder / "items.jsonl.gz", "wt") as items:
        items.writelines(item.model_dump_json(exclude={"image"}) + "\n" for item in sample.items)
    (folder / "events.jsonl").write_text("".join(e.model_dump_json(exclude_none=True) + "\n" for e in sample.events))
    assert "300 items added" in _process(settings, "items", "load", folder / "items.jsonl.gz")
    assert "events added" in _process(settings, "events", "load", folder / "events.jsonl")
    assert "is live with" in _process(settings, "train", "covisitation", "als")
    return settings


def _process(settings: Settings, *words: object) -> str:
    import os

    done = subprocess.run(
        [sys.executable, "-c", "from es_recsys.cli import main; main()", *map(str, words)],
        env={**os.environ, **_environment(settings)},
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert not done.stderr, "progress belongs on a terminal only"
    return done.stdout


@pytest.fixture
def store(made: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """That store, which the environment names."""
    for name, value in _environment(made).items():
        monkeypatch.setenv(name, value)
    return made


@pytest.fixture
def write(tmp_path: Path) -> Iterator[Callable[..., Path]]:
    """Writes a JSONL file; a line that is a text is written as it stands."""

    def make(name: str, lines: Sequence[Mapping[str, Any] | str]) -> Path:
        path = tmp_path / name
        path.write_text("".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines))
        return path

    yield make


def _things(*numbers: int) -> list[dict[str, Any]]:
    return [{"item_id": f"i{n}", "title": f"thing {n}", "price": n} for n in numbers]


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def _ids(answer: Mapping[str, Any]) -> list[str]:
    return [hit["item_id"] for hit in answer["hits"]]


# Answers


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (["search", "running shoes", "--user", "u0001", "--explain", "--facets"], "query_id"),
        (["recommend", "--user", "u0001", "--explain"], "recommendation_id"),
        (["recommend", "--session", "unknown"], "recommendation_id"),
        (["similar", "p0001"], "recommendation_id"),
        (["rank", "--user", "u0001", "p0001", "p0002"], "recommendation_id"),
    ],
    ids=["search", "recommend", "session", "similar", "rank"],
)
def test_json_answers_have_all_that_is_promised(store: Settings, run: Run, words: list[str], name: str) -> None:
    answer = run(*words, "--json").json
    assert answer.keys() == {name} | ANSWER_KEYS
    assert answer["hits"]
    for place, hit in enumerate(answer["hits"], start=1):
        assert hit.keys() == HIT_KEYS
        assert hit["rank"] == place
        assert sum(hit["parts"].values()) == pytest.approx(hit["score"], abs=1e-9)
    assert answer["degraded"] == []
    assert answer["took_ms"] > 0


def test_a_search_and_its_options(store: Settings, run: Run) -> None:
    answer = run("search", "shoes", "--n", 5, "--json").json
    assert len(answer["hits"]) == 5
    second = run("search", "shoes", "--n", 3, "--offset", 2, "--json").json
    assert _ids(second) == _ids(answer)[2:5]
    without = run("search", "shoes", "--exclude", _ids(answer)[0], "--exclude", _ids(answer)[1], "--json").json
    assert not set(_ids(answer)[:2]) & set(_ids(without))
    cheap = run("search", "shoes", "--filter", "price:..90", "--filter", "categories:Shoes", "--json").json
    assert 0 < cheap["total"] < answer["total"]
    neutral = run("search", "shoes", "--user", "u0001", "--personalization", 0, "--n", 5, "--json").json
    assert _ids(neutral) == _ids(answer)
    niche = run("search", "shoes", "--popularity", -0.8, "--calibration", 0.1, "--n", 5, "--json").json
    assert _ids(niche) != _ids(answer)
    assert run("search", "shoes", "--facets", "--json").json["facets"]["categories"]["Shoes"]


def test_answers_for_people(store: Settings, run: Run) -> None:
    done = run("search", "running shoes", "--user", "u0001", "--explain", "--facets")
    assert "search: 10 hits of" in done.out
    assert "lexical" in done.out
    assert "brand:" in done.out
    assert "recommend: 3 hits" in run("recommend", "--user", "u0001", "--n", 3).out
    assert "similar: 10 hits" in run("similar", "p0001").out
    assert "rank: 2 hits" in run("rank", "p0001", "p0002").out


def test_batch_recommend_keeps_order_and_echoes(store: Settings, run: Run, write: Callable[..., Path], tmp_path: Path) -> None:
    questions: list[dict[str, Any]] = [{"user_id": f"u{n:04d}"} for n in range(1, 41)]
    questions[3] = {"user_id": "with-history", "history": ["p0001", "p0002", "no-such-item"]}
    questions[4] = {"user_id": 17, "history": []}
    questions[5] = {"user_id": "too-long", "history": ["p0001"] * 2_001}
    out = tmp_path / "out.jsonl"
    done = run("batch", "recommend", write("users.jsonl", questions), "--n", 7, "--out", out)
    assert "39 answers" in done.out
    assert "1 line failed" in done.out
    lines = _lines(out)
    assert [line["user_id"] for line in lines] == [question["user_id"] for question in questions]
    for place, line in enumerate(lines):
        if place == 5:
            assert line["hits"] == []
            assert "2,001" in line["error"]
            continue
        assert line.keys() == {"user_id", "hits"}
        assert len(line["hits"]) == 7
        assert all(hit.keys() == {"item_id", "score"} for hit in line["hits"])
    assert not {"p0001", "p0002"} & {hit["item_id"] for hit in lines[3]["hits"]}
    assert _ids(lines[0]) == _ids(run("recommend", "--user", "u0001", "--n", 7, "--json").json)
    dials = ("--popularity", -0.5, "--calibration", 0.3, "--n", 7)
    niche = run("batch", "recommend", write("one.jsonl", questions[:1]), *dials)
    assert _ids(json.loads(niche.out)) == _ids(run("recommend", "--user", "u0001", *dials, "--json").json) != _ids(lines[0])
    assert "popularity is 2" in run("batch", "recommend", write("one.jsonl", questions[:1]), "--popularity", 2, code=2).err


def test_batch_recommend_stores_ready_lists(store: Settings, run: Run, write: Callable[..., Path], tmp_path: Path) -> None:
    questions: list[dict[str, Any]] = [{"user_id": f"u{n:04d}"} for n in range(1, 41)]
    questions[3] = {"user_id": "with-history", "history": ["p0001", "p0002"]}
    users, out = write("users.jsonl", questions), tmp_path / "out.jsonl"
    done = run("batch", "recommend", users, "--to-index")
    assert done.out == "39 ready lists stored; 1 user of whom nothing is stored\n"
    answer = run("recommend", "--user", "u0001", "--n", 7, "--json").json
    assert answer["made_at"] and answer["recommendation_id"]
    assert "made_at" not in run("recommend", "--user", "u0004", "--n", 7, "--json").json
    done = run("batch", "recommend", users, "--to-index", "--n", 7, "--out", out)
    assert "39 ready lists stored" in done.out and "40 answers" in done.out
    lines = _lines(out)
    assert [line["user_id"] for line in lines] == [question["user_id"] for question in questions]
    assert all(len(line["hits"]) == 7 for line in lines) and _ids(lines[0]) == _ids(answer)
    assert "ready lists stored" in run("batch", "recommend", "--to-index").out
    assert run("recommend", "--user", "u0004", "--json").json["made_at"]
    assert "ready lists: 60 users have one." in " ".join(run("doctor").out.split())
    assert "no file of users" in run("batch", "recommend", code=2).err
    assert "--out" in run("batch", "recommend", "--to-index", "--out", out, code=2).err
    assert "100" in run("batch", "recommend", users, "--to-index", "--n", 101, code=2).err
    assert "settings" in run("batch", "recommend", users, "--to-index", "--popularity", 0.5, code=2).err
    too_long = write("long.jsonl", [{"user_id": "u", "history": ["p0001"] * 2_001}])
    assert (
        "0 ready lists stored; 1 user with an error (The history has 2,001 items"
        in run("batch", "recommend", too_long, "--to-index").out
    )


def test_batch_search_keeps_order_and_names_errors(store: Settings, run: Run, write: Callable[..., Path], tmp_path: Path) -> None:
    questions = [
        {"query": "running shoes"},
        {"query": "tent", "user_id": "u0002"},
        {"query": "shoes", "filter": ["price:..90"]},
        {"query": "shoes", "filter": ["nonsense:1"]},
    ]
    out = tmp_path / "out.jsonl"
    run("batch", "search", write("queries.jsonl", questions), "--out", out)
    lines = _lines(out)
    assert [line["query"] for line in lines] == ["running shoes", "tent", "shoes", "shoes"]
    assert [line.get("user_id") for line in lines] == [None, "u0002", None, None]
    assert _ids(lines[0]) == _ids(run("search", "running shoes", "--json").json)
    assert "nonsense" in lines[3]["error"]
    assert not lines[3]["hits"]
    printed = run("batch", "search", write("one.jsonl", questions[:1])).out
    assert _ids(json.loads(printed)) == _ids(lines[0])


@pytest.mark.parametrize(
    ("kind", "line", "says"),
    [("recommend", "{}", "line 2, user_id"), ("search", '{"user_id": "a"}', "line 2, query"), ("search", "{nonsense", "line 2")],
)
def test_a_batch_line_that_is_no_question_is_named(
    store: Settings, run: Run, write: Callable[..., Path], tmp_path: Path, kind: str, line: str, says: str
) -> None:
    file = write("bad.jsonl", [{"user_id": "a", "query": "a"}, line])
    out = tmp_path / "out.jsonl"
    assert says in run("batch", kind, file, "--out", out, code=2).err
    # It costs its own answer and no other.
    first, second = _lines(out)
    assert "error" not in first and not second["hits"] and "line 2" in second["error"]
    assert [path.name for path in tmp_path.iterdir() if "out" in path.name] == ["out.jsonl"]


def test_where_a_batch_cannot_be_written(store: Settings, run: Run, write: Callable[..., Path], tmp_path: Path) -> None:
    done = run("batch", "search", write("q.jsonl", [{"query": "a"}]), "--out", tmp_path / "no" / "out.jsonl", code=2)
    assert "out.jsonl" in done.err


# The state of a store


def test_profile_show(store: Settings, run: Run, sample: SampleStore) -> None:
    shown = run("profile", "show", "u0001", "--json").json
    assert shown["counts"]
    assert shown["history"]
    assert "u0001" not in json.dumps(shown)
    for_people = run("profile", "show", "u0001").out
    assert "categories:" in for_people
    assert run("profile", "show", "nobody-knows").out.startswith("Events: none")


def test_profiles_build(store: Settings, run: Run) -> None:
    before = run("recommend", "--user", "u0001", "--json").json
    assert run("profiles", "build", "--json").json["written"] >= 60
    assert _ids(run("recommend", "--user", "u0001", "--json").json) == _ids(before)


def test_doctor(store: Settings, run: Run) -> None:
    done = run("doctor", "--json").json
    assert all(check.keys() == {"name", "ok", "what", "remedy"} for check in done)
    assert all(check["ok"] for check in done), done


def test_a_training_shows_on_a_terminal_how_far_it_is(
    empty: Settings, run: Run, write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    run("items", "load", write("items.jsonl", _things(*range(8))))
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
    run("items", "load", write("items.jsonl", _things(*range(12))))
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
    run("items", "load", write("items.jsonl", _things(*range(12))))
    assert run("profiles", "build", "--json").json["written"] == 12
    assert run("profile", "show", "u1", "--json").json["counts"] == {"view": 5}
    assert run("train", "covisitation", "--json").json["models"] == ["covisitation"]


def test_erase(empty: Settings, run: Run, write: Callable[..., Path]) -> None:
    run("items", "load", write("items.jsonl", _things(1, 2)))
    event = {"user_id": "anna", "item_id": "i1", "event_type": "view", "timestamp": "2026-01-01T10:00:00Z"}
    file = write("events.jsonl", [event])
    run("events", "load", file)
    run("recommend", "--user", "anna")
    assert "1 event, 1 profile, 1 logged answer." in run("erase", "anna", "--yes").out
    assert "1 refused" in run("events", "load", file).out
    assert run("profile", "show", "anna", "--json").json["counts"] == {}


# Items


def test_items_load_again_changes_what_changed(empty: Settings, run: Run, write: Callable[..., Path]) -> None:
    assert run("items", "load", write("a.jsonl", _things(1, 2, 3)), "--json").json["added"] == 3
    changed = [*_things(1, 2), {"item_id": "i3", "title": "other"}, *_things(4)]
    report = run("items", "load", write("b.jsonl", changed), "--json").json
    assert (report["added"], report["changed"], report["unchanged"]) == (1, 1, 2)
    assert _ids(run("search", "other", "--json").json) == ["i3"]


def test_items_sync_makes_the_file_the_whole_truth(empty: Settings, run: Run, write: Callable[..., Path]) -> None:
    run("items", "load", write("a.jsonl", _things(1, 2, 3)))
    report = run("items", "sync", write("b.jsonl", [*_things(2, 5), {"item_id": "i3", "title": "other"}]), "--json").json
    counts = {name: report[name] for name in ("added", "changed", "unchanged", "removed")}
    assert counts == {"added": 1, "changed": 1, "unchanged": 1, "removed": 1}
    assert sorted(_ids(run("recommend", "--json").json)) == ["i2", "i3", "i5"]


def test_items_delete_by_id_and_by_file(empty: Settings, run: Run, write: Callable[..., Path]) -> None:
    run("items", "load", write("a.jsonl", _things(1, 2, 3, 4)))
    report = run("items", "delete", "i1", "never-there", "--json").json
    assert (report["removed"], report["notes"]) == (1, ["1 id is that of no item in the store: nothing to remove."])
    assert run("items", "delete", "--file", write("b.jsonl", _things(2, 3)), "--json").json["removed"] == 2
    assert _ids(run("recommend", "--json").json) == ["i4"]
    run("items", "delete", code=2)


def test_csv_with_other_column_names(empty: Settings, run: Run, tmp_path: Path) -> None:
    file = tmp_path / "films.csv"
    file.write_text("movieId;name;year\n17;Alien;1979\n18;Aliens;1986\n")
    report = run("items", "load", file, "--separator", ";", "--columns", "item_id=movieId,title=name", "--json").json
    assert report["added"] == 2
    assert _ids(run("search", "alien", "--filter", "year:..1980", "--json").json) == ["17"]


def test_a_bad_line_goes_to_the_rejects_and_the_rest_loads(empty: Settings, run: Run, write: Callable[..., Path]) -> None:
    file = write("items.jsonl", [*_things(1), {"item_id": "i2", "price": -3}, "{nonsense", *_things(3)])
    report = run("items", "load", file, "--json").json
    assert (report["added"], report["rejected"]) == (3, 1)
    assert [(each["field"], each["reason"], each["count"]) for each in report["fields"]] == [("price", "is less than 0", 1)]
    rejected = _lines(file.with_name("items.jsonl.rejected.jsonl"))
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
    run("items", "load", write("items.jsonl", _things(1)))
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
    items = write("items.jsonl", [*_things(1), {"item_id": "x" * 600}, {"title": "no id"}])
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
    run("items", "load", write("items.jsonl", _things(1, 2)))
    lines = [{"user_id": "a", "item_id": f"i{n}", "timestamp": f"2026-01-0{n}T10:00:00Z"} for n in (1, 2)]
    file = write("events.jsonl", lines)
    assert run("events", "load", file, "--constant", "event_type=view", "--json").json["added"] == 2
    again = run("events", "load", file, "--constant", "event_type=view", "--json").json
    assert (again["added"], again["duplicates"]) == (0, 2)
    assert run("profile", "show", "a", "--json").json["counts"] == {"view": 2}


def test_events_of_unknown_items_are_set_aside_until_the_items_come(
    empty: Settings, run: Run, write: Callable[..., Path]
) -> None:
    run("items", "load", write("items.jsonl", _things(1)))
    lines = [{"user_id": "a", "item_id": f"i{n}", "event_type": "view", "timestamp": f"2026-01-0{n}"} for n in (1, 2)]
    report = run("events", "load", write("events.jsonl", lines), "--json").json
    assert report["cleaning"]["kept"] == 1
    assert report["cleaning"]["set_aside"] == {"unknown_item": 1}
    assert _ids(run("recommend", "--json").json) == ["i1"]
    assert "1 event counts again" in run("items", "load", write("more.jsonl", _things(2))).out
    popular = run("recommend", "--json").json
    assert sorted(_ids(popular)) == ["i1", "i2"]
    assert all(hit["parts"]["popularity"] > 0 for hit in popular["hits"])
    assert run("profile", "show", "a", "--json").json["counts"] == {"view": 2}


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
    hits = _ids(run("recommend", "--user", "3", "--json").json)
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
    run("items", "load", write("items.jsonl", _things(1, 2)))
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
        assert _ids(run("recommend", *whose, "--json").json) == ["i2"]


# Learning


def test_tune_search_on_a_few_judgments(store: Settings, run: Run, sample: SampleStore, tmp_path: Path) -> None:
    file = tmp_path / "judgments.tsv"
    chosen = sample.items[::8]
    rows = [f"{item.title}\t{item.item_id}\t3" for item in chosen]
    file.write_text("query\titem_id\tgrade\n" + "\n".join(rows) + "\n")
    report = run("tune", "search", "--judgments", file, "--json").json
    assert report["queries"] == len({item.title for item in chosen})
    assert 0 < report["held_out"] < report["queries"]
    assert 0.5 < report["ndcg_before"] <= 1.0
    assert report["ndcg_after"] >= report["ndcg_before"] or not report["kept"]
    assert run("search", chosen[0].title, "--json").json["hits"][0]["item_id"] == chosen[0].item_id


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


# Errors and exit codes


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["search", "shoes", "--filter", "nonsense:1"], 2, "nonsense"),
        (["search", "shoes", "--n", "0"], 2, "n is 0"),
        (["search", "shoes", "--personalization", "3"], 2, "personalization"),
        (["search", "shoes", "--nonsense"], 2, "nonsense"),
        (["search", "--image", "missing.jpg"], 2, "missing.jpg"),
        (["similar", "no-such-item"], 2, "no-such-item"),
        (["items", "load", "missing.jsonl"], 2, "missing.jsonl"),
        (["batch", "search", "missing.jsonl"], 2, "missing.jsonl"),
        (["tune", "search", "--judgments", "missing.tsv"], 2, "missing.tsv"),
        (["items", "load", "missing.jsonl", "--columns", "nonsense"], 2, "columns"),
        (["train", "nonsense"], 2, "nonsense"),
        (["search", "shoes", "--index", "Not-A-Name"], 2, "index"),
        (["search", "shoes", "--config", "missing.toml"], 2, "missing.toml"),
        (["search", "shoes", "--url", "http://127.0.0.1:9"], 3, "127.0.0.1:9"),
        (["search", "shoes", "--index", "nosuchstore"], 4, "nosuchstore"),
        (["recommend", "--index", "nosuchstore"], 4, "nosuchstore"),
        (["train", "--index", "nosuchstore"], 4, "nosuchstore"),
        (["profiles", "build", "--index", "nosuchstore"], 4, "nosuchstore"),
        (["index", "swap", "--index", "nosuchstore"], 4, "nosuchstore"),
        (["index", "swap", "4711"], 4, "4711"),
        (["items", "delete", "i1", "--index", "nosuchstore"], 4, "nosuchstore"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else str(value),
)
def test_exit_codes(store: Settings, run: Run, words: list[str], code: int, says: str) -> None:
    done = run(*words, code=code)
    assert says in done.err
    assert "Traceback" not in done.err
    assert not done.out
    if not done.err.startswith("Usage"):
        assert done.err.startswith("Error: ")
        assert len(done.err.strip().splitlines()) == 2, "what, and the way out"


def test_without_events_there_is_nothing_to_train_on(empty: Settings, run: Run, write: Callable[..., Path]) -> None:
    run("items", "load", write("items.jsonl", _things(1, 2)))
    run("train", code=5)


@pytest.mark.parametrize(
    "words",
    [
        [],
        *(["engine", one] for one in ("start", "stop", "status")),
        ["doctor"],
        ["demo"],
        *(["items", one] for one in ("load", "delete", "sync")),
        ["events", "load"],
        ["train"],
        ["tune", "search"],
        ["profiles", "build"],
        *([one] for one in ("search", "recommend", "similar", "rank", "erase")),
        *(["batch", one] for one in ("recommend", "search")),
        ["profile", "show"],
        *(["index", one] for one in ("list", "swap", "drop")),
    ],
    ids=" ".join,
)
def test_each_command_has_help(run: Run, words: list[str]) -> None:
    assert "Usage" in run(*words, "--help").out
