"""Rules that set events aside by what surrounds them, as polars expressions over a frame of all events.

The frame is sorted by subject, time and row, and has `row`, `subject`, `kind`, `item`, `query` (codes), `value`, `time`
(epoch seconds), `known` (the item is in the catalogue, or the event has none), and `reason`. Where the events have no
time, only the catalogue is asked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from es_recsys.behaviour.records import FUTURE_TOLERANCE_S, STATIC_REASONS, UNKNOWN_ITEM

if TYPE_CHECKING:
    import polars as pl

__all__ = ["BOT_REASONS", "DOUBLE_S", "REASONS", "reasons"]

DOUBLE_S = 2.0
PER_MINUTE = 60
PER_DAY = 1_500
REGULAR_GAPS = 100
REGULAR_SPREAD = 0.05
_MINUTE, _DAY, _SILENCE = 60.0, 86_400.0, 1_800.0

BOT_REASONS = ("bot_minute_rate", "bot_day_rate", "bot_regular")
REASONS = (*STATIC_REASONS, "future_time", *BOT_REASONS, "double", UNKNOWN_ITEM)
"""Every reason; of several that hold, an event carries the first."""


def reasons(frame: pl.DataFrame, timed: bool, now: float, baskets: list[int]) -> pl.Series:
    """The reason that each event should carry, or null. What an event says by itself, noted at receipt, stands for good.

    now: epoch seconds. baskets: codes of the event types of which many at one instant are one action (an order's lines).
    """
    import polars as pl

    enum = pl.Enum(REASONS)
    static = pl.col("reason").is_in(list(STATIC_REASONS)).fill_null(False)
    marks = [pl.when(static).then("reason")]
    for reason, holds in _rules(frame, static, timed, now, baskets):
        marks.append(pl.when(holds).then(pl.lit(reason, dtype=enum)))
    return frame.select(pl.coalesce(*marks).alias("wanted")).to_series()


def _rules(frame: pl.DataFrame, static: pl.Expr, timed: bool, now: float, baskets: list[int]) -> list[tuple[str, pl.Expr]]:
    """(reason, where it holds), the first that holds first."""
    import polars as pl

    unknown = (UNKNOWN_ITEM, ~pl.col("known"))
    if not timed:
        return [unknown]
    future = pl.col("time") > now + FUTURE_TOLERANCE_S
    usable = frame.filter(~static & ~future)
    doubles = _doubles(usable)
    # A tracker that fires twice makes no bot.
    paced = usable.filter(~pl.col("row").is_in(doubles.implode())).select("subject", "kind", "time")
    bots = zip(BOT_REASONS, _bots(paced, baskets), strict=True)
    return [
        ("future_time", future),
        *((reason, pl.col("subject").is_in(subjects.implode())) for reason, subjects in bots),
        ("double", pl.col("row").is_in(doubles.implode())),
        unknown,
    ]


def _bots(frame: pl.DataFrame, baskets: list[int]) -> tuple[pl.Series, pl.Series, pl.Series]:
    """Subjects whose pace no person keeps, by BOT_REASONS.

    More than 60 actions in some minute; more than 1,500 in some day; at least 100 pauses within sessions that differ by
    less than 5 % of their mean. Stamps at exact midnight are dates without a time of day, so they count for the day only.
    """
    import polars as pl

    time, subject = pl.col("time"), pl.col("subject")
    one_basket = pl.col("kind").is_in(baskets) & (time == time.shift(1)) & (subject == subject.shift(1))
    actions = frame.filter(~one_basket.fill_null(False)).select("subject", "time")
    exact = actions.filter(pl.col("time") % _DAY != 0.0)
    return _faster(exact, PER_MINUTE, _MINUTE), _faster(actions, PER_DAY, _DAY), _regular(exact)


def _faster(actions: pl.DataFrame, count: int, seconds: float) -> pl.Series:
    """Subjects with more than `count` actions in some span of `seconds`."""
    import polars as pl

    mine = pl.col("subject") == pl.col("subject").shift(count)
    quick = pl.col("time") - pl.col("time").shift(count) < seconds
    return actions.filter(mine & quick)["subject"].unique()


def _regular(actions: pl.DataFrame) -> pl.Series:
    """Subjects whose pauses within sessions hardly differ."""
    import polars as pl

    gap = pl.col("time") - pl.col("time").shift(1)
    gaps = actions.select("subject", gap=pl.when(pl.col("subject") == pl.col("subject").shift(1)).then(gap))
    within = gaps.filter(pl.col("gap") <= _SILENCE).group_by("subject")
    paces = within.agg(n=pl.len(), mean=pl.col("gap").mean(), spread=pl.col("gap").std())
    even = (pl.col("mean") > 0.0) & (pl.col("spread") < REGULAR_SPREAD * pl.col("mean"))
    return paces.filter((pl.col("n") >= REGULAR_GAPS) & even)["subject"]


def _doubles(frame: pl.DataFrame) -> pl.Series:
    """Rows that say the same thing again at most two seconds after the last time: of such a run the first stays.

    Dates without a time of day say nothing of seconds.
    """
    import polars as pl

    time, subject = pl.col("time"), pl.col("subject")
    follows = (subject == subject.shift(1)) & (time - time.shift(1) <= DOUBLE_S)
    # Only neighbours in time can be doubles; comparing contents is left to those few.
    close = frame.filter((follows | follows.shift(-1)).fill_null(False) & (time % _DAY != 0.0))
    since = time - time.shift(1).over("subject", "kind", "item", "query", "value")
    return close.filter((since <= DOUBLE_S).fill_null(False))["row"]
