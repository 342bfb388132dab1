"""The demo of a feed, as of news or posts: what two readers are shown, what is breaking, and what an event changes at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from es_recsys.cli.init import scenario_text
from es_recsys.cli.printing import say, show_report, table
from es_recsys.cli.progress_bar import progress

if TYPE_CHECKING:
    from es_recsys.client import Client
    from es_recsys.query import Answer

__all__ = ["show_feed"]

_SHOWN = 6
_READERS = 200


def show_feed(client: Client, scenario: str, seed: int) -> tuple[str, str]:
    """Load and train a sample feed, and show it to two readers who like different topics. Return one and what they like."""
    from es_recsys.sample.feed import feed
    from es_recsys.training.train import train

    say(f"\n== The settings that `es-recsys init --scenario {scenario}` writes\n{scenario_text(scenario)}")
    made = feed(scenario, seed=seed, readers=_READERS)
    say(f"\n== A sample feed: {len(made.items):,} items, {len(made.events):,} events of {_READERS} readers")
    for line in client.insert_items(made.items).lines():
        say(line)
    client.put_events(made.events)
    from es_recsys.serving.refresh import refresh_after_events

    refresh_after_events(client.workspace)
    say("\n== Training, with models and weights chosen on held-out events")
    with progress("train") as bar:
        # Nothing is searched for below, and to choose how searches are takes longer than all the rest.
        report = train(client.workspace, progress=bar, searches=False)
    show_report(report, False, bar.shown)
    one, other = made.opposites
    names = {reader: max(made.preferences[reader], key=made.preferences[reader].__getitem__) for reader in (one, other)}
    _side_by_side(
        "Recommended",
        [
            ("a stranger", client.recommend(n=_SHOWN)),
            *((f"{reader}, who likes {names[reader]}", client.recommend(reader, n=_SHOWN)) for reader in (one, other)),
        ],
    )
    _trending(client, one)
    _mute(client, one)
    return one, names[one]


def _trending(client: Client, reader: str) -> None:
    answers = [("by everybody", client.trending(n=_SHOWN, hours=1.0))]
    answers.append((f"in the circle of {reader}", client.trending(reader, circle=True, n=_SHOWN, hours=48.0)))
    _side_by_side("Trending: the last hour, and among those who read alike in two days", answers)
    found = client.authors_to_follow(reader, n=4)
    say(f"{reader} might follow: {', '.join(each.author for each in found) or 'nobody yet'}")


def _mute(client: Client, reader: str) -> None:
    """Show that a muted author is gone from the next answer."""
    from es_recsys.types import Event

    before = client.recommend(reader, n=_SHOWN)
    author = str(before.hits[0].source.get("author"))
    client.put_events([Event(event_type="mute", user_id=reader, item_id=author)])
    after = client.recommend(reader, n=_SHOWN)
    _side_by_side(f"{reader} mutes {author}: the next answer", [("before", before), ("after", after)])


def _side_by_side(title: str, answers: Sequence[tuple[str, Answer]]) -> None:
    say(f"\n== {title}")
    rows = []
    for rank in range(max((len(answer.hits) for _, answer in answers), default=0)):
        hits = [answer.hits[rank] if rank < len(answer.hits) else None for _, answer in answers]
        rows.append([str(rank + 1), *("" if hit is None else f"{hit.title} ({hit.source.get('author', '')})" for hit in hits)])
    table("title (author)", ["", *(name for name, _ in answers)], rows, right=("",))
