"""The commands that ask a trained store, as a person types them, on a real engine."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command_line import Run, environment, ids_of, lines_of

from es_recsys.sample import SampleStore
from es_recsys.settings import Settings

pytestmark = pytest.mark.engine

HIT_KEYS = {"item_id", "title", "score", "rank", "parts", "because"}
ANSWER_KEYS = {"total", "hits", "facets", "suggestion", "degraded", "took_ms"}


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
    assert "is live with" in _process(settings, "train", "covisitation", "als", "--budget", 0)
    return settings


def _process(settings: Settings, *words: object) -> str:
    done = subprocess.run(
        [sys.executable, "-c", "from es_recsys.cli import main; main()", *map(str, words)],
        env={**os.environ, **environment(settings)},
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
    for name, value in environment(made).items():
        monkeypatch.setenv(name, value)
    return made


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
    assert ids_of(second) == ids_of(answer)[2:5]
    without = run("search", "shoes", "--exclude", ids_of(answer)[0], "--exclude", ids_of(answer)[1], "--json").json
    assert not set(ids_of(answer)[:2]) & set(ids_of(without))
    cheap = run("search", "shoes", "--filter", "price:..90", "--filter", "categories:Shoes", "--json").json
    assert 0 < cheap["total"] < answer["total"]
    neutral = run("search", "shoes", "--user", "u0001", "--personalization", 0, "--n", 5, "--json").json
    assert ids_of(neutral) == ids_of(answer)
    niche = run("search", "shoes", "--popularity", -0.8, "--calibration", 0.1, "--n", 5, "--json").json
    assert ids_of(niche) != ids_of(answer)
    assert run("search", "shoes", "--facets", "--json").json["facets"]["categories"]["Shoes"]


def test_answers_for_people(store: Settings, run: Run) -> None:
    done = run("search", "running shoes", "--user", "u0001", "--explain", "--facets")
    assert "search: 10 hits of" in done.out
    assert "lexical" in done.out
    assert "brand:" in done.out
    assert "recommend: 3 hits" in run("recommend", "--user", "u0001", "--n", 3).out
    assert "similar: 10 hits" in run("similar", "p0001").out
    assert "rank: 2 hits" in run("rank", "p0001", "p0002").out


def test_a_user_of_whom_nothing_is_known_and_an_empty_answer_are_told(store: Settings, run: Run) -> None:
    assert "No events of this user are stored: these are popular and new." in run("recommend", "--user", "nobody").out
    assert (
        "No events of this user are stored: this is the answer for everybody." in run("search", "shoes", "--user", "nobody").out
    )
    for known in (run("recommend", "--user", "u0001"), run("search", "shoes"), run("recommend", "--user", "x", "--json")):
        assert "No events of this user" not in known.out
    done = run("trending", "--hours", 0.001)
    assert "trending: 0 hits" in done.out and "in the last 0.001 hours; --hours takes a longer time" in done.out


def test_batch_recommend_keeps_order_and_echoes(store: Settings, run: Run, write: Callable[..., Path], tmp_path: Path) -> None:
    questions: list[dict[str, Any]] = [{"user_id": f"u{n:04d}"} for n in range(1, 41)]
    questions[3] = {"user_id": "with-history", "history": ["p0001", "p0002", "no-such-item"]}
    questions[4] = {"user_id": 17, "history": []}
    questions[5] = {"user_id": "too-long", "history": ["p0001"] * 2_001}
    out = tmp_path / "out.jsonl"
    done = run("batch", "recommend", write("users.jsonl", questions), "--n", 7, "--out", out)
    assert "39 answers" in done.out
    assert "1 line failed" in done.out
    lines = lines_of(out)
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
    assert ids_of(lines[0]) == ids_of(run("recommend", "--user", "u0001", "--n", 7, "--json").json)
    dials = ("--popularity", -0.5, "--calibration", 0.3, "--n", 7)
    niche = run("batch", "recommend", write("one.jsonl", questions[:1]), *dials)
    assert ids_of(json.loads(niche.out)) == ids_of(run("recommend", "--user", "u0001", *dials, "--json").json) != ids_of(lines[0])
    assert "popularity is 2" in run("batch", "recommend", write("one.jsonl", questions[:1]), "--popularity", 2, code=2).err


def test_batch_recommend_stores_ready_lists(store: Settings, run: Run, write: Callable[..., Path], tmp_path: Path) -> None:
    questions: list[dict[str, Any]] = [{"user_id": f"u{n:04d}"} for n in range(1, 13)]
    questions[3] = {"user_id": "with-history", "history": ["p0001", "p0002"]}
    users, out = write("users.jsonl", questions), tmp_path / "out.jsonl"
    done = run("batch", "recommend", users, "--to-index")
    assert done.out == "11 ready lists stored; 1 user of whom nothing is stored\n"
    answer = run("recommend", "--user", "u0001", "--n", 7, "--json").json
    assert answer["made_at"] and answer["recommendation_id"]
    assert "made_at" not in run("recommend", "--user", "u0004", "--n", 7, "--json").json
    done = run("batch", "recommend", users, "--to-index", "--n", 7, "--out", out)
    assert "11 ready lists stored" in done.out and "12 answers" in done.out
    lines = lines_of(out)
    assert [line["user_id"] for line in lines] == [question["user_id"] for question in questions]
    assert all(len(line["hits"]) == 7 for line in lines) and ids_of(lines[0]) == ids_of(answer)
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
    lines = lines_of(out)
    assert [line["query"] for line in lines] == ["running shoes", "tent", "shoes", "shoes"]
    assert [line.get("user_id") for line in lines] == [None, "u0002", None, None]
    assert ids_of(lines[0]) == ids_of(run("search", "running shoes", "--json").json)
    assert "nonsense" in lines[3]["error"]
    assert not lines[3]["hits"]
    printed = run("batch", "search", write("one.jsonl", questions[:1])).out
    assert ids_of(json.loads(printed)) == ids_of(lines[0])


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
    first, second = lines_of(out)
    assert "error" not in first and not second["hits"] and "line 2" in second["error"]
    assert [path.name for path in tmp_path.iterdir() if "out" in path.name] == ["out.jsonl"]


def test_where_a_batch_cannot_be_written(store: Settings, run: Run, write: Callable[..., Path], tmp_path: Path) -> None:
    done = run("batch", "search", write("q.jsonl", [{"query": "a"}]), "--out", tmp_path / "no" / "out.jsonl", code=2)
    assert "out.jsonl" in done.err


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
    assert ids_of(run("recommend", "--user", "u0001", "--json").json) == ids_of(before)


def test_doctor(store: Settings, run: Run) -> None:
    done = run("doctor", "--json").json
    assert all(check.keys() == {"name", "ok", "what", "remedy"} for check in done)
    assert all(check["ok"] for check in done), done


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
        (["demo", "--scenario", "news", "--items", "300"], 2, "--items"),
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
