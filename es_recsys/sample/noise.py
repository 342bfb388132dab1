"""What real logs have and shouldn't: bots, events sent twice, clocks that are wrong, items that are gone."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from es_recsys.sample.chance import digest, pick, sample, stream
from es_recsys.types import Event

__all__ = ["noise"]

_BOTS = 3
_BOT_VIEWS = 600


def noise(seed: int, events: Sequence[Event], item_ids: Sequence[str], end: datetime) -> dict[str, list[Event]]:
    """Return what is added to clean events, by reason.

    bots: a few visitors with hundreds of views a minute. resent: the same event again, with the same event_id.
    repeated: the same action again within a second, with an event_id of its own. future: dated after `end`.
    ancient: dated 1970. unknown: of items that the catalogue hasn't.
    """
    rng = stream(seed, "noise")
    few = max(1, len(events) // 500)
    drawn = sample(rng, [event for event in events if event.item_id is not None], 9 * few)
    parts = iter(drawn[start : start + few] for start in range(0, 9 * few, few))
    return {
        "bots": _bots(seed, item_ids, end),
        "resent": [*next(parts), *next(parts), *next(parts)],
        "repeated": [
            _again(event, "repeated", _later(event, 0.2 + 0.7 * rng.random())) for event in (*next(parts), *next(parts))
        ],
        "future": [
            _again(event, "future", end + timedelta(days=1.0 + 700.0 * rng.random() ** 3))
            for event in (*next(parts), *next(parts))
        ],
        "ancient": [_again(event, "ancient", datetime(1970, 1, 1, tzinfo=UTC)) for event in next(parts)],
        "unknown": [
            _again(event, "unknown", event.timestamp, item_id=f"gone-{pick(rng, range(50)):02d}") for event in next(parts)
        ],
    }


def _bots(seed: int, item_ids: Sequence[str], end: datetime) -> list[Event]:
    views = []
    for bot in range(_BOTS):
        rng = stream(seed, "bot", bot)
        moment = end - timedelta(days=1.0 + 20.0 * rng.random())
        for count in range(_BOT_VIEWS):
            moment += timedelta(seconds=0.1 + 0.2 * rng.random())
            views.append(
                Event(
                    event_id=f"e{digest(seed, 'bot', bot, count, size=10)}",
                    event_type="view",
                    timestamp=moment.replace(microsecond=moment.microsecond // 1000 * 1000),
                    user_id=f"u9{bot + 1:03d}",
                    session_id=f"s{digest(seed, 'bot', bot)}",
                    item_id=pick(rng, item_ids),
                )
            )
    return views


def _later(event: Event, seconds: float) -> datetime | None:
    return None if event.timestamp is None else event.timestamp + timedelta(milliseconds=int(1000 * seconds))


def _again(event: Event, reason: str, timestamp: datetime | None, item_id: str | None = None) -> Event:
    changes = {"event_id": f"e{digest(event.event_id, reason, size=10)}", "timestamp": timestamp}
    if timestamp is not None:
        changes["timestamp"] = timestamp.replace(microsecond=timestamp.microsecond // 1000 * 1000)
    if item_id is not None:
        changes["item_id"] = item_id
    return event.model_copy(update=changes)
