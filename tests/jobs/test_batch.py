"""Batches: a line out for each line in, whatever it holds; what is done stays, and the same call goes on there."""

from __future__ import annotations

import json
import os
import resource
import signal
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from es_recsys.errors import EngineError, InputError, RecsysError, WriteError
from es_recsys.jobs import batch
from es_recsys.jobs.batch import answer_file
from es_recsys.types import Answer, Hit, Query, Ranking

Ask = Callable[[Iterable[Query]], Iterator[Answer | RecsysError]]


def engine(fails: Callable[[int], bool] = lambda place: False, seen: list[str | None] | None = None, future: int = 4) -> Ask:
    """Answers with the user as the one hit, some questions ahead as the client does; the nth fails where `fails(n)`."""

    def ask(queries: Iterable[Query]) -> Iterator[Answer | RecsysError]:
        place, held = 0, list[Query]()
        for query in queries:
            held.append(query)
            if len(held) == future:
                for one in held:
                    yield answered(one, place)
                    place += 1
                held = []
        for one in held:
            yield answered(one, place)
            place += 1

    def answered(query: Query, place: int) -> Answer | RecsysError:
        if seen is not None:
            seen.append(query.user_id)
        if fails(place):
            return EngineError("Elasticsearch is away.", "Start it.")
        return Answer("a", "recommend", Ranking((Hit(f"for {query.user_id or query.text}", 1.0, 1),)), 0.0)

    return ask


@pytest.fixture
def users(tmp_path: Path) -> Path:
    file = tmp_path / "users.jsonl"
    file.write_text("".join(json.dumps({"user_id": f"u{n}"}) + "\n" for n in range(100)))
    return file


def run(file: Path, ask: Ask, kind: str = "recommend", n: int = 3) -> tuple[batch.BatchReport, list[dict[str, Any]]]:
    out = file.with_name("out.jsonl")
    report = answer_file(ask, kind, file, n=n, out=out, store="shop")
    assert not list(file.parent.glob("*.part*")) and not list(file.parent.glob(".*.part*"))
    return report, [json.loads(line) for line in out.read_text().splitlines()]


WRITTEN = [
    ('{"user_id": 17.0}', "for 17"),
    ('{"user_id": 17}', "for 17"),
    ('{"user_id": "17"}', "for 17"),
    ('{"user_id": null}', None),
    ('{"user_id": [1]}', None),
    ('{"user_id": ""}', None),
    ('{"user_id": true}', None),
    ("{nonsense", None),
    ("[1, 2]", None),
    ("\xff", None),
    ('{"user_id": "a", "history": ["i1", 2, 3.0]}', "for a"),
    ('{"user_id": "a", "history": "i1"}', "for a"),
    ('{"user_id": "a", "history": {"i1": 1}}', None),
    ('{"user_id": "a", "history": [null]}', None),
    ('{"history": []}', "for "),
    ('{"user_id": "z"}', "for z"),
]


def test_each_line_has_its_own_in_its_place(tmp_path: Path) -> None:
    file = tmp_path / "users.jsonl"
    file.write_text("".join(line + "\n" for line, _ in WRITTEN))
    report, lines = run(file, engine())
    assert len(lines) == len(WRITTEN)
    for (_, hit), line in zip(WRITTEN, lines, strict=True):
        assert [one["item_id"] for one in line["hits"]] == ([] if hit is None else [hit]), line
        assert ("error" in line) == (hit is None)
    bad = sum(hit is None for _, hit in WRITTEN)
    assert (report.failed, report.unreadable, report.answered) == (bad, bad, len(WRITTEN) - bad)
    assert report.first.startswith(f"{file} line 4, user_id is missing")


def test_searches_that_are_none_have_an_error(tmp_path: Path) -> None:
    file = tmp_path / "queries.jsonl"
    rows = [
        {"query": "a"},
        {"query": 5},
        {},
        {"query": "b", "filter": "brand:x"},
        {"query": "c", "filter": 7},
        {"query": "d", "user_id": []},
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    _, lines = run(file, engine(), kind="search")
    assert ["error" in line for line in lines] == [False, True, True, False, True, True]
    assert [line["query"] for line in lines] == ["a", 5, None, "b", "c", "d"]


def test_one_failure_costs_its_own_line(users: Path) -> None:
    report, lines = run(users, engine(lambda place: place in (7, 50, 99)))
    assert [n for n, line in enumerate(lines) if "error" in line] == [7, 50, 99]
    assert (report.answered, report.failed, report.unreadable) == (97, 3, 0)


@pytest.mark.parametrize("down", [0, 1, 37, 97])
def test_where_elasticsearch_goes_away_the_same_call_goes_on(users: Path, down: int) -> None:
    out = users.with_name("out.jsonl")
    with pytest.raises(EngineError, match="is away") as raised:
        answer_file(engine(lambda place: place >= down), "recommend", users, n=3, out=out, store="shop")
    part = users.with_name("out.jsonl.part")
    if down in (1, 37):
        assert f"The first {down} lines are in {part}; the same command goes on after them." in str(raised.value)
        assert len(part.read_text().splitlines()) == down
    assert not out.exists()
    seen: list[str | None] = []
    report, lines = run(users, engine(seen=seen))
    assert [line["user_id"] for line in lines] == [f"u{n}" for n in range(100)]
    assert not [line for line in lines if "error" in line]
    assert report.resumed + report.answered == 100 and seen == [f"u{n}" for n in range(report.resumed, 100)]


def broken_off(users: Path, at: int = 40, **options: Any) -> Path:
    with pytest.raises(EngineError):
        answer_file(
            engine(lambda place: place >= at),
            "recommend",
            users,
            out=users.with_name("out.jsonl"),
            **{"n": 3, "store": "shop", **options},
        )
    return users.with_name("out.jsonl.part")


def test_what_is_there_is_held_against_the_input(users: Path) -> None:
    broken_off(users)
    lines = users.read_text().splitlines()
    lines[10] = '{"user_id": "another"}'
    users.write_text("\n".join(lines) + "\n")
    report, found = run(users, engine())
    assert report.resumed == 10 and found[10]["user_id"] == "another" and len(found) == 100


def test_an_input_that_is_shorter_now_keeps_no_more_than_it_has(users: Path) -> None:
    broken_off(users)
    users.write_text("".join(users.read_text().splitlines(keepends=True)[:20]))
    report, found = run(users, engine())
    assert report.resumed == 20 and len(found) == 20


@pytest.mark.parametrize("options", [{"n": 4}, {"store": "other"}])
def test_what_was_asked_otherwise_is_no_beginning(users: Path, options: dict[str, Any]) -> None:
    broken_off(users, **options)
    report, found = run(users, engine())
    assert report.resumed == 0 and len(found) == 100


@pytest.mark.parametrize("cut", [1, 5, 30])
def test_a_line_that_was_cut_off_is_asked_again(users: Path, cut: int) -> None:
    part = broken_off(users)
    part.write_bytes(part.read_bytes()[:-cut])
    report, found = run(users, engine())
    assert report.resumed == 39 and len(found) == 100 and not [line for line in found if "error" in line]


def test_lines_that_are_no_question_are_gone_on_with_too(users: Path) -> None:
    users.write_text("{nonsense\n" + users.read_text())
    broken_off(users)
    report, found = run(users, engine())
    assert report.resumed == 41 and len(found) == 101 and "error" in found[0]


def test_a_full_disk_keeps_what_there_was_room_for(users: Path) -> None:
    """A file that may not grow is what a full disk is to it."""
    out = users.with_name("out.jsonl")
    limit, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (3_000, limit[1]))
    try:
        with pytest.raises(WriteError, match="can't be written"):
            answer_file(engine(), "recommend", users, n=3, out=out, store="shop")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        signal.signal(signal.SIGXFSZ, handler)
    assert not out.exists()
    report, found = run(users, engine())
    assert 0 < report.resumed < 100 and [line["user_id"] for line in found] == [f"u{n}" for n in range(100)]


def test_what_was_killed_goes_on(users: Path) -> None:
    child = os.fork()
    if not child:

        def until_killed(queries: Iterable[Query]) -> Iterator[Answer | RecsysError]:
            for place, found in enumerate(engine()(queries)):
                if place == 60:
                    os.kill(os.getpid(), signal.SIGKILL)
                yield found

        batch.Partial.write = _flushed(batch.Partial.write)  # type: ignore[method-assign]
        answer_file(until_killed, "recommend", users, n=3, out=users.with_name("out.jsonl"), store="shop")
        os._exit(1)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL
    report, found = run(users, engine())
    assert report.resumed == 60 and len(found) == 100


def _flushed(write: Any) -> Any:
    def act(part: Any, line: bytes) -> None:
        write(part, line)
        part._file.flush()

    return act


def test_nowhere_to_write_is_said(users: Path) -> None:
    with pytest.raises(InputError, match="can't be written"):
        answer_file(engine(), "recommend", users, n=3, out=users.with_name("no") / "out.jsonl")
