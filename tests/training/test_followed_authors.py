"""The share of what followed authors made: chosen by events where people turn to it, the settings' own where nobody follows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from es_recsys.dataset import Interactions, ItemTable
from es_recsys.evaluation.holdout import temporal_split
from es_recsys.events.follows import Follows, read_follows
from es_recsys.events.store import EventStore
from es_recsys.models import PopularityConfig
from es_recsys.training.followed_authors import followed_authors_of, with_followed
from es_recsys.training.item_table import table_of
from es_recsys.training.model_selection import Selection, TrainSpec, select
from es_recsys.training.publish import weight_tables
from es_recsys.training.selection_report import Report
from es_recsys.types import Event, Item

DAYS, AUTHORS, USERS = 12, 20, 160
DAY = 86_400.0


def _follows(user: int) -> list[int]:
    return [user % AUTHORS, (user * 7 + 3) % AUTHORS]


@pytest.fixture(scope="module")
def feed(interactions: Callable[..., Interactions]) -> Interactions:
    """Each author makes an item a day. Everybody opens those of the authors whom they follow, and one of somebody else's."""
    rng = np.random.default_rng(3)

    def opened(user: int) -> list[tuple[str, float, float]]:
        authors = [(day, author) for day in range(DAYS) for author in (*_follows(user), int(rng.integers(AUTHORS)))]
        return sorted(((f"d{day:02}a{author:02}", 1.0, day + rng.random()) for day, author in authors), key=lambda one: one[2])

    return interactions({f"u{user:03}": opened(user) for user in range(USERS)}, timed=True)


@pytest.fixture(scope="module")
def catalogue(feed: Interactions) -> ItemTable:
    return table_of(
        [
            Item(item_id=one, author=one[3:], created_at=datetime.fromtimestamp(int(one[1:3]) * DAY, UTC))
            for one in feed.item_ids.tolist()
        ]
    )


@pytest.fixture(scope="module")
def follows() -> Follows:
    """Everybody follows two authors from the first day on."""
    return Follows({f"u{user:03}": [(0.0, "", f"a{author:02}", 1) for author in _follows(user)] for user in range(USERS)})


@pytest.fixture(scope="module")
def spec(catalogue: ItemTable, follows: Follows) -> TrainSpec:
    """Popularity is fixed, and so is recency: what authors count is chosen."""
    fixed = frozenset({"popularity", "recency"})
    return TrainSpec(
        ("als",), items=catalogue, half_lives=PopularityConfig(1.0, 0.2), pivot_hours=6.0, follows=follows, fixed=fixed
    )


def test_authors_have_a_share_where_people_turn_to_whom_they_follow(feed: Interactions, spec: TrainSpec) -> None:
    chosen = select(feed, np.random.default_rng(1), 5.0, spec=spec)
    share = chosen.neutral["author"]
    assert 0.0 < share < 1.0 and chosen.report.figures["author"]["share"] == share
    assert any(line.startswith(f"The same for all, and authors: author {share:.0%} (NDCG@20 +") for line in chosen.report.lines)
    table = weight_tables(chosen)["no_query"]
    assert table["author"] == share and table["als"] == pytest.approx(1.0 - share)


def test_beside_what_is_the_same_for_all_all_are_chosen(feed: Interactions, spec: TrainSpec) -> None:
    chosen = select(feed, np.random.default_rng(1), 5.0, spec=replace(spec, fixed=frozenset()))
    assert chosen.neutral.keys() == {"popularity", "recency", "author"}
    assert chosen.neutral["author"] > 0.0 and sum(chosen.neutral.values()) < 1.0


def test_where_nobody_follows_or_the_settings_fix_it_nothing_is_chosen(feed: Interactions, spec: TrainSpec) -> None:
    fixed = replace(spec, fixed=spec.fixed | {"author"})
    for other in (replace(spec, follows=None), replace(spec, follows=Follows()), replace(spec, items=None), fixed):
        assert select(feed, np.random.default_rng(1), 0.0, spec=other).neutral == {}


def test_what_was_not_weighed_is_left_to_the_settings() -> None:
    report = Report((), {})
    assert "author" not in weight_tables(Selection({}, {"als": 1.0}, report))["no_query"]
    weighed = weight_tables(Selection({}, {"als": 1.0}, report, neutral={"author": 0.0}))["no_query"]
    assert 0.0 < weighed["author"] < 0.01


def test_it_is_scored_as_the_retriever_does(feed: Interactions, catalogue: ItemTable) -> None:
    """A followed author's item scores its recency, one of an author who is liked alone less, another nothing."""
    part = temporal_split(feed, np.random.default_rng(0), 20)
    user = int(part.users[0])
    known = with_followed(part, Follows({f"u{user:03}": [(0.0, "", "a05", 1)]}))
    found = followed_authors_of(known, catalogue, 6.0, 60.0)
    assert found is not None and followed_authors_of(part, catalogue, 6.0, 60.0) is None
    last = int(part.rule.moment // DAY)
    ids = [f"d{last - 1:02}a05", f"d{last + 1:02}a05", f"d{last - 1:02}a{_follows(user)[0]:02}"]
    item_idx = found.item_ids.find(ids)
    scores = found.score_idx(known.histories.one(0), [item_idx])[0]
    hours = (part.rule.moment - (last - 1) * DAY) / 3_600.0
    newness = 6.0 / (6.0 + hours)
    assert scores[0] == pytest.approx(newness) and scores[1] == 0.0 and scores[2] == pytest.approx(0.8 * newness, rel=1e-3)
    nobody = found.score_idx(replace(known.histories.one(0).last(0), followed=()), [item_idx])[0]
    assert not nobody.any()


def test_whom_users_followed_at_a_moment(tmp_path: object) -> None:
    at = [("follow", "a", 10, None), ("follow", "b", 20, None), ("mute", "a", 30, None), ("follow", "b", 40, 0)]
    events = [
        Event(event_type=kind, user_id="u", item_id=author, value=value, timestamp=datetime.fromtimestamp(1e9 + when, UTC))
        for kind, author, when, value in at
    ]
    with EventStore(f"sqlite:///{tmp_path}/events.db", "shop", b"secret") as store:
        store.append(events)
        found = read_follows(store)
    assert [found.of("u", 1e9 + moment) for moment in (10, 15, 25, 35)] == [(), ("a",), ("a", "b"), ("b",)]
    assert found.of("u") == () and found.of("other") == ()
