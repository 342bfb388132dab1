"""Settings for a store of one's own."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from es_recsys.cli.init import SCENARIOS, init, scenario_file
from es_recsys.errors import InputError
from es_recsys.sample.feed import feed
from es_recsys.search.retrievers import RETRIEVERS
from es_recsys.settings import load_settings


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_scenario_is_a_settings_file(name: str, tmp_path: Path) -> None:
    init(name, tmp_path / "mine.toml", False)
    found = load_settings(tmp_path / "mine.toml")
    assert found.index == name and found.search == load_settings(scenario_file(name)).search
    assert found.search.fixed_weights.keys() <= RETRIEVERS.keys()
    with pytest.raises(InputError, match="there already"):
        init("shop", tmp_path / "mine.toml", False)
    init("shop", tmp_path / "mine.toml", True)
    assert load_settings(tmp_path / "mine.toml").index == "shop"


def test_wrong_names_and_places_say_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no scenario 'bank'"):
        init("bank", tmp_path / "x.toml", False)
    with pytest.raises(InputError, match="can't be written"):
        init("shop", tmp_path / "there" / "x.toml", False)


def test_a_feed_is_the_same_each_time_and_has_what_a_scenario_is_about() -> None:
    from datetime import UTC, datetime

    end = datetime(2026, 1, 1, tzinfo=UTC)
    for kind in ("news", "social"):
        one, other = (feed(kind, items=120, readers=30, end=end) for _ in range(2))
        assert (one.items, one.events) == (other.items, other.events)
        assert {"impression", "click", "like", "follow"} <= {event.event_type for event in one.events}
        assert all(item.author and (item.expires_at is not None) == (kind == "news") for item in one.items)
        assert not any(re.search(r"\b[Aa] [aeio]", f"{item.title} {item.description}") for item in one.items)
        first, second = (max(one.preferences[reader], key=one.preferences[reader].__getitem__) for reader in one.opposites)
        assert first != second
    with pytest.raises(InputError, match="no feed"):
        feed("films")
