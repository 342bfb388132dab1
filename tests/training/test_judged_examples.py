"""Judged queries as examples: what answered, and what failed."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from es_recsys.errors import EngineError
from es_recsys.index_metadata import IndexMetadata
from es_recsys.serving.snapshot import ServingSnapshot
from es_recsys.settings import Settings
from es_recsys.training.judged_examples import judged_examples
from es_recsys.training.ranking_examples import RankingExamples

FOUND = {"hits": {"total": {"value": 3}, "hits": [{"_id": name, "_score": 3.0 - at} for at, name in enumerate("abc")]}}
FAILED = {"error": {"type": "timeout"}}


def asked(tmp_path: Path, answers: dict[str, Any]) -> RankingExamples:
    """The query "shoes" of which a and z are judged, "hats" of which nothing is good; answers: of the n-th request."""
    snapshot = ServingSnapshot(
        Settings(home=tmp_path), IndexMetadata("shop", 1), b"", encoder=SimpleNamespace(fields=lambda *_: ())
    )  # type: ignore[arg-type]

    def run_all(flows: Any) -> list[Any]:
        results = []
        for flow in flows(snapshot):
            response = None
            try:
                for request in range(9):
                    operation = flow.send(response)
                    response = [answers.get(f"{request} {place}", FOUND) for place in range(len(operation.bodies))]
            except StopIteration as done:
                results.append(done.value)
            except Exception as error:
                results.append(error)
        return results

    work: Any = SimpleNamespace(run_all=run_all, now=lambda: 1_700_000_000.0)
    return judged_examples(work, {"shoes": {"a": 2.0, "z": 1.0, "b": -1.0}, "hats": {"a": 0.0}})


def test_what_nobody_judged_counts_nothing_and_what_was_not_found_is_missed(tmp_path: Path) -> None:
    examples = asked(tmp_path, {})
    assert len(examples) == 1 and not examples.shown and examples.user_keys == ("",)
    assert examples.grades.tolist() == [2.0, 0.0, 0.0]
    assert examples.ideals == pytest.approx([2.0 + 1.0 / np.log2(3)])


@pytest.mark.parametrize("place", ["0 0", "1 0"])
def test_an_answer_of_which_a_part_failed_is_not_learned_from(tmp_path: Path, place: str) -> None:
    with pytest.raises(EngineError, match="shoes"):
        asked(tmp_path, {place: FAILED})
