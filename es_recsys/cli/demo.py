"""The command demo: a sample store, loaded, trained and searched, every number computed live."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from es_recsys.cli.init import SCENARIOS, scenario_file
from es_recsys.cli.options import before_command
from es_recsys.cli.printing import say, show_report, table
from es_recsys.cli.progress_bar import progress
from es_recsys.errors import InputError

if TYPE_CHECKING:
    from es_recsys.client import Client
    from es_recsys.query import Answer
    from es_recsys.sample import SampleStore, Shopper
    from es_recsys.settings import Settings

__all__ = ["demo"]

_QUERY = "shoes"
_SHOWN = 6
_ITEMS, _SHOPPERS = 2_000, 500


def demo(
    context: typer.Context,
    serve: Annotated[bool, typer.Option("--serve", help="Serve the store over HTTP afterwards, until Ctrl-C.")] = False,
    items: Annotated[int | None, typer.Option(min=200, help=f"Number of products of the shop (default: {_ITEMS}).")] = None,
    shoppers: Annotated[int | None, typer.Option(min=50, help=f"Number of shoppers of the shop (default: {_SHOPPERS}).")] = None,
    seed: Annotated[int, typer.Option(help="Random seed; the same seed gives the same store.")] = 7,
    scenario: Annotated[str, typer.Option(help=f"What the store is like: {', '.join(SCENARIOS)}.")] = "shop",
    url: Annotated[
        str | None, typer.Option(help="Elasticsearch URL (default: a node of its own).", rich_help_panel="Global options")
    ] = None,
) -> None:
    """Load and train a sample store, and show personalised answers."""
    from es_recsys.client import Client
    from es_recsys.sample import sample_store

    if scenario != "shop":
        from es_recsys.cli.feed_demo import show_feed

        if items is not None or shoppers is not None:
            raise InputError(f"The sample feed of {scenario!r} has one size.", "Leave out --items and --shoppers.")
    with _folder() as folder:
        settings = _settings(url or before_command(context).get("url"), folder, scenario)
        started = time.monotonic()
        _head("A real Elasticsearch")
        with Client(settings=settings, keep=False) as client:
            say(f"at {client.workspace.address}, in {time.monotonic() - started:.1f} s")
            try:
                if scenario != "shop":
                    reader, topic = show_feed(client, scenario, seed)
                    if serve:
                        _serve(client, reader, reader, {"categories": topic})
                    return
                store = sample_store(seed=seed, items=items or _ITEMS, users=shoppers or _SHOPPERS, end=datetime.now(UTC))
                _load(client, store, folder)
                _show(client, store)
                if serve:
                    one, other = store.opposites
                    _serve(client, one.user_id, other.user_id, {"title": _QUERY})
            finally:
                _drop(client)


def _settings(url: str | None, folder: Path, scenario: str) -> Settings:
    from es_recsys.settings import load_settings

    config = None if scenario == "shop" else scenario_file(scenario)
    settings = load_settings(config, url=url, index="demo", home=folder / "home")
    if find_spec("soundfile") is not None:
        return settings
    # Some products have sounds; without the extra audio all else is shown.
    return settings.model_copy(update={"encoders": settings.encoders.model_copy(update={"audio": "none"})})


@contextmanager
def _folder() -> Iterator[Path]:
    """Make a folder for everything but caches, removed at the end."""
    folder = Path(tempfile.mkdtemp(prefix="es-recsys-demo-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _drop(client: Client) -> None:
    from es_recsys.errors import RecsysError
    from es_recsys.serving.workspace import drop_store

    try:
        drop_store(client.workspace)
    except RecsysError:
        return  # nothing was made yet


def _load(client: Client, store: SampleStore, folder: Path) -> None:
    from es_recsys.jobs.load_events import load_events
    from es_recsys.jobs.load_items import load_items
    from es_recsys.training.train import train

    work = client.workspace
    heard = sum(item.audio is not None for item in store.items)
    products = f"{len(store.items):,} products with pictures, {heard:,} of them with sounds"
    counts = f"{products}, {len(store.events):,} events of {len(store.shoppers):,} shoppers"
    _head(f"A sample store: {counts}")
    store.write(folder)
    for line in load_items(work, [folder / "items.jsonl"]).lines():
        say(line)
    for line in load_events(work, [folder / "events.jsonl"]).lines():
        say(line)
    _head("Training, with models and weights chosen on held-out events")
    with progress("train") as bar:
        report = train(work, progress=bar)
    show_report(report, False, bar.shown)


def _show(client: Client, store: SampleStore) -> None:
    one, other = store.opposites
    neutral = client.search(_QUERY, n=_SHOWN, explain=True)
    mine = client.search(_QUERY, user_id=one.user_id, n=_SHOWN, explain=True)
    theirs = client.search(_QUERY, user_id=other.user_id, n=_SHOWN, explain=True)
    _head(f'The same query, "{_QUERY}", for three people')
    _side_by_side(
        [("nobody in particular", neutral), (f"{one.name}: {one.persona}", mine), (f"{other.name}: {other.persona}", theirs)]
    )
    for name, answer in ((one.name, mine), (other.name, theirs)):
        _why(client, f"Why {name} sees this", answer)
    _recommendations(client, store)
    _new_event(client, one, other)
    _picture(client, store)
    _sound(client, store)


def _recommendations(client: Client, store: SampleStore) -> None:
    one, other = store.opposites
    _head("Recommendations, without any query")
    _side_by_side(
        [
            ("a stranger", client.recommend(n=_SHOWN)),
            (one.name, client.recommend(one.user_id, n=_SHOWN)),
            (other.name, client.recommend(other.user_id, n=_SHOWN)),
        ],
        "title (price) score; each of a user's interests has ranks of its own, so scores may rise",
    )


def _new_event(client: Client, one: Shopper, other: Shopper) -> None:
    """Show what a stranger sees after buying what `other` likes."""
    from es_recsys.types import Event

    visitor = "a-new-visitor"
    item = client.search(_QUERY, user_id=other.user_id, n=1).hits[0]
    before = client.search(_QUERY, session_id=visitor, n=_SHOWN)
    events = [
        Event(event_type="view", session_id=visitor, item_id=item.item_id),
        Event(event_type="purchase", session_id=visitor, item_id=item.item_id),
    ]
    started = time.perf_counter()
    client.put_events(events)
    after = client.search(_QUERY, session_id=visitor, n=_SHOWN)
    took = (time.perf_counter() - started) * 1_000
    _head(f'A stranger buys "{item.title}": the next answer, {took:.0f} ms later')
    _side_by_side([("before", before), ("after", after)])


def _picture(client: Client, store: SampleStore) -> None:
    from es_recsys.sample import picture

    pictured = next(item for item in store.items if item.image and "Shoes" in item.categories)
    answer = client.search(image=picture(pictured), n=_SHOWN)
    _head(f'A query by picture: that of "{pictured.title}"')
    _side_by_side([("most similar", answer)])


def _sound(client: Client, store: SampleStore) -> None:
    from es_recsys.sample import sound

    heard = next((item for item in store.items if item.audio), None)
    if heard is None or client.settings.encoders.audio == "none":
        return
    answer = client.search(audio=sound(heard), n=_SHOWN)
    _head(f'A query by sound: that of "{heard.title}"')
    _side_by_side([("most similar", answer)])


def _side_by_side(answers: Sequence[tuple[str, Answer]], note: str = "title (price) score") -> None:
    rows = []
    for number in range(max(len(answer.hits) for _, answer in answers)):
        row = [str(number + 1)]
        for _, answer in answers:
            hit = answer.hits[number] if number < len(answer.hits) else None
            row.append("" if hit is None else f"{hit.title} ({hit.source.get('price', 0):,.0f}) {hit.score:.2f}")
        rows.append(row)
    table(note, ["", *(name for name, _ in answers)], rows, right=("",))


def _why(client: Client, title: str, answer: Answer) -> None:
    from es_recsys.cli.output import parts

    _head(title)
    hits = answer.hits[:3]
    titles = client.titles(item_id for hit in hits for item_id in hit.because)
    rows = [[hit.title, f"{hit.score:.2f}", parts(hit), "; ".join(titles.get(i, i) for i in hit.because)] for hit in hits]
    table(
        "the largest parts of each score, and the user's own items that speak for the hit",
        ["hit", "score", "parts", "because"],
        rows,
        right=("score",),
    )


def _head(text: str) -> None:
    say(f"\n== {text}")


def _serve(client: Client, user_id: str, liked_by: str, query: Mapping[str, str]) -> None:
    """Keep the store up, with the HTTP service before it where that is installed, until Ctrl-C.

    user_id, query: of the requests to try: field -> words. liked_by: who likes what the stranger in them takes.
    """
    try:
        from es_recsys.service.server import bind, serve
    except ModuleNotFoundError:
        say(f"\nThe store demo is at {client.workspace.address}. Ctrl-C ends the demo and removes the store.")
        with suppress(KeyboardInterrupt):
            while True:
                time.sleep(3_600)
        return
    # The requests to try have no credentials of their own, and nobody else reaches the store.
    service = client.settings.service.model_copy(update={"own_credentials": True})
    settings = client.settings.model_copy(update={"url": client.workspace.url, "service": service})
    listening = bind(settings, "127.0.0.1", 0)
    address = f"http://127.0.0.1:{listening.getsockname()[1]}"
    _head(f"The store is at {client.workspace.address}, the service at {address}. Ctrl-C ends the demo and removes the store")
    body = {"query": {"match": dict(query)}, "size": 1}
    item = client.search(body=body, source_index="demo-items", user_id=liked_by).hits[0].item_id
    for title, line in _curl_lines(address, user_id, item, json.dumps(query)):
        say(f"# {title}\n{line}")
    sys.stdout.flush()
    with suppress(KeyboardInterrupt):
        serve(settings, listening)


def _curl_lines(address: str, user_id: str, item_id: str, match: str) -> Iterator[tuple[str, str]]:
    """Yield requests to try: a title, and a line for a shell."""

    def search(ext: str = "") -> str:
        body = f'{{"query": {{"match": {match}}}, "_source": ["title"]{ext}}}'
        return f"curl -s '{address}/demo-items/_search?pretty' -H 'content-type: application/json' -d '{body}'"

    def of(person: str) -> str:
        return f', "ext": {{"es_recsys": {{{person}, "explain": true}}}}'

    visitor = '"session_id": "me"'
    event = f'{{"event_type": "purchase", {visitor}, "item_id": "{item_id}"}}'
    yield "Elasticsearch's own answer", search()
    yield "the same query for somebody", search(of(f'"user_id": "{user_id}"'))
    yield "a stranger buys something", f"curl -s {address}/api/v1/events -H 'content-type: application/json' -d '{event}'"
    yield "what the stranger finds from then on", search(of(visitor))
