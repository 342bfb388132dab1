"""Make the files beside this script: a small store, as es-recsys before 0.2 (commit ea8f55b) wrote it.

It runs on the code of that commit, not on today's:

    git worktree add --detach OLD ea8f55b
    ES_RECSYS_URL=... PYTHONPATH=OLD python tests/integration/store_of_before/make.py

indices.json.gz has mapping, settings, aliases and documents of each index, home.tar.gz the home folder with the event database,
the key, the artefacts and the answer log, answers.json what that version answered. The catalogue and the events are made up here.
"""

from __future__ import annotations

import gzip
import json
import os
import tarfile
import tempfile
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

from elasticsearch import Elasticsearch, helpers

from es_recsys import Client, Event, Item, Settings
from es_recsys.settings import EncoderSettings

HERE = Path(__file__).parent
STORE = "storeofbefore"
KINDS, COLOURS = ("boots", "shirt", "lamp", "kettle"), ("red", "green", "blue", "black", "white", "amber")
START = datetime(2025, 1, 1, tzinfo=UTC)


def items() -> list[Item]:
    return [
        Item(
            item_id=f"i{6 * kind + colour:02}",
            title=f"{COLOURS[colour]} {KINDS[kind]}",
            description=f"A {KINDS[kind]} in {COLOURS[colour]}",
            categories=("Wear" if kind < 2 else "Home", KINDS[kind].title()),
            brand=("Fellmark", "Linden")[colour % 2],
            price=10.0 + (7 * kind + 11 * colour) % 60,
            attributes={"colour": COLOURS[colour], "size": 40 + colour},
        )
        for kind in range(4)
        for colour in range(6)
    ]


def events() -> list[Event]:
    """150 events of 12 users, of whom six look at seven things that are worn each, and six at seven for the home."""
    found = []
    for number in range(150):
        user, step = number % 12, number // 12
        item = 12 * (user % 2) + (user + 2 * step + step % 3) % 7 + user // 2 % 6
        kind = "rating" if step == 5 else "purchase" if step % 4 == 3 else "view"
        when = START + timedelta(hours=3 * number)
        value = {"rating": 4.0, "purchase": 1.0}.get(kind)
        found.append(Event(event_type=kind, user_id=f"u{user}", item_id=f"i{item:02}", timestamp=when, value=value))
    return found


def judgments(folder: Path) -> Path:
    """For each query the cheapest of what it is about."""
    queries = [*KINDS, *COLOURS, *(f"{colour} {kind}" for kind in KINDS for colour in COLOURS)]
    lines = []
    for query in queries:
        about = [item for item in items() if set(query.split()) & set(item.title.split())]
        cheap = sorted(about, key=lambda item: item.price or 0.0)[:3]
        lines += [json.dumps({"query": query, "item_id": item.item_id, "grade": 1}) + "\n" for item in cheap]
    file = folder / "judgments.jsonl"
    file.write_text("".join(lines))
    return file


def build(client: Client, folder: Path) -> None:
    # Modules of that commit: today's package has none of these names.
    behaviour, lambdamart, ranking, tuned, tuning = (
        import_module(f"es_recsys.jobs.{name}") for name in ("behaviour", "lambdamart", "ranking", "tuned", "tuning")
    )
    work = client.workspace
    client.insert_items(items())
    client.put_events(events())
    client.train(["als", "transitions", "userknn"])
    behaviour.weigh_events(work, {"view": 0.5})
    file = judgments(folder)
    tuning.tune_search(work, file)
    ranking.train_ranking(work, file, trees=lambdamart.Trees(trees=12, steps=2, leaves=4, depth=3, rate=0.2, least=5, folds=3))
    tuned.save_tuned(work.settings, "transitions", {"target_power": 0.3, "window": (10, 0.8)}, ordered=True, timed=True)
    tuned.keep_history(work.settings, "transitions", {"trials": []})


def answers(client: Client) -> dict[str, Any]:
    profile = client.get_user_profile("u1")
    return {
        "recommend": [(hit.item_id, dict(hit.parts)) for hit in client.recommend("u1", n=8).hits],
        "search": [(hit.item_id, dict(hit.parts)) for hit in client.search("red boots", user_id="u1", n=8).hits],
        "counts": dict(profile.counts),
        "history": list(profile.history.item_ids),
    }


def indices(es: Elasticsearch) -> dict[str, Any]:
    es.indices.refresh(index=f"{STORE}-*")
    found = {}
    for name, body in es.indices.get(index=f"{STORE}-*").items():
        settings = body["settings"]["index"]
        for made in ("creation_date", "uuid", "version", "provided_name"):
            settings.pop(made)
        hits = helpers.scan(es, index=name, query={"_source": {"exclude_vectors": False}})
        documents = {hit["_id"]: hit["_source"] for hit in hits}
        found[name] = {**body, "settings": {"index": settings}, "documents": dict(sorted(documents.items()))}
    return found


def _anonymous(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    return None if entry.name.endswith(".lock") else entry


def main() -> None:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        encoders = EncoderSettings(text="none", image="none")
        url = os.environ["ES_RECSYS_URL"]
        settings = Settings(url=url, index=STORE, home=folder / "home", cache=folder / "cache", encoders=encoders)
        with Client(settings=settings) as client:
            es = client.workspace.es
            try:
                build(client, folder)
                (HERE / "answers.json").write_text(json.dumps(answers(client), indent=1) + "\n")
                stored = json.dumps(indices(es)).encode()
            finally:
                for name in list(es.indices.get(index=f"{STORE}-*")):
                    es.indices.delete(index=name)
        (HERE / "indices.json.gz").write_bytes(gzip.compress(stored, mtime=0))
        with tarfile.open(HERE / "home.tar.gz", "w:gz") as archive:
            archive.add(folder / "home", "home", filter=_anonymous)


if __name__ == "__main__":
    main()
