"""Rules that quarantine events by their context, as polars expressions over a frame of all events.

The frame is sorted by actor, time and row, and has `row`, `actor`, `kind`, `item`, `query` (codes), `value` as sent, `time`
(epoch seconds), `clamped`, `known` (the item is in the catalogue, or the event has none), and `reason`. Where the events have no
time, only the scale of ratings and the catalogue are checked.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import polars as pl

from es_recsys.events.bot_rules import BOT_RULES, MAX_EVENT_SHARE, MAX_USER_SHARE, BotRule, BotRules
from es_recsys.events.machine_timestamps import ClockCounts, CoarseTimes, first_of_bursts, is_coarse
from es_recsys.events.records import FUTURE_TOLERANCE_S, INTRINSIC_REASONS, RATING_OUT_OF_RANGE, UNKNOWN_ITEM
from es_recsys.ratings import FIVE_STARS, RatingScale

__all__ = [
    "BOT_REASONS",
    "DOUBLE_S",
    "REASONS",
    "Findings",
    "RuleContext",
    "RuleHits",
    "RuleResult",
    "Suspension",
    "assign_reasons",
]

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
    rating: code of ratings (None: there are none), which are on `scale`. findings: what all events together say, where the frame
    has only some actors; else the frame says it. shown: codes of the event types that are no action of the actor, whose pace
    says nothing.
    """

    timed: bool
    now: float
    baskets: Collection[int] = ()
    rating: int | None = None
    scale: RatingScale = FIVE_STARS
    bots: BotRules = field(default_factory=BotRules)
    findings: Findings | None = None
    shown: Collection[int] = ()


class Findings(NamedTuple):
    """What all events together say: which times are coarse, and which bot rules, by name, would set too much aside."""

    coarse: CoarseTimes
    suspended: frozenset[str]


class RuleHits(NamedTuple):
    """What a bot rule hits: events, actors, and the first of the events. compared: actors with enough pauses to be told."""

    events: int
    actors: int
    row: int
    compared: int = 0

    def too_many(self, events: int, actors: int) -> bool:
        """Return whether the rule hits so many of all events and actors that it is about the data, not about bots."""
        if not self.actors:
            return False
        most = self.compared >= _MIN_COMPARED and self.actors > self.compared / 2
        return self.actors > MAX_USER_SHARE * actors or self.events > MAX_EVENT_SHARE * events or most


class Suspension(NamedTuple):
    """A bot rule that is not applied because it would set too much aside, and how much. row: one of the events."""

    rule: BotRule
    bound: float
    events: int
    actors: int
    row: int


class RuleResult(NamedTuple):
    """reasons: of each event, null where it counts. suspended: bot rules that are not applied.

    usable: `row`, `actor` and `time` of the events that rules about pace look at; clocks: of their times, None where the context
    had findings. hits: of each bot rule by name that isn't off.
    """

    reasons: pl.Series
    suspended: tuple[Suspension, ...]
    usable: pl.DataFrame
    clocks: ClockCounts | None
    hits: dict[str, RuleHits]


def assign_reasons(frame: pl.DataFrame, on: RuleContext) -> RuleResult:
    """Return the reason of each event. An intrinsic reason, found at receipt, stays."""
    intrinsic = pl.col("reason").is_in(list(INTRINSIC_REASONS)).fill_null(False)
    rated, unknown = (RATING_OUT_OF_RANGE, _off_scale(on)), (UNKNOWN_ITEM, ~pl.col("known"))
    if not on.timed:
        return RuleResult(_first_reason(frame, intrinsic, [rated, unknown]), (), frame.select("row", "actor", "time"), None, {})
    future = pl.col("time") > on.now + FUTURE_TOLERANCE_S
    usable = frame.filter(~intrinsic & ~future & ~rated[1])
    clocks = ClockCounts.of(usable["time"]) if on.findings is None else None
    coarse = clocks.coarse() if clocks is not None else None
    if on.findings is not None:
        coarse = on.findings.coarse
    usable = usable.with_columns(coarse=is_coarse(usable["time"], coarse or CoarseTimes((), False)))
    doubles = _doubles(usable)
    # A tracker that fires twice makes no bot.
    paced = usable.filter(~pl.col("row").is_in(doubles.implode()))
    found = _bots(usable, paced, on)
    rules = [
        rated,
        ("future_time", future),
        *((rule.reason, pl.col("actor").is_in(actors.implode())) for rule, actors in found.acting),
        ("double", pl.col("row").is_in(doubles.implode())),
        unknown,
    ]
    reasons = _first_reason(frame, intrinsic, rules)
    return RuleResult(reasons, found.suspended, usable.select("row", "actor", "time"), clocks, found.hits)


def _first_reason(frame: pl.DataFrame, intrinsic: pl.Expr, rules: Sequence[tuple[str, pl.Expr]]) -> pl.Series:
    """Return the reason of each event, an intrinsic one first. rules: (reason, where it holds), in order of precedence."""
    branches = [pl.when(intrinsic).then("reason")]
    branches += [pl.when(holds).then(pl.lit(reason, dtype=pl.Enum(REASONS))) for reason, holds in rules]
    return frame.select(pl.coalesce(*branches).alias("assigned")).to_series()


def _off_scale(on: RuleContext) -> pl.Expr:
    if on.rating is None:
        return pl.lit(False)
    value, scale = pl.col("value"), on.scale
    off = (value < scale.low) | (value > scale.high)
    if scale.unrated:
        off &= ~value.is_in([float(none) for none in scale.unrated])
    return ((pl.col("kind") == on.rating) & off).fill_null(False)


class _BotsFound(NamedTuple):
    """acting: rules that are applied, with the actors that they hit."""

    acting: list[tuple[BotRule, pl.Series]]
    suspended: tuple[Suspension, ...]
    hits: dict[str, RuleHits]


def _bots(usable: pl.DataFrame, paced: pl.DataFrame, on: RuleContext) -> _BotsFound:
    """Return actors whose pace no person keeps, by rule; and the rules that hit too many to be about bots.

    What was clamped has no time of its own. Coarse timestamps (dates, imports) count for the day at most.
    """
    time, actor = pl.col("time"), pl.col("actor")
    one_basket = pl.col("kind").is_in(list(on.baskets)) & (time == time.shift(1)) & (actor == actor.shift(1))
    shown = pl.col("kind").is_in(list(on.shown))
    candidates = paced.filter(~pl.col("clamped") & ~one_basket.fill_null(False) & ~shown).select("actor", "time", "coarse")
    acts = first_of_bursts(candidates["actor"].to_numpy(), candidates["time"].to_numpy())
    actions = candidates.filter(pl.Series(acts, dtype=pl.Boolean))
    exact = actions.filter(~pl.col("coarse"))
    found = _BotsFound([], (), {})
    for rule in BOT_RULES:
        bound = on.bots.bound(rule)
        if bound is None:
            continue
        compared = 0
        if rule.name == "minute_rate":
            hit = _faster(exact, int(bound), _MINUTE)
        elif rule.name == "day_rate":
            hit = _faster(actions, int(bound), _DAY)
        else:
            hit, compared = _regular(exact, bound)
        rows = usable.filter(actor.is_in(hit.implode()))["row"]
        hits = RuleHits(len(rows), len(hit), int(rows.min() or 0), compared)  # type: ignore[arg-type]
        if on.findings is not None:
            many = rule.name in on.findings.suspended
        else:
            many = hits.too_many(len(usable), usable["actor"].n_unique())
        found.hits[rule.name] = hits
        if on.bots.confirmed(rule) or not many:
            found.acting.append((rule, hit))
        else:
            found = found._replace(suspended=(*found.suspended, Suspension(rule, bound, hits.events, hits.actors, hits.row)))
    return found


def _faster(actions: pl.DataFrame, count: int, seconds: float) -> pl.Series:
    """Return actors with more than `count` actions in some span of `seconds`."""
    mine = pl.col("actor") == pl.col("actor").shift(count)
    quick = pl.col("time") - pl.col("time").shift(count) < seconds
    return actions.filter(mine & quick)["actor"].unique()


def _regular(actions: pl.DataFrame, count: float) -> tuple[pl.Series, int]:
    """Return actors with at least `count` pauses within sessions that hardly differ; and how many actors have so many pauses.

    Where most of those are regular, as where a data set's times were made up, it says nothing of bots.
    """
    gap = pl.col("time") - pl.col("time").shift(1)
    gaps = actions.select("actor", gap=pl.when(pl.col("actor") == pl.col("actor").shift(1)).then(gap))
    within = gaps.filter(pl.col("gap") <= _SILENCE).group_by("actor")
    paces = within.agg(n=pl.len(), mean=pl.col("gap").mean(), spread=pl.col("gap").std())
    compared = paces.filter(pl.col("n") >= count)
    even = compared.filter((pl.col("mean") > 0.0) & (pl.col("spread") < REGULAR_SPREAD * pl.col("mean")))["actor"]
    return even, len(compared)


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
