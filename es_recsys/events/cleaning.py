"""Cleaning: which stored events count, and why the others are quarantined.

Nothing is deleted. An event that is set aside carries a reason in the store, which profiles and models both read, and
which a later run lifts where it no longer holds (an item appears in the catalogue). Running twice changes nothing.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime

import polars as pl

from es_recsys.event_types import EVENT_TYPES
from es_recsys.events.bot_rules import BOT_RULES, BotRules
from es_recsys.events.cleaning_report import Cleaned, CleaningReport, SuspendedRule
from es_recsys.events.event_frame import EventFrame, read_event_frame, to_arrays
from es_recsys.events.quarantine_rules import RuleContext, Suspension, assign_reasons
from es_recsys.events.records import UNKNOWN_ITEM
from es_recsys.events.sessions import SESSION_GAP_S, sessionize
from es_recsys.events.store import EventStore
from es_recsys.ratings import RatingScale

__all__ = ["CleaningReport", "clean"]

_EXAMPLES = 5
_COMPARED = 1_000
_FLAGS_AT_ONCE = 100_000
# A visit of an hour is long; where half of them are longer, it is the unit that is wrong.
_MEDIAN_DWELL_S = 3_600.0
_ENOUGH_DWELLS = 20


def clean(store: EventStore, known_items: Collection[str] | None, now: float, gap: float = SESSION_GAP_S) -> Cleaned:
    """Quarantine the events of the store that should not count, and lift what no longer holds; -> what was found.

    known_items: ids of the catalogue, or None where there is none to compare with. now: epoch seconds; what lies more
    than five minutes after it (the receiver's clock was ahead) waits for its time. gap: silence that ends a session, in
    seconds. Reasons, the first that holds: impossible_time, negative_quantity, negative_dwell (by the event alone);
    rating_out_of_range (by the store's scale); future_time; bot_minute_rate, bot_day_rate, bot_regular (all events of the
    actor); double; unknown_item. Rates, doubles and sessions need times. A rule about bots that hits more than 5 % of the
    actors or 10 % of the events is suspended, unless the store's settings confirm it. Takes about 300 bytes of memory an event.
    """
    timed, settings = store.timed, store.settings
    frame = read_event_frame(store, known_items, timed)
    in_ms = _detect_dwell_unit(store, frame)
    bots, scale = BotRules.of(settings), RatingScale.of(settings)
    baskets = [frame.code_of(name) for name, row in EVENT_TYPES.items() if row.value == "quantity"]
    reasons, suspended = assign_reasons(frame.rows, RuleContext(timed, now, baskets, frame.code_of("rating"), scale, bots))
    flagged, lifted, changes = _store_flags(store, frame, reasons)
    report = CleaningReport(
        events=len(frame.rows),
        kept=reasons.null_count(),
        actors=frame.rows["actor"].n_unique(),
        by_reason=_counts(reasons),
        examples=_examples(frame.rows["row"], reasons),
        flagged=flagged,
        lifted=lifted,
        clamped=int(frame.rows["clamped"].sum()),
        sessions=_sessions(frame.rows.filter(reasons.is_null()), gap) if timed else None,
        dwell_in_ms=in_ms,
        actors_by_reason=_actors(frame.rows["actor"], reasons),
        suspended=tuple(_suspended(frame, rule) for rule in suspended),
        unknown_item_ids=_closest_ids(frame, reasons, known_items),
        bounds={"scale": scale, **{rule.name: bots.bound(rule) for rule in BOT_RULES}},
    )
    position = frame.position._replace(change=frame.position.change + changes)
    return Cleaned(report, to_arrays(frame, reasons, scale, in_ms, position))


def _suspended(frame: EventFrame, found: Suspension) -> SuspendedRule:
    row = frame.rows.filter(pl.col("row") == found.row).row(0, named=True)
    item, kind = frame.items[row["item"]], list(EVENT_TYPES)[row["kind"]]
    on = "" if item is None else f" of item {item!r}"
    try:
        at = f" at {datetime.fromtimestamp(row['time'], UTC):%Y-%m-%d %H:%M:%S} UTC"
    except (OverflowError, OSError, ValueError):
        at = ""
    rule = found.rule
    return SuspendedRule(
        rule.name, rule.reason, rule.means.format(bound=found.bound), found.events, found.actors, f"a {kind}{on}{at}"
    )


def _closest_ids(frame: EventFrame, reasons: pl.Series, known_items: Collection[str] | None) -> tuple[str, str] | None:
    """Return an id that events have and the catalogue lacks, and the id of the catalogue that is most like it.

    Most like it: the same but for blanks, case, zeros before it, or a decimal point, if there is such a one.
    """
    if not known_items:
        return None
    pairs = pl.DataFrame({"item": frame.rows["item"], "assigned": reasons})
    missing = pairs.filter(pl.col("assigned") == UNKNOWN_ITEM)["item"].value_counts(sort=True)["item"].head(_COMPARED).to_list()
    names = {_normalized(name): name for code in reversed(missing) if (name := frame.items[code]) is not None}
    if not names:
        return None
    for known in known_items:
        if (name := names.get(_normalized(known))) is not None:
            return name, known
    return next(reversed(names.values())), next(iter(known_items))


def _normalized(item_id: str) -> str:
    return item_id.strip().removesuffix(".0").lstrip("0").casefold()


def _actors(actors: pl.Series, reasons: pl.Series) -> dict[str, int]:
    pairs = pl.DataFrame({"actor": actors, "assigned": reasons}).drop_nulls()
    counts = pairs.group_by("assigned").agg(pl.col("actor").n_unique())
    return dict(counts.iter_rows())


def _detect_dwell_unit(store: EventStore, frame: EventFrame) -> bool:
    """Return whether dwell times are in milliseconds; the store reads them so from then on."""
    dwells = frame.rows.filter(pl.col("kind") == frame.code_of("dwell"))["value"].drop_nulls()
    median = dwells.median()
    in_ms = len(dwells) >= _ENOUGH_DWELLS and isinstance(median, float) and median > _MEDIAN_DWELL_S
    if in_ms != store.dwell_in_ms:
        store.read_dwell_in_ms(in_ms)
    return in_ms


def _store_flags(store: EventStore, frame: EventFrame, reasons: pl.Series) -> tuple[int, int, int]:
    """Write what differs; -> how many events were flagged, how many flags were lifted, and how many changes the store counts."""
    pairs = pl.DataFrame({"row": frame.rows["row"], "was": frame.rows["reason"], "assigned": reasons})
    changed = pairs.filter(pl.col("was").ne_missing(pl.col("assigned")))
    changes = 0
    for part in changed.iter_slices(_FLAGS_AT_ONCE):
        changes += 1
        store.set_quarantine(dict(zip(part["row"].to_list(), part["assigned"].to_list(), strict=True)))
    lifted = changed["assigned"].null_count()
    return len(changed) - lifted, lifted, changes


def _counts(reasons: pl.Series) -> dict[str, int]:
    counts = reasons.drop_nulls().value_counts(sort=True)
    return dict(zip(counts["assigned"].to_list(), counts["count"].to_list(), strict=True))


def _examples(rows: pl.Series, reasons: pl.Series) -> dict[str, tuple[int, ...]]:
    """Return the first rows of each reason."""
    pairs = pl.DataFrame({"row": rows, "assigned": reasons}).drop_nulls()
    firsts = pairs.group_by("assigned").agg(pl.col("row").sort().head(_EXAMPLES)).sort("assigned")
    return {reason: tuple(some) for reason, some in firsts.iter_rows()}


def _sessions(kept: pl.DataFrame, gap: float) -> int:
    numbers = sessionize(kept["actor"].to_numpy(), kept["time"].to_numpy(), gap)
    return int(numbers[-1]) + 1 if len(numbers) else 0
