"""Measures what the package costs on top of what it stands on: `python scripts/benchmark.py [--sizes 20000,100000]`.

Every figure is a ratio to the bare tool within one run, in turns, medians over repetitions. The store is the sample store,
its products repeated with other words and with vectors near those of the real text encoder; at ES_RECSYS_URL, else on an
embedded node of the run's own. Prints tables and drops its store.
"""

from __future__ import annotations

import argparse
import sys

from bench import loading, searching
from bench.encoding import encoding
from bench.starting import starting
from measuring import busy, machine, own_store, show

from es_recsys.settings import EncoderSettings

COLUMNS = ["measured", "ours", "bare", "ratio", "goal"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="20000,100000", help="documents, one or more numbers with commas between")
    parser.add_argument("--repetitions", type=int, default=3, help="of loading and encoding, each ours and bare")
    arguments = parser.parse_args()
    sizes = [int(size) for size in arguments.sizes.split(",")]
    encoders = EncoderSettings(image="none")
    with own_store("bench", encoders=encoders) as client:
        print(f"{machine(client)}; {busy()} before the start", flush=True)
        loading.warm_up(client)
        for size in sizes:
            catalogue = loading.make(client.settings, size)
            found = [loading.throughput(client, catalogue, arguments.repetitions)]
            searching.prepare(client, catalogue)
            found += searching.latency(client, catalogue)
            found += searching.event_to_answer(client, catalogue)
            if size == sizes[-1]:
                found += starting(client)
            show(f"{size:,} documents", COLUMNS, found)
            loading.drop(client)
        show("Encoding", COLUMNS, encoding(client.settings, arguments.repetitions))
    return 0


if __name__ == "__main__":
    sys.exit(main())
