"""What a store takes: bytes of an item and an event on disk, and the memory of a process that answers, by items.

The catalogue is that of the benchmark: the sample store's products in other words, with text vectors of 384 numbers, no pictures.

python scripts/sizing.py [--sizes 3000,20000] [--events 100000]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from bench import loading
from bench.event_load import NEWEST, SPAN_S, make_events, write_events
from measuring import busy, machine, own_store, show, stored_bytes, timed

from es_recsys import Client
from es_recsys.index import versions
from es_recsys.jobs.load_events import load_events
from es_recsys.settings import EncoderSettings

ASKED = """
import json, re, sys
from pathlib import Path
from es_recsys import Client
from es_recsys.settings import load_settings
def memory():
    found = dict(re.findall(r"(VmRSS|RssAnon|RssFile):\\s+(\\d+) kB", Path("/proc/self/status").read_text()))
    return {name: int(kib) / 1024 for name, kib in found.items()}
with Client(settings=load_settings()) as client:
    before = memory()
    for k in range(200):
        client.search("red running shoes", user_id=f"user-{k}")
        client.recommend(f"user-{k}")
    print(json.dumps([before, memory()]))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="3000,20000")
    parser.add_argument("--events", type=int, default=100_000)
    given = parser.parse_args()
    rows = []
    with own_store(f"sizing_{os.getpid()}", encoders=EncoderSettings(image="none")) as client:
        print(f"{machine(client)}; {busy()}")
        for size in map(int, given.sizes.split(",")):
            rows.append(measured(client, size, given.events))
            loading.drop(client)
    columns = ["items", "an item on disk, kB", "its words, kB", "forward index an item, kB", "an event, B"]
    show("Sizes", [*columns, "client, MiB", "of that files, MiB", "events load, s"], rows)


def measured(client: Client, size: int, events: int) -> list[str]:
    """A row: a catalogue of this size with events of a tenth as many users, and a process that answers from it."""
    catalogue = loading.make(client.settings, size)
    loading.index(client, catalogue)
    loading.store_forward_index(client)
    ids = [item.item_id for item in catalogue.items]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "events.jsonl"
        write_events(path, make_events(ids, events, max(events // 100, 100), NEWEST - SPAN_S, SPAN_S, seed=7))
        loading_s = timed(load_events, client.workspace, [path])
    work, home = client.workspace, client.settings.home
    work.es.indices.forcemerge(index=f"{client.settings.index}-*", max_num_segments=1)
    (live,) = [one for one in versions.list_versions(work.es, client.settings.index) if one.live]
    disk = stored_bytes(work.es, live.metadata.index) / size
    text = sum(len(item.model_dump_json(exclude_none=True)) for item in catalogue.items) / size
    forward = sum(path.stat().st_size for path in home.rglob("*") if "forward" in str(path.parent) and path.is_file())
    database = sum(path.stat().st_size for path in home.glob("events.sqlite3*"))
    before, after = _asked(client)
    return [
        f"{size:,}",
        f"{disk / 1e3:.2f}",
        f"{text / 1e3:.2f}",
        f"{forward / size / 1e3:.2f}",
        f"{database / events:.0f}",
        f"{before['VmRSS']:.0f} at its start, {after['VmRSS']:.0f}",
        f"{after['RssFile']:.0f}",
        f"{loading_s:.1f}",
    ]


def _asked(client: Client) -> list[dict[str, float]]:
    environment = {
        **os.environ,
        "ES_RECSYS_URL": client.workspace.url,
        "ES_RECSYS_INDEX": client.settings.index,
        "ES_RECSYS_HOME": str(client.settings.home),
        "ES_RECSYS_ENCODERS__IMAGE": "none",
    }
    done = subprocess.run([sys.executable, "-c", ASKED], env=environment, check=True, stdout=subprocess.PIPE)
    found: list[dict[str, float]] = json.loads(done.stdout)
    return found


if __name__ == "__main__":
    main()
