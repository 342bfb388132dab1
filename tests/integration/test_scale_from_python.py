"""The scale of ratings of a store whose events come from Python alone."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from es_recsys import AsyncClient, Client, Event, Item, Settings
from es_recsys.errors import InputError
from es_recsys.ratings import RatingScale
from es_recsys.serving.recording import RecordingReport
from es_recsys.settings import EncoderSettings

pytestmark = pytest.mark.engine


def _rating(user: str, item: str, value: float) -> Event:
    when = datetime.now(UTC) - timedelta(minutes=5)
    return Event(event_type="rating", user_id=user, item_id=item, value=value, timestamp=when)


def test_ratings_off_the_scale_are_told_and_count_once_it_is_set(settings: Settings) -> None:
    shop = settings.model_copy(update={"encoders": EncoderSettings(text="none", image="none")})
    with Client(settings=shop) as client:
        client.set_rating_scale("1..5")  # before there is a catalogue
        client.insert_items([Item(item_id=f"i{n}", title=f"item {n}") for n in range(5)])
        done = client.put_events([_rating("u", "i1", 9.0), _rating("u", "i2", 5.0)])
        assert done == RecordingReport(added=2, quarantined={"rating_out_of_range": 1})
        assert client.get_user_profile("u").seen == {"i2"}
        client.set_rating_scale("0..10")
        assert client.workspace.events.rating_scale == RatingScale(0, 10, given=True)
        assert "i1" in client.get_user_profile("u").seen
        assert client.put_events(_rating("u", "i3", 9.5)) == RecordingReport(added=1)
        asyncio.run(_set(shop, RatingScale(1, 20, given=True)))
        assert client.workspace.events.rating_scale == RatingScale(1, 20, given=True)


async def _set(shop: Settings, scale: RatingScale) -> None:
    async with AsyncClient(settings=shop) as client:
        await client.set_rating_scale(scale)


@pytest.mark.parametrize("wrong", ["ten", "5..1", None, 10])
def test_what_is_no_scale_is_refused(settings: Settings, wrong: Any) -> None:
    with Client(settings=settings) as client, pytest.raises(InputError):
        client.set_rating_scale(wrong)
