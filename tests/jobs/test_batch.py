"""Batches write a line for each request, whatever it holds; an interrupted one is resumed by the same call."""

from __future__ import annotations

import gc
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
from es_recsys.query import Answer, Hit, Query, Ranking

ExecuteMany = Callable[[Iterable[Query]], Iterator[Answer | RecsysError]]


def answering(
    fails: Callable[[int], bool] = lambda idx: False, seen: list[str | None] | None = None, ahead: int = 4
) -> ExecuteMany:
    """Answer with the user as the one hit, some requests ahead as the client does; the nth fails where `fails(n)`."""

    def execute_many(queries: Iterable[Query]) -> Iterator[Answer | RecsysError]:
        idx, held = 0, list[Query]()
        for query in queries:
            held.append(query)
            if len(held) == ahead:
                for one in held:
                    yield answered(one, idx)
                    idx += 1
                held = []
        for one in held:
            yield answered(one, idx)
            idx += 1

    def answered(query: Query, idx: int) -> Answer | RecsysError:
        if seen is not None:
            seen.append(query.user_id)
        if fails(idx):
            return EngineError("Elasticsearch is down.", "Start it.")
        return Answer("a", "recommend", Ranking((Hit(f"for {query.user_id or query.text}", 1.0, 1),)), 0.0)

    return execute_many


@pytest.fixture
def users(tmp_path: Path) -> Path:
    file = tmp_path / "users.jsonl"
    file.write_text("".join(json.dumps({"user_id": f"u{n}"}) + "\n" for n in range(100)))
    return file


def run(
    file: Path, execute_many: ExecuteMany, kind: str = "recommend", n: int = 3
) -> tuple[batch.BatchReport, list[dict[str, Any]]]:
    out = file.with_name("out.jsonl")
    report = answer_file(execute_many, kind, file, n=n, out=out, store="shop")
    assert not list(file.parent.glob("*.part*")) and not list(file.parent.glob(".*.part*"))
    return report, [json.loads(line) for line in out.read_text().splitlines()]


LINES = [
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


def test_each_line_has_its_result_in_the_same_order(tmp_path: Path) -> None:
    file = tmp_path / "users.jsonl"
    file.write_text("".join(line + "\n" for line, _ in LINES))
    report, lines = run(file, answering())
    assert len(lines) == len(LINES)
    for (_, hit), line in zip(LINES, lines, strict=True):
        assert [one["item_id"] for one in line["hits"]] == ([] if hit is None else [hit]), line
        assert ("error" in line) == (hit is None)
    bad = sum(hit is None for _, hit in LINES)
    assert (report.failed, report.invalid, report.answered) == (bad, bad, len(LINES) - bad)
    assert report.first_error.startswith(f"{file} line 4, user_id is missing")


def test_invalid_searches_have_an_error(tmp_path: Path) -> None:
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
    _, lines = run(file, answering(), kind="search")
    assert ["error" in line for line in lines] == [False, True, True, False, True, True]
    assert [line["query"] for line in lines] == ["a", 5, None, "b", "c", "d"]


def test_one_failure_costs_its_own_line(users: Path) -> None:
    report, lines = run(users, answering(lambda idx: idx in (7, 50, 99)))
    assert [n for n, line in enumerate(lines) if "error" in line] == [7, 50, 99]
    assert (report.answered, report.failed, report.invalid) == (97, 3, 0)


@pytest.mark.parametrize("down", [0, 1, 37, 97])
def test_a_batch_is_resumed_after_elasticsearch_was_down(users: Path, down: int) -> None:
    out = users.with_name("out.jsonl")
    with pytest.raises(EngineError, match="is down") as raised:
        answer_file(answering(lambda idx: idx >= down), "recommend", users, n=3, out=out, store="shop")
    part = users.with_name("out.jsonl.part")
    if down in (1, 37):
        assert f"The first {down} lines are in {part}; the same command goes on after them." in str(raised.value)
        assert len(part.read_text().splitlines()) == down
    assert not out.exists()
    seen: list[str | None] = []
    report, lines = run(users, answering(seen=seen))
    assert [line["user_id"] for line in lines] == [f"u{n}" for n in range(100)]
    assert not [line for line in lines if "error" in line]
    assert report.resumed + report.answered == 100 and seen == [f"u{n}" for n in range(report.resumed, 100)]


def interrupted(users: Path, at: int = 40, **options: Any) -> Path:
    with pytest.raises(EngineError):
        answer_file(
            answering(lambda idx: idx >= at),
            "recommend",
            users,
            out=users.with_name("out.jsonl"),
            **{"n": 3, "store": "shop", **options},
        )
    return users.with_name("out.jsonl.part")


def test_lines_of_another_input_are_answered_again(users: Path) -> None:
    interrupted(users)
    lines = users.read_text().splitlines()
    lines[10] = '{"user_id": "another"}'
    users.write_text("\n".join(lines) + "\n")
    report, found = run(users, answering())
    assert report.resumed == 10 and found[10]["user_id"] == "another" and len(found) == 100


def test_a_shorter_input_keeps_no_more_lines_than_it_has(users: Path) -> None:
    interrupted(users)
    users.write_text("".join(users.read_text().splitlines(keepends=True)[:20]))
    report, found = run(users, answering())
    assert report.resumed == 20 and len(found) == 20


@pytest.mark.parametrize("options", [{"n": 4}, {"store": "other"}])
def test_lines_made_with_other_parameters_are_replaced(users: Path, options: dict[str, Any]) -> None:
    interrupted(users, **options)
    report, found = run(users, answering())
    assert report.resumed == 0 and len(found) == 100


@pytest.mark.parametrize("cut", [1, 5, 30])
def test_a_line_that_was_cut_off_is_answered_again(users: Path, cut: int) -> None:
    part = interrupted(users)
    part.write_bytes(part.read_bytes()[:-cut])
    report, found = run(users, answering())
    assert report.resumed == 39 and len(found) == 100 and not [line for line in found if "error" in line]


def test_invalid_lines_are_resumed_too(users: Path) -> None:
    users.write_text("{nonsense\n" + users.read_text())
    interrupted(users)
    report, found = run(users, answering())
    assert report.resumed == 41 and len(found) == 101 and "error" in found[0]


def test_a_full_disk_keeps_the_lines_that_fit(users: Path) -> None:
    """A limit of the file size stands for a full disk."""
    out = users.with_name("out.jsonl")
    limit, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (3_000, limit[1]))
    try:
        with pytest.raises(WriteError, match="can't be written"):
            answer_file(answering(), "recommend", users, n=3, out=out, store="shop")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        signal.signal(signal.SIGXFSZ, handler)
    assert not out.exists()
    report, found = run(users, answering())
    assert 0 < report.resumed < 100 and [line["user_id"] for line in found] == [f"u{n}" for n in range(100)]


def test_a_killed_batch_is_resumed(users: Path) -> None:
    child = os.fork()
    if not child:

        def until_killed(queries: Iterable[Query]) -> Iterator[Answer | RecsysError]:
            for idx, found in enumerate(answering()(queries)):
                if idx == 60:
                    os.kill(os.getpid(), signal.SIGKILL)
                yield found

        batch.PartialOutput.write = _flushed(batch.PartialOutput.write)  # type: ignore[method-assign]
        answer_file(until_killed, "recommend", users, n=3, out=users.with_name("out.jsonl"), store="shop")
        os._exit(1)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL
    report, found = run(users, answering())
    assert report.resumed == 60 and len(found) == 100


def _flushed(write: Any) -> Any:
    def write_and_flush(part: Any, line: bytes) -> None:
        write(part, line)
        part._file.flush()

    return write_and_flush


def test_an_output_in_a_missing_folder_is_an_input_error(users: Path) -> None:
    with pytest.raises(InputError, match="can't be written"):
        answer_file(answering(), "recommend", users, n=3, out=users.with_name("no") / "out.jsonl")


def test_garbage_collections_spare_what_was_there_while_a_batch_runs(users: Path) -> None:
    frozen = list[int]()

    def execute_many(queries: Iterable[Query]) -> Iterator[Answer | RecsysError]:
        for answer in answering()(queries):
            if not frozen:  # it counts one by one
                frozen.append(gc.get_freeze_count())
            yield answer

    run(users, execute_many)
    assert frozen[0] > 0 and gc.get_freeze_count() == 0
    gc.freeze()
    try:
        run(users, execute_many)
        assert gc.get_freeze_count() > 0
    finally:
        gc.unfreeze()
