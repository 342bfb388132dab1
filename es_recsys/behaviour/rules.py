"""Rules that set events aside by what surrounds them, as polars expressions over a frame of all events.

The frame is sorted by subject, time and row, and has `subject`, `kind`, `item`, `query` (codes), `value`, `time` (epoch
seconds), and `known` (the item is in the catalogue, or the event has none). Where the events have no time, only the
catalogue is asked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from es_recsys.behaviour.records import FUTURE_TOLERANCE_S, UNKNOWN_ITEM

if TYPE_CHECKING:
    import polars as pl

__all__ = ["BOT_REASONS", "DOUBLE_S", "contextual_reasons"]

DOUBLE_S = 2.0
PER_MINUTE = 60
PER_DAY = 1_500
REGULAR_GAPS = 100
REGULAR_SPREAD = 0.05
_MINUTE, _DAY, _SILENCE = 60.0, 86_400.0, 1_800.0

BOT_REASONS = ("bot_minute_rate", "bot_day_rate", "bot_regular")


def contextual_reasons(frame: pl.DataFrame, timed: bool, now: float, baskets: list[int]) -> pl.Series:
    """The reason of each event, or null; the first that holds of future_time, a bot's, double and unknown_item.

    now: epoch seconds. baskets: codes of the event types of which many at one instant are one action (an order's lines).
    """
    import polars as pl

    unknown = pl.when(~pl.col("known")).then(pl.lit(UNKNOWN_ITEM))
    if not timed:
        return frame.select(unknown.alias("reason")).to_series()
    frame = frame.with_columns(future=pl.col("time") > now + FUTURE_TOLERANCE_S, double=_double())
    paced = frame.filter(~pl.col("future") & ~pl.col("double")).select("subject", "kind", "time")
    frame = frame.join(_bots(paced, baskets), on="subject", how="left", maintain_order="left")
    future = pl.when("future").then(pl.lit("future_time"))
    double = pl.when("double").then(pl.lit("double"))
    return frame.select(pl.coalesce(future, "bot", double, unknown).alias("reason")).to_series()


def _bots(frame: pl.DataFrame, baskets: list[int]) -> pl.DataFrame:
    """(subject, bot): the reason for each subject whose pace no person keeps.

    More than 60 actions in some minute, more than 1,500 in some day, or at least 100 pauses within sessions that
    differ by less than 5 % of their mean. Stamps at exact midnight are dates without a time of day, so they count for
    the day only.
    """
    import polars as pl

    time, subject = pl.col("time"), pl.col("subject")
    one_basket = pl.col("kind").is_in(baskets) & (time == time.shift(1)) & (subject == subject.shift(1))
    actions = frame.select("subject", "kind", "time").filter(~one_basket.fill_null(False))
    by_day = _faster(actions, PER_DAY, _DAY)
    exact = actions.filter(pl.col("time") % _DAY != 0.0)
    by_minute = _faster(exact, PER_MINUTE, _MINUTE)
    regular = _regular(exact)
    found = [
        flagged.with_columns(bot=pl.lit(reason))
        for reason, flagged in zip(BOT_REASONS, (by_minute, by_day, regular), strict=True)
    ]
    return pl.concat(found).unique("subject", keep="first", maintain_order=True)


def _faster(actions: pl.DataFrame, count: int, seconds: float) -> pl.DataFrame:
    """Subjects with more than `count` actions in some span of `seconds`."""
    import polars as pl

    mine = pl.col("subject") == pl.col("subject").shift(count)
    quick = pl.col("time") - pl.col("time").shift(count) < seconds
    return actions.filter(mine & quick).select("subject").unique()


def _regular(actions: pl.DataFrame) -> pl.DataFrame:
    """Subjects whose pauses within sessions hardly differ."""
    import polars as pl

    gap = pl.col("time") - pl.col("time").shift(1)
    gaps = actions.select("subject", gap=pl.when(pl.col("subject") == pl.col("subject").shift(1)).then(gap))
    within = gaps.filter(pl.col("gap") <= _SILENCE).group_by("subject")
    paces = within.agg(n=pl.len(), mean=pl.col("gap").mean(), spread=pl.col("gap").std())
    even = (pl.col("mean") > 0.0) & (pl.col("spread") < REGULAR_SPREAD * pl.col("mean"))
    return paces.filter((pl.col("n") >= REGULAR_GAPS) & even).select("subject")


def _double() -> pl.Expr:
    """The same thing said again at most two seconds after the last time: of such a run the first stays.

    Dates without a time of day say nothing of seconds.
    """
    import polars as pl

    same = ["subject", "kind", "item", "query", "value"]
    since = pl.col("time") - pl.col("time").shift(1).over(same)
    return (since <= DOUBLE_S).fill_null(False) & (pl.col("time") % _DAY != 0.0)
