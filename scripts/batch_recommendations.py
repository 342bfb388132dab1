"""`batch recommend` for all users of a known data set: `python scripts/batch_recommendations.py gowalla FOLDER`.

FOLDER is as for offline_models.py. Trained are the models that `train` chooses there, with its shares and their usual settings:
co-visitation, ALS of 256 factors, BSPM. Some users are recommended to one by one as well, and their lists are compared; ready
lists are made for as many.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import orjson
from measuring import busy, machine, own_store, show, timed
from offline_models import Users, gowalla

from es_recsys import Client, Item
from es_recsys.jobs.batch import answer_file
from es_recsys.jobs.load_events import load_events
from es_recsys.models import ALSConfig, CoVisitation
from es_recsys.models.bspm import BSPMConfig
from es_recsys.serving.stored_interactions import load_interactions
from es_recsys.settings import EncoderSettings
from es_recsys.sources.read_options import ReadOptions
from es_recsys.training.train_version import train_and_publish, train_spec

CONFIGS = {"als": ALSConfig(factors=256), "bspm": BSPMConfig(), "covisitation": CoVisitation.default_config(False, False)}
SHARES = {"covisitation": 0.54, "als": 0.36, "bspm": 0.1}
N = 10


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", choices=["gowalla"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--single", type=int, default=1_000, help="so many users are recommended to one by one")
    arguments = parser.parse_args()
    events, _ = gowalla(arguments.folder)
    with own_store("batch_measured", encoders=EncoderSettings(text="none", image="none")) as client:
        prepare(client, events)
        users = list(events)
        batch_s, lists = recommend_all(client, users)
        some = users[:: max(len(users) // arguments.single, 1)][: arguments.single]
        single = {user: [hit.item_id for hit in client.recommend(user, n=N).hits] for user in some[:20]}
        single_s = timed(
            lambda: single.update((user, [hit.item_id for hit in client.recommend(user, n=N).hits]) for user in some)
        )
        same = sum(lists[user] == single[user] for user in some)
        ready_s = timed(client.store_recommendations, some)
        rows = [
            ["batch recommend", f"{len(users) / batch_s:,.0f}"],
            ["one by one", f"{len(some) / single_s:,.0f}"],
            ["ready lists", f"{len(some) / ready_s:,.0f}"],
            ["lists that are equal", f"{same / len(some):.2%} of {len(some):,}"],
        ]
        show(f"{len(users):,} users; {machine(client)}; {busy()}", ["measured", "users/s"], rows)
    return 0


def prepare(client: Client, events: Users) -> None:
    """Load items and events, and train."""
    work = client.workspace
    client.insert_items(
        [Item(item_id=item_id) for item_id in sorted({item_id for items in events.values() for item_id in items})]
    )
    with TemporaryDirectory() as folder:
        file = Path(folder) / "events.jsonl"
        lines = ({"user_id": user, "item_id": item_id} for user, items in events.items() for item_id in items)
        file.write_bytes(b"".join(orjson.dumps(line) + b"\n" for line in lines))
        load_events(work, [file], ReadOptions(constants={"event_type": "view"}, timestamps=False))
    snapshot, now = work.snapshots.for_training(), work.now()
    spec = train_spec(work, snapshot.metadata, (), CONFIGS, (), SHARES)
    train_and_publish(work, snapshot, load_interactions(work, snapshot.metadata, now), now, spec)


def recommend_all(client: Client, users: Sequence[str]) -> tuple[float, dict[str, list[str]]]:
    """Return the seconds of a batch from file to file, and user -> list."""
    with TemporaryDirectory() as folder:
        file, out = Path(folder) / "users.jsonl", Path(folder) / "answers.jsonl"
        file.write_bytes(b"".join(orjson.dumps({"user_id": user}) + b"\n" for user in users))
        started = time.perf_counter()
        answer_file(client.execute_many, "recommend", file, n=N, out=out)
        seconds = time.perf_counter() - started
        answers = map(orjson.loads, out.read_bytes().splitlines())
        return seconds, {answer["user_id"]: [hit["item_id"] for hit in answer["hits"]] for answer in answers}


if __name__ == "__main__":
    sys.exit(main())
