"""Measures whole calls of the client against one plain Elasticsearch search: `python scripts/benchmark.py [--only answers]`.

Every figure is a ratio within one run, ours and the other in turns. The store is the sample store, its products repeated with
other words and with vectors near those of the real text encoder; at ES_RECSYS_URL, else on an embedded node of the run's own.
Prints tables and drops its store.
"""

from __future__ import annotations

import argparse
import gc
import sys
import time

from bench import answers, breakdown, encoding, event_load, events, loading, ready, starting, throughput
from bench.questions import make_questions
from measuring import busy, machine, own_store, show

from es_recsys import Client
from es_recsys.settings import EncoderSettings

INDEXING, PLAIN, ANSWERS, TIME, EVENTS = "indexing", "plain", "answers", "time", "events"
CONCURRENT, BATCH, STARTING, READY, ENCODING, EVENT_LOAD = "concurrent", "batch", "starting", "ready", "encoding", "event-load"
PARTS = (INDEXING, PLAIN, ANSWERS, TIME, EVENTS, CONCURRENT, BATCH, STARTING, READY, ENCODING, EVENT_LOAD)
WITH_EVENTS = {ANSWERS, TIME, EVENTS, CONCURRENT, BATCH, STARTING, READY}
ONCE = 50_000
"""Catalogues from this size on are indexed once each way."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="3000,20000,100000", help="documents, one or more numbers with commas between")
    parser.add_argument("--only", default=",".join(PARTS), help=f"parts, with commas between: {', '.join(PARTS)}")
    parser.add_argument("--calls", type=int, default=2_000, help="of each kind of answer; a p99 needs many")
    parser.add_argument("--repetitions", type=int, default=3, help="of indexing and encoding, each ours and bare")
    parser.add_argument("--events", type=int, default=1_000_000, help=f"that {EVENT_LOAD} loads")
    arguments = parser.parse_args()
    sizes = [int(size) for size in arguments.sizes.split(",")]
    parts = set(arguments.only.split(","))
    if unknown := parts - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    started = time.monotonic()
    with own_store("bench", encoders=EncoderSettings(image="none")) as client:
        print(f"{machine(client)}; {busy()} before the start", flush=True)
        if INDEXING in parts:
            loading.warm_up(client, 2 * sizes[0])
        if parts - {ENCODING, EVENT_LOAD}:
            for size in sizes:
                _measure(client, size, parts if size == sizes[-1] else parts - {STARTING}, arguments.calls, arguments.repetitions)
                loading.drop(client)
        if ENCODING in parts:
            show("Encoding", loading.COLUMNS, encoding.encoding(client.settings, arguments.repetitions))
        if EVENT_LOAD in parts:
            show("Loading events", event_load.COLUMNS, event_load.event_load(client, arguments.events))
    print(f"\n{time.monotonic() - started:.0f} seconds; {busy()} at the end")
    return 0


def _measure(client: Client, size: int, parts: set[str], calls: int, repetitions: int) -> None:
    """Shows the parts' tables for a catalogue of this size, which stays."""
    catalogue = loading.make(client.settings, size)
    questions = make_questions(catalogue, calls)

    def title(what: str) -> str:
        return f"{size:,} documents: {what}"

    if INDEXING in parts:
        turns = 1 if size >= ONCE else repetitions
        show(title("indexing"), loading.COLUMNS, [loading.throughput(client, catalogue, turns)])
    else:
        loading.index(client, catalogue)
    _freeze_garbage()
    if PLAIN in parts:
        loading.store_forward_index(client)
        show(title("a plain catalogue"), answers.COLUMNS, answers.plain_catalogue(client, questions, calls))
    if not parts & WITH_EVENTS:
        return
    events.prepare(client, catalogue)
    _freeze_garbage()
    if ANSWERS in parts:
        show(title("answers"), answers.COLUMNS, answers.answers(client, questions, size, calls))
    if TIME in parts:
        show(title("where the time goes"), breakdown.COLUMNS, answers.time_of_answers(client, questions, calls))
    if EVENTS in parts:
        show(title("events"), events.COLUMNS, events.event_to_answer(client, questions, calls))
    if CONCURRENT in parts:
        show(title("answers at once"), throughput.CONCURRENT_COLUMNS, throughput.concurrent(client, questions, calls))
    if BATCH in parts:
        show(title("batches"), throughput.BATCH_COLUMNS, throughput.batches(client, questions, calls))
    if STARTING in parts:
        show(title("processes"), starting.COLUMNS, starting.starting(client))
    if READY in parts:  # the last one, as the lists stay
        show(title("ready lists"), ready.COLUMNS, ready.ready_lists(client, questions, calls))


def _freeze_garbage() -> None:
    """Leave what is there out of later garbage collections: no service has the catalogue in memory."""
    gc.collect()
    gc.freeze()


if __name__ == "__main__":
    sys.exit(main())
