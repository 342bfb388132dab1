"""The demo that stays up, and the requests that it prints to try."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from elasticsearch import Elasticsearch

pytestmark = [pytest.mark.engine, pytest.mark.long]

SIZES = {"shop": ["--items", "600", "--shoppers", "60"], "social": ["--scenario", "social"]}


def test_the_requests_that_the_demo_prints_show_what_it_says(es: Elasticsearch, es_url: str, tmp_path: Path) -> None:
    """One after the other, as both are the store demo."""
    for name, sizes in SIZES.items():
        folder = tmp_path / name
        folder.mkdir()
        neutral, personal, report, after = _tried(es_url, folder, sizes)
        assert "_es_recsys" not in neutral
        assert personal["_es_recsys"]["personal"] is after["_es_recsys"]["personal"] is True
        assert report["added"] == 1
        assert personal["hits"]["total"] == neutral["hits"]["total"]
        assert _ids(personal) != _ids(neutral)
        assert any(len(hit["_es_recsys"]["parts"]) > 1 for hit in after["hits"]["hits"])
        assert not es.indices.get(index="demo-*", expand_wildcards="all")


def _tried(url: str, folder: Path, options: list[str]) -> list[dict[str, Any]]:
    """Run the demo, what it prints, and end it as Ctrl-C does. Return the answers."""
    shown = folder / "shown"
    command = [str(Path(sys.executable).with_name("es-recsys")), "--url", url, "demo", "--serve", *options]
    environment = {**os.environ, "TMPDIR": str(folder), "COLUMNS": "1000"}
    with shown.open("w") as out, (folder / "log").open("w") as log:
        process = subprocess.Popen(command, env=environment, stdout=out, stderr=log)
    try:
        lines: list[str] = []
        until = time.monotonic() + 900
        while len(lines) < 4 and process.poll() is None and time.monotonic() < until:
            time.sleep(0.5)
            lines = re.findall(r"^curl .*$", shown.read_text(), re.MULTILINE)
        assert len(lines) == 4, (folder / "log").read_text()[-2_000:]
        asked = [line.replace("curl -s", "curl -s --retry 20 --retry-connrefused", 1) for line in lines]
        return [json.loads(subprocess.run(["bash", "-c", line], capture_output=True, check=True).stdout) for line in asked]
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0


def _ids(answer: Any) -> list[str]:
    return [hit["_id"] for hit in answer["hits"]["hits"]]
