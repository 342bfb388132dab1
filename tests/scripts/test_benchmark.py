"""The benchmark's parts come out with all their rows, on a catalogue that is too small to say anything."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "benchmark.py"
BOTH = "(b) one _search: words and kNN"
KINDS = ["(a) one _search: words", BOTH, "search, neutral", "search, personal", "recommend", "similar"]


def rows(printed: str, title: str) -> dict[str, list[str]]:
    """First cell -> the other cells of each row below the title."""
    table = re.search(rf"{re.escape(title)}\n\n((?:\|.*\n)+)", printed)
    assert table is not None, f"{title} is missing in:\n{printed}"
    cells = [[cell.strip() for cell in line.strip("|\n").split("|")] for line in table[1].splitlines()[2:]]
    return {row[0]: row[1:] for row in cells}


def run(es_url: str, parts: str) -> str:
    """What the benchmark prints of a tiny catalogue."""
    command = [sys.executable, str(SCRIPT), "--sizes", "120", "--calls", "8", "--repetitions", "1", "--only", parts]
    environment = {**os.environ, "ES_RECSYS_URL": es_url}
    return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout


@pytest.mark.engine
def test_a_plain_catalogue_gives_its_rows(es_url: str) -> None:
    plain = rows(run(es_url, "plain"), "120 documents: a plain catalogue")
    assert list(plain) == KINDS[:3]
    assert plain[BOTH][1] == plain[BOTH][4] == "1.00"
    assert plain["search, neutral"][2] == "at most 1.3"


@pytest.mark.engine
@pytest.mark.long
def test_every_part_of_a_store_with_events_gives_its_rows(es_url: str) -> None:
    printed = run(es_url, "indexing,answers,time,events,concurrent,batch,starting,ready")
    assert list(rows(printed, "120 documents: indexing")) == ["indexing, documents/s"]
    answers = rows(printed, "120 documents: answers")
    assert list(answers) == [*KINDS, "search, neutral, of words never asked for", "search, personal, the first for its words"]
    assert answers[BOTH][1] == answers[BOTH][4] == "1.00"
    assert answers["search, neutral"][2] == "at most 2"
    assert answers["search, personal"][2] == "at most 4"
    times = rows(printed, "120 documents: where the time goes")
    assert list(times) == KINDS
    for name, (whole, *sections) in times.items():
        assert sum(map(float, sections[:7])) == pytest.approx(float(whole), abs=0.05), name
    requests, bodies, hits = (float(times["search, personal"][column]) for column in (8, 9, 10))
    assert requests >= 1
    assert bodies >= requests
    assert hits >= 10
    assert list(rows(printed, "120 documents: events")) == ["search, personal, 50 hits", "put_events", "event to changed answer"]
    ready = rows(printed, "120 documents: ready lists")
    assert len(ready) == 6 and ready["a bare read of the document"][1] == "1.00"
    assert ready["recommend, ready"][2] == "at most 1.5"
    assert list(rows(printed, "120 documents: answers at once")) == ["search, personal", "recommend"]
    assert len(rows(printed, "120 documents: batches")) == 3
    assert len(rows(printed, "120 documents: processes")) == 2


def test_a_part_that_is_not_there_is_refused() -> None:
    done = subprocess.run([sys.executable, str(SCRIPT), "--only", "wrong"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "no such part: wrong" in done.stderr
