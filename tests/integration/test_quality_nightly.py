"""Headline figures of docs/quality.md, each with a floor a little below: ES_RECSYS_DATA names the folder of the data sets."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.nightly, pytest.mark.timeout(3_600)]
SCRIPT = Path(__file__).parents[2] / "scripts" / "quality.py"


@pytest.mark.parametrize(
    ("words", "metric", "floor"),
    [
        (("msrd", "msrd"), "NDCG@10", 0.885),
        (("sequences", "beauty", "--protocol", "published"), "NDCG@10", 0.050),
        (("sequences", "beauty", "--protocol", "published"), "Recall@10", 0.083),
        (("sequences", "beauty", "--protocol", "last"), "NDCG@10", 0.060),
        (("sequences", "beauty", "--protocol", "last"), "Recall@10", 0.096),
    ],
)
def test_a_headline_figure_holds(words: tuple[str, ...], metric: str, floor: float) -> None:
    folder = os.environ.get("ES_RECSYS_DATA")
    if not folder:
        pytest.skip("ES_RECSYS_DATA names no folder of data sets.")
    dataset, name, *options = words
    command = [sys.executable, str(SCRIPT), dataset, str(Path(folder) / name), *options]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    figures = [float(value) for value in re.findall(rf"{metric} ([0-9.]+)", told)]
    assert figures and figures[-1] >= floor
