"""What is trending, everywhere and in one's circle; whom to follow; authors on a page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from es_recsys import Client, Event, Item
from es_recsys.errors import InputError
from es_recsys.query import Answer
from es_recsys.serving.operations import Get, Operation
from es_recsys.settings import Settings

pytestmark = pytest.mark.engine

NOW = datetime.now(UTC)
AUTHORS = ("ann", "ben", "cem", "eve")


def did(kind: str, user: str, item: str, hours: float = 0.0, **more: object) -> Event:
    return Event(event_type=kind, user_id=user, item_id=item, timestamp=NOW - timedelta(hours=hours), **more)


@pytest.fixture(scope="module")
def client(module_settings: Callable[..., Settings]) -> Iterator[Client]:
    """40 posts of four authors; five like "me", who read alike, ten others; one post that all of the last hour read."""
    settings = module_settings()
    search = settings.search.model_copy(update={"max_per_author": 3, "fixed_weights": {"author": 5.0}})
    with Client(settings=settings.model_copy(update={"search": search})) as client:
        client.insert_items(
            Item(item_id=f"p{n}", title=f"post {n}", author=AUTHORS[n % 4], created_at=NOW - timedelta(hours=n % 20))
            for n in range(40)
        )
        events = [did("click", user, f"p{n}", 30.0 + n) for user in ("me", *(f"a{k}" for k in range(5))) for n in range(4)]
        events += [did("click", f"b{k}", f"p{n}", 5.0 * n / 4) for k in range(10) for n in range(8, 28)]
        events += [did("click", f"b{k}", "p30", 0.2) for k in range(10)]
        events += [did("like", f"a{k}", "p35", 0.4) for k in range(3)]
        events += [did("follow", f"a{k}", "eve", 1.0) for k in range(4)]
        client.put_events(events)
        yield client


def ids(answer: Answer) -> list[str]:
    return [hit.item_id for hit in answer.hits]


def test_what_all_read_within_the_hour_comes_first(client: Client) -> None:
    answer = client.trending(hours=1.0, n=5)
    assert ids(answer)[0] == "p30" and set(answer.hits[0].parts) == {"trending"}
    assert len(ids(client.trending(hours=1.0, n=100))) < 40
    assert ids(client.trending(hours=1.0, n=100, filter=["author:eve"])) == ["p35"]
    assert ids(client.trending("b0", hours=1.0, filter=["author:cem"])) == []  # read it


def test_a_circle_is_who_reads_alike_and_whom_one_follows(client: Client) -> None:
    assert ids(client.trending("me", circle=True, hours=1.0)) == ["p35"]
    client.put_events([did("follow", "me", "b1")])
    assert ids(client.trending("me", circle=True, hours=1.0))[:2] == ["p35", "p30"]
    client.put_events([did("hide", "me", "p35")])
    assert ids(client.trending("me", circle=True, hours=1.0))[:1] == ["p30"]
    with pytest.raises(InputError, match="circle"):
        client.trending(circle=True)


def test_whom_to_follow(client: Client) -> None:
    found = client.authors_to_follow("a4", n=3)
    assert (found[0].author, found[0].score, found[0].followers) == ("eve", 1.0, 4)
    assert "eve" not in {each.author for each in client.authors_to_follow("a0", n=10)}
    assert client.authors_to_follow("nobody") == []


def test_a_followed_author_comes_first_and_takes_three_places_of_a_page(client: Client) -> None:
    client.put_events([did("follow", "fan", "ben")])
    first = client.recommend("fan", n=10)
    assert [hit.source["author"] for hit in first.hits[:3]] == ["ben"] * 3
    assert "author" in first.hits[0].parts
    for offset in (0, 10):
        page = client.recommend("fan", n=10, offset=offset)
        assert max(Counter(hit.source["author"] for hit in page.hits).values()) == 3
    scores = {hit.item_id: hit.parts["author"] for hit in first.hits[:3]}
    ranked = {hit.item_id: hit.parts["author"] for hit in client.rank("fan", list(scores)).hits}
    assert scores == pytest.approx(ranked, rel=1e-4)


def test_a_page_of_what_is_trending_is_part_of_one_list(client: Client) -> None:
    whole = client.trending(hours=24.0, n=100)
    scores = [hit.score for hit in whole.hits]
    assert scores == sorted(scores, reverse=True) and scores[0] == 1.0 and scores[-1] > 0.0
    # Neither fixed weights nor a bound for authors, both of which this store has, move anything.
    assert all(hit.parts == {"trending": hit.score} for hit in whole.hits)
    assert whole.ranking.total == len(whole.hits) > 10
    pages = [item for offset in range(0, 40, 5) for item in ids(client.trending(hours=24.0, n=5, offset=offset))]
    assert pages == ids(whole)
    assert client.trending(hours=24.0, filter=["author:nobody"]).hits == ()


def test_what_a_user_mutes_or_hides_is_not_trending_for_them_and_no_list_has_it(client: Client) -> None:
    client.put_events([did("mute", "quiet", "cem"), did("hide", "quiet", "p35")])
    shown = {hit.source["author"] for hit in client.trending("quiet", hours=24.0, n=100).hits}
    assert shown == {"ann", "ben", "eve"}
    assert "p35" not in ids(client.trending("quiet", hours=24.0, n=100))
    assert "cem" in {hit.source["author"] for hit in client.trending("somebody", hours=24.0, n=100).hits}


@pytest.mark.parametrize("circle", [False, True])
def test_a_profile_is_read_once(client: Client, circle: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[Operation] = []
    steps_of = client.workspace.driver.steps_of
    monkeypatch.setattr(client.workspace.driver, "steps_of", lambda operation: done.append(operation) or steps_of(operation))
    client.trending("me", circle=circle, hours=48.0)
    assert sum(isinstance(operation, Get) for operation in done) == 1
