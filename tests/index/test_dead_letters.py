from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import orjson

from es_recsys.index.bulk_actions import Action
from es_recsys.index.dead_letters import DeadLetterFile, WriteFailure


def test_what_json_cant_hold_is_kept_readable(tmp_path: Path) -> None:
    letters = DeadLetterFile(tmp_path / "dead.jsonl")
    document = {
        "v": np.array([1.5, np.nan], np.float32),
        "big": 2**70,
        "text": "\ud800",
        "when": datetime(2020, 1, 1, tzinfo=UTC),
        "nested": {"a": (float("inf"), None, True)},
    }
    letters.add(WriteFailure("1", "index", 0, "not_sent", "why"), Action("1", document))
    text = letters.path.read_text()
    assert text.endswith("\n") and '"nan"' in text and str(2**70) in text and "\\ud800" in text
    kept = orjson.loads(text.replace("\\ud800", ""))["document"]
    assert kept["v"] == [1.5, "nan"] and kept["nested"] == {"a": ["inf", None, True]} and kept["when"].startswith("2020-01-01")


def test_no_file_without_a_failure(tmp_path: Path) -> None:
    assert DeadLetterFile(tmp_path / "dead.jsonl").count == 0 and not list(tmp_path.iterdir())
