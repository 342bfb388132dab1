"""Rules that quarantine events by their context, as polars expressions over a frame of all events.

The frame is sorted by actor, time and row, and has `row`, `actor`, `kind`, `item`, `query` (codes), `value` as sent, `time`
(epoch seconds), `clamped`, `known` (the item is in the catalogue, or the event has none), and `reason`. Where the events have no
time, only the scale of ratings and the catalogue are checked.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import NamedTuple

import polars as pl

from es_recsys.events import machine_timestamps
from es_recsys.events.bot_rules import BOT_RULES, MAX_EVENT_SHARE, MAX_USER_SHARE, BotRule, BotRules
from es_recsys.events.records import FUTURE_TOLERANCE_S, INTRINSIC_REASONS, RATING_OUT_OF_RANGE, UNKNOWN_ITEM
from es_recsys.ratings import FIVE_STARS, RatingScale

__all__ = ["BOT_REASONS", "DOUBLE_S", "REASONS", "RuleContext", "RuleResult", "Suspension", "assign_reasons"]

DOUBLE_S = 2.0
REGULAR_SPREAD = 0.05
_MINUTE, _DAY, _SILENCE = 60.0, 86_400.0, 1_800.0
_MIN_COMPARED = 20

BOT_REASONS = tuple(rule.reason for rule in BOT_RULES)
REASONS = (*INTRINSIC_REASONS, RATING_OUT_OF_RANGE, "future_time", *BOT_REASONS, "double", UNKNOWN_ITEM)
"""Every reason; of several that hold, an event carries the first."""


@dataclass(frozen=True, slots=True)
class RuleContext:
    """What the rules depend on.

    now: epoch seconds. baskets: codes of the event types of which many at one instant are one action (an order's lines).
    rating: code of ratings (None: there are none), which are on `scale`.
    """

    timed: bool
    now: float
    baskets: Collection[int] = ()
    rating: int | None = None
    scale: RatingScale = FIVE_STARS
    bots: BotRules = field(default_factory=BotRules)


class Suspension(NamedTuple):
    """A bot rule that is not applied because it would set too much aside, and how much. row: one of the events."""

    rule: BotRule
    bound: float
    events: int
    actors: int
    row: int


class RuleResult(NamedTuple):
    """reasons: of each event, null where it counts. suspended: bot rules that are not applied."""

    reasons: pl.Series
    suspended: tuple[Suspension, ...]


def assign_reasons(frame: pl.DataFrame, on: RuleContext) -> RuleResult:
    """Return the reason of each event. An intrinsic reason, found at receipt, stays."""
    enum = pl.Enum(REASONS)
    intrinsic = pl.col("reason").is_in(list(INTRINSIC_REASONS)).fill_null(False)
    branches = [pl.when(intrinsic).then("reason")]
    rules, suspended = _rules(frame, intrinsic, on)
    for reason, holds in rules:
        branches.append(pl.when(holds).then(pl.lit(reason, dtype=enum)))
    return RuleResult(frame.select(pl.coalesce(*branches).alias("assigned")).to_series(), suspended)


def _rules(frame: pl.DataFrame, intrinsic: pl.Expr, on: RuleContext) -> tuple[list[tuple[str, pl.Expr]], tuple[Suspension, ...]]:
    """Return (reason, where it holds), in order of precedence, and the rules that are suspended."""
    unrated = _off_scale(on)
    rated = (RATING_OUT_OF_RANGE, unrated)
    unknown = (UNKNOWN_ITEM, ~pl.col("known"))
    if not on.timed:
        return [rated, unknown], ()
    future = pl.col("time") > on.now + FUTURE_TOLERANCE_S
    usable = frame.filter(~intrinsic & ~future & ~unrated)
    usable = usable.with_columns(coarse=machine_timestamps.is_coarse(usable["time"]))
    doubles = _doubles(usable)
    # A tracker that fires twice makes no bot.
    paced = usable.filter(~pl.col("row").is_in(doubles.implode()))
    bots, suspended = _bots(usable, paced, on)
    return [
        rated,
        ("future_time", future),
        *((reason, pl.col("actor").is_in(actors.implode())) for reason, actors in bots),
        ("double", pl.col("row").is_in(doubles.implode())),
        unknown,
    ], suspended


def _off_scale(on: RuleContext) -> pl.Expr:
    if on.rating is None:
        return pl.lit(False)
    value, scale = pl.col("value"), on.scale
    off = (value < scale.low) | (value > scale.high)
    if scale.unrated:
        off &= ~value.is_in([float(none) for none in scale.unrated])
    return ((pl.col("kind") == on.rating) & off).fill_null(False)


def _bots(
    usable: pl.DataFrame, paced: pl.DataFrame, on: RuleContext
) -> tuple[list[tuple[str, pl.Series]], tuple[Suspension, ...]]:
    """Return actors whose pace no person keeps, by reason; and the rules that hit too many to be about bots.

    What was clamped has no time of its own. Coarse timestamps (dates, imports) count for the day at most.
    """
    time, actor = pl.col("time"), pl.col("actor")
    one_basket = pl.col("kind").is_in(list(on.baskets)) & (time == time.shift(1)) & (actor == actor.shift(1))
    candidates = paced.filter(~pl.col("clamped") & ~one_basket.fill_null(False)).select("actor", "time", "coarse")
    acts = machine_timestamps.first_of_bursts(candidates["actor"].to_numpy(), candidates["time"].to_numpy())
    actions = candidates.filter(pl.Series(acts, dtype=pl.Boolean))
    exact = actions.filter(~pl.col("coarse"))
    acting: list[tuple[str, pl.Series]] = []
    suspended: list[Suspension] = []
    for rule in BOT_RULES:
        bound = on.bots.bound(rule)
        if bound is None:
            continue
        of_most = False
        if rule.name == "minute_rate":
            hit = _faster(exact, int(bound), _MINUTE)
        elif rule.name == "day_rate":
            hit = _faster(actions, int(bound), _DAY)
        else:
            hit, of_most = _regular(exact, bound)
        if on.bots.confirmed(rule) or not len(hit):
            acting.append((rule.reason, hit))
            continue
        events = usable.filter(pl.col("actor").is_in(hit.implode()))
        many = len(hit) > MAX_USER_SHARE * usable["actor"].n_unique() or len(events) > MAX_EVENT_SHARE * len(usable)
        if many or of_most:
            suspended.append(Suspension(rule, bound, len(events), len(hit), int(events["row"].min())))  # type: ignore[arg-type]
        else:
            acting.append((rule.reason, hit))
    return acting, tuple(suspended)


def _faster(actions: pl.DataFrame, count: int, seconds: float) -> pl.Series:
    """Return actors with more than `count` actions in some span of `seconds`."""
    mine = pl.col("actor") == pl.col("actor").shift(count)
    quick = pl.col("time") - pl.col("time").shift(count) < seconds
    return actions.filter(mine & quick)["actor"].unique()


def _regular(actions: pl.DataFrame, count: float) -> tuple[pl.Series, bool]:
    """Return actors with at least `count` pauses within sessions that hardly differ; and whether most actors are so.

    The second: whether most actors with so many pauses have such, as where a data set's times were made up.
    """
    gap = pl.col("time") - pl.col("time").shift(1)
    gaps = actions.select("actor", gap=pl.when(pl.col("actor") == pl.col("actor").shift(1)).then(gap))
    within = gaps.filter(pl.col("gap") <= _SILENCE).group_by("actor")
    paces = within.agg(n=pl.len(), mean=pl.col("gap").mean(), spread=pl.col("gap").std())
    compared = paces.filter(pl.col("n") >= count)
    even = compared.filter((pl.col("mean") > 0.0) & (pl.col("spread") < REGULAR_SPREAD * pl.col("mean")))["actor"]
    return even, len(compared) >= _MIN_COMPARED and len(even) > len(compared) / 2


def _doubles(frame: pl.DataFrame) -> pl.Series:
    """Return rows that repeat an event at most two seconds after the last time: of such a run the first stays.

    Coarse timestamps say nothing of seconds.
    """
    time, actor = pl.col("time"), pl.col("actor")
    follows = (actor == actor.shift(1)) & (time - time.shift(1) <= DOUBLE_S)
    # Only neighbours in time can be doubles; comparing contents is left to those few.
    close = frame.filter((follows | follows.shift(-1)).fill_null(False) & ~pl.col("coarse") & ~pl.col("clamped"))
    since = time - time.shift(1).over("actor", "kind", "item", "query", "value")
    return close.filter((since <= DOUBLE_S).fill_null(False))["row"]
