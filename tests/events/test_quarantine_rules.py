"""The rules against the same rules written as loops."""

from __future__ import annotations

from collections import Counter

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from es_recsys.events.bot_rules import BotRules
from es_recsys.events.quarantine_rules import REASONS, RuleContext, assign_reasons
from es_recsys.events.records import INTRINSIC_REASONS, UNKNOWN_ITEM

NOW = 1_790_000_000.5
PURCHASE = 4

_events = st.lists(
    st.tuples(
        st.integers(0, 2),  # actor
        st.floats(0, 300).map(lambda ago: round(ago * 2) / 2),
        st.sampled_from([0, PURCHASE]),
        st.integers(0, 2),  # item
        st.sampled_from([None, 1.0]),
        st.sampled_from([None, None, None, None, "double", INTRINSIC_REASONS[0]]),
    ),
    max_size=260,
)


@given(_events, st.sets(st.integers(0, 2)))
def test_as_one_would_by_hand(events: list[tuple[int, float, int, int, float | None, str | None]], known: set[int]) -> None:
    events.sort(key=lambda event: (event[0], -event[1]))
    frame = pl.DataFrame(
        {
            "row": pl.Series(range(len(events)), dtype=pl.Int64),
            "actor": pl.Series([event[0] for event in events], dtype=pl.Int32),
            "kind": pl.Series([event[2] for event in events], dtype=pl.Int8),
            "item": pl.Series([event[3] for event in events], dtype=pl.Int32),
            "query": pl.Series([0] * len(events), dtype=pl.Int32),
            "value": pl.Series([event[4] for event in events], dtype=pl.Float64),
            "time": pl.Series([NOW + 100 - event[1] for event in events], dtype=pl.Float64),
            "reason": pl.Series([event[5] for event in events], dtype=pl.Enum(REASONS)),
            "clamped": pl.Series([False] * len(events), dtype=pl.Boolean),
            "known": pl.Series([event[3] in known for event in events], dtype=pl.Boolean),
        }
    )
    judgement = assign_reasons(frame, RuleContext(True, NOW - 300, [PURCHASE], bots=BotRules({"all": "on"})))
    assert judgement.reasons.to_list() == _by_hand(frame, NOW - 300)
    assert not judgement.suspended


def _by_hand(frame: pl.DataFrame, now: float) -> list[str | None]:
    rows = list(frame.iter_rows(named=True))
    found: list[str | None] = [None] * len(rows)
    last: dict[tuple[object, ...], float] = {}
    actions: dict[int, list[float]] = {}
    before: tuple[object, ...] = ()
    for i, row in enumerate(rows):
        found[i] = None if row["known"] else UNKNOWN_ITEM
        if row["reason"] == INTRINSIC_REASONS[0]:
            found[i] = INTRINSIC_REASONS[0]
        elif row["time"] > now + 300:
            found[i] = "future_time"
        else:
            same = (row["actor"], row["kind"], row["item"], row["value"])
            if row["time"] - last.get(same, -1e9) <= 2.0:
                found[i] = "double"
            else:
                action = (row["actor"], row["time"])
                if not (row["kind"] == PURCHASE and action == before):
                    actions.setdefault(row["actor"], []).append(row["time"])
                before = action
            last[same] = row["time"]
    for i, row in enumerate(rows):
        times = _acts(actions.get(row["actor"], []))
        fast = any(later - earlier < 60 for earlier, later in zip(times, times[60:], strict=False))
        if fast and found[i] not in ("future_time", INTRINSIC_REASONS[0]):
            found[i] = "bot_minute_rate"
    return found


def _acts(times: list[float]) -> list[float]:
    """One of many at an instant, unless more than five such instants are in the minute."""
    many = {time for time in times if times.count(time) >= 5}
    in_minute = Counter(time // 60 for time in many)
    found: list[float] = []
    for time in times:
        if time not in many or time not in found or in_minute[time // 60] > 5:
            found.append(time)
    return found
