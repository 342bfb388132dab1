"""SASRec alone beside plain co-visitation: `python scripts/sequence_model.py sasrec|covisitation FILE [--back N]`.

FILE holds a user and its items a line, oldest first (Beauty.txt.gz, LastFM.txt.gz). The last item of each user is looked for
among all items that the user doesn't know, after training on those before it; with --back 2 the one before the last, after
training on those before that, and so on, so that settings are chosen without the last one. --set NAME=VALUE changes a setting of
SASRec; co-visitation has those that `train` chooses on Beauty.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from offline_models import interactions, lines

from es_recsys.cooccurrence import CooccurrenceConfig
from es_recsys.dataset import History
from es_recsys.evaluation.metrics import ndcg
from es_recsys.models import CoVisitation, CoVisitationConfig, Model
from es_recsys.models.base import TrainingCallback
from es_recsys.models.sasrec import SASRec, SASRecConfig
from es_recsys.models.types import HistoryBatch
from es_recsys.training import early_stopping

TOP, BLOCK = 10, 1_000
COVISITATION = CoVisitationConfig(CooccurrenceConfig(10, 0.8, 0.25, 0.3), 0.5, 0.0, half_life=1.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", choices=["sasrec", "covisitation"])
    parser.add_argument("file", type=Path)
    parser.add_argument("--back", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    arguments = parser.parse_args()
    back = arguments.back
    rows = [(user, items) for user, items in lines(arguments.file) if len(items) > back]
    events, wanted = {user: items[:-back] for user, items in rows}, {user: items[-back] for user, items in rows}
    changes = {name: json.loads(value) for name, value in (one.split("=") for one in arguments.set)}
    model = CoVisitation(COVISITATION) if arguments.model == "covisitation" else SASRec(replace(SASRecConfig(), **changes))
    began, cpu = time.perf_counter(), time.process_time()
    model = early_stopping.fit(
        model, interactions(events), np.random.default_rng(arguments.seed), callback=TrainingCallback(tell)
    )
    print(f"fit: {time.perf_counter() - began:.0f} s ({time.process_time() - cpu:.0f} s of processor)", flush=True)
    found = answers(model, events, wanted)
    print(f"Recall@{TOP} {(found > 0).mean():.4f}  NDCG@{TOP} {found.mean():.4f}  {len(found):,} users")
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")


def tell(done: int, total: int, figures: Mapping[str, float]) -> None:
    print(f"epoch {done} of {total}:", *(f"{name} {value:.4f}" for name, value in figures.items()), flush=True)


def answers(model: Model, events: Mapping[str, list[str]], wanted: Mapping[str, str]) -> np.ndarray:
    """NDCG@10 of each user."""
    users, values = sorted(wanted), []
    for begin in range(0, len(users), BLOCK):
        some = users[begin : begin + BLOCK]
        batch = HistoryBatch.of([History.of(events[user]) for user in some], model.item_ids)
        known = [model.item_ids.find(events[user]) for user in some]
        hits = [places for places, _ in model.recommend_idx(batch, TOP, known)]
        values.append(ndcg(hits, tuple(model.item_ids.find([wanted[user]]) for user in some), TOP))
    return np.concatenate(values)


if __name__ == "__main__":
    main()
