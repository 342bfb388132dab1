"""Cleaning: which stored events count, and why the others are quarantined.

Nothing is deleted. An event that is set aside carries a reason in the store, which profiles and models both read, and
which a later run lifts where it no longer holds (an item appears in the catalogue). Running twice changes nothing.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import UTC, datetime
from typing import NamedTuple

import polars as pl
import sqlalchemy as sa

from es_recsys.event_types import EVENT_TYPES
from es_recsys.events.bot_rules import BOT_RULES, BotRule, BotRules
from es_recsys.events.cleaning_report import CleaningReport, SuspendedRule
from es_recsys.events.cleaning_state import (
    ENOUGH_DWELLS,
    LONG_DWELL_S,
    CleaningState,
    first_rows,
    hits_of,
    in_milliseconds,
    tally,
)
from es_recsys.events.columns import read_columns
from es_recsys.events.event_arrays import EventArrays
from es_recsys.events.event_frame import TYPE_CODES, EventFrame, FrameBuilder, read_event_frame, to_arrays
from es_recsys.events.log_position import LogPosition
from es_recsys.events.machine_timestamps import ClockCounts, CoarseTimes
from es_recsys.events.quarantine_rules import REASONS, Findings, RuleContext, RuleResult, assign_reasons
from es_recsys.events.records import UNKNOWN_ITEM
from es_recsys.events.schema import EVENTS
from es_recsys.events.sessions import SESSION_GAP_S
from es_recsys.events.store import EventStore
from es_recsys.ratings import RatingScale

__all__ = ["Cleaned", "CleaningReport", "clean", "clean_changed"]

_COMPARED = 1_000
_FLAGS_AT_ONCE = 100_000
# A share of the rows above which reading all of them in order takes less than reading some actors.
_FULL_SHARE = 0.25


class Cleaned(NamedTuple):
    """What cleaning found; the events as it left them, for what is made of them next; and what the next one goes on from."""

    report: CleaningReport
    events: EventArrays
    state: CleaningState


def clean(
    store: EventStore,
    known_items: Collection[str] | None,
    now: float,
    gap: float = SESSION_GAP_S,
    written: FrameBuilder | None = None,
) -> Cleaned:
    """Quarantine the events of the store that should not count, and lift what no longer holds; -> what was found.

    known_items: ids of the catalogue, or None where there is none to compare with. now: epoch seconds; what lies more
    than five minutes after it (the receiver's clock was ahead) waits for its time. gap: silence that ends a session, in
    seconds. Reasons, the first that holds: impossible_time, negative_quantity, negative_dwell (by the event alone);
    rating_out_of_range (by the store's scale); future_time; bot_minute_rate, bot_day_rate, bot_regular (all events of the
    actor); double; unknown_item. Rates, doubles and sessions need times. A rule about bots that hits more than 5 % of the
    actors or 10 % of the events is suspended, unless the store's settings confirm it. written: has the events of a load, which
    are not read where they are all. Takes about 300 bytes of memory an event.
    """
    run = _Run(store, now, gap)
    frame = read_event_frame(store, known_items, run.timed, written=written)
    in_ms = _detect_dwell_unit(store, frame)
    result = assign_reasons(frame.rows, run.context())
    state = CleaningState(
        frame.position,
        run.went_by,
        tally(frame.rows, result, run.session_gap),
        result.clocks or ClockCounts(),
        {found.rule.name: found.row for found in result.suspended},
        first_rows(frame.rows["row"], result.reasons),
        _closest_ids(frame, result.reasons, known_items),
    )
    return run.finish(frame, result.reasons, state, in_ms)


def clean_changed(
    store: EventStore,
    state: CleaningState,
    find_known: Callable[[Collection[str]], Collection[str]],
    now: float,
    gap: float = SESSION_GAP_S,
) -> Cleaned | None:
    """Clean the events of actors with new ones, and find what `clean` would; None where that takes the events of all.

    state: what the last cleaning left, with the same items known. find_known: which of some ids the catalogue has.
    """
    run = _Run(store, now, gap)
    position, before = store.log_position(), state.position
    unchanged = (position.change, position.revision, run.went_by) == (before.change, before.revision, state.went_by)
    coarse = state.clocks.coarse() if run.timed else CoarseTimes((), False)
    # Events of others may have come to their time.
    waiting = state.tallied.get("events future_time", 0)
    if not unchanged or coarse is None or waiting or position.row - before.row > _FULL_SHARE * position.row:
        return None
    frame = read_event_frame(store, find_known, run.timed, store.actors_after(before.row))
    if frame.position != position:
        return None
    findings = Findings(coarse, frozenset(state.suspended))
    old = frame.rows.filter(pl.col("row") <= before.row)
    old_result, result = assign_reasons(old, run.context(findings)), assign_reasons(frame.rows, run.context(findings))
    if not old_result.reasons.equals(old["reason"], check_names=False):
        return None
    tallied = Counter(state.tallied)
    tallied.update(tally(frame.rows, result, run.session_gap))
    tallied.subtract(tally(old, old_result, run.session_gap))
    after = run.state_after(frame, result, state, tallied)
    if after is None:
        return None
    return run.finish(frame, result.reasons, after, store.dwell_in_ms, since=before)


class _Run:
    """One cleaning of a store: what it goes by."""

    def __init__(self, store: EventStore, now: float, gap: float) -> None:
        settings = store.settings
        self._store, self._now = store, now
        self.timed, self.session_gap = store.timed, gap if store.timed else None
        self._bots, self._scale = BotRules.of(settings), RatingScale.of(settings)
        self.went_by = json.dumps(
            [self.timed, gap, settings.get("bots"), self._scale.to_setting(), store.dwell_in_ms], sort_keys=True
        )

    def context(self, findings: Findings | None = None) -> RuleContext:
        baskets = [TYPE_CODES[name] for name, row in EVENT_TYPES.items() if row.value == "quantity"]
        shown = [TYPE_CODES[name] for name, row in EVENT_TYPES.items() if row.shown]
        return RuleContext(self.timed, self._now, baskets, TYPE_CODES["rating"], self._scale, self._bots, findings, shown)

    def state_after(
        self, frame: EventFrame, result: RuleResult, state: CleaningState, tallied: Counter[str]
    ) -> CleaningState | None:
        """Return what is left behind where some actors were looked at; None where something follows for the others."""
        clocks = state.clocks
        if self.timed:
            clocks = clocks.with_times(result.usable.filter(pl.col("row") > state.position.row)["time"])
        suspended = self._suspended_after(frame, result, state, tallied)
        unknown = state.unknown_item_ids if tallied[f"events {UNKNOWN_ITEM}"] else None
        first_unknown = unknown is None and tallied[f"events {UNKNOWN_ITEM}"] > 0
        other_unit = in_milliseconds(tallied) is not self._store.dwell_in_ms
        if clocks.coarse() != state.clocks.coarse() or suspended is None or first_unknown or other_unit:
            return None
        assigned = dict(zip(frame.rows["row"].to_list(), result.reasons.to_list(), strict=True))
        examples = {reason: rows for reason, rows in state.examples.items() if rows}
        if any(assigned.get(row, reason) != reason for reason, rows in examples.items() for row in rows):
            return None
        return CleaningState(
            frame.position,
            self.went_by,
            {name: n for name, n in tallied.items() if n},
            clocks,
            suspended,
            first_rows(frame.rows["row"], result.reasons, examples),
            unknown,
        )

    def _suspended_after(
        self, frame: EventFrame, result: RuleResult, state: CleaningState, tallied: Counter[str]
    ) -> dict[str, int] | None:
        """Return the suspended rules, each with the row of an event; None where others are suspended than before."""
        rows: dict[str, int] = {}
        for rule in BOT_RULES:
            if rule.name not in result.hits or self._bots.confirmed(rule):
                continue
            many = hits_of(rule.name, tallied).too_many(tallied["usable"], tallied["usable_actors"])
            if many != (rule.name in state.suspended):
                return None
            if many:
                hits, row = result.hits[rule.name], state.suspended[rule.name]
                first = min(row, hits.row) if hits.actors else row
                if first == row and hits.row != row and (frame.rows["row"] == row).any():
                    return None  # it is hit no more
                rows[rule.name] = first
        return rows

    def finish(
        self, frame: EventFrame, reasons: pl.Series, state: CleaningState, in_ms: bool, since: LogPosition | None = None
    ) -> Cleaned:
        """Store the reasons and return what was found."""
        flagged, lifted, changes = _store_flags(self._store, frame, reasons)
        tallied, bots = state.tallied, self._bots
        by_reason = {reason: tallied[name] for reason in REASONS if tallied.get(name := f"events {reason}")}
        report = CleaningReport(
            events=tallied.get("events", 0),
            kept=tallied.get("kept", 0),
            actors=tallied.get("actors", 0),
            by_reason=dict(sorted(by_reason.items(), key=lambda pair: -pair[1])),
            examples=dict(state.examples),
            flagged=flagged,
            lifted=lifted,
            clamped=tallied.get("clamped", 0),
            sessions=tallied.get("sessions", 0) if self.timed else None,
            dwell_in_ms=in_ms,
            actors_by_reason={reason: tallied[f"actors {reason}"] for reason in by_reason},
            suspended=tuple(self._report_suspended(rule, state) for rule in BOT_RULES if rule.name in state.suspended),
            unknown_item_ids=state.unknown_item_ids,
            bounds={"scale": self._scale, **{rule.name: bots.bound(rule) for rule in BOT_RULES}},
        )
        position = frame.position._replace(change=frame.position.change + changes)
        events = to_arrays(frame, reasons, self._scale, in_ms, position, since)
        return Cleaned(report, events, replace(state, position=position))

    def _report_suspended(self, rule: BotRule, state: CleaningState) -> SuspendedRule:
        hits, bound = hits_of(rule.name, state.tallied), self._bots.bound(rule)
        event = EVENTS.c
        columns = [event.event_type, event.item_id, sa.func.coalesce(event.time, event.received_at)]
        example = "an event"
        for _, kinds, items, times in read_columns(self._store, columns, event.row_no == state.suspended[rule.name]):
            on = "" if items[0] is None else f" of item {items[0]!r}"
            try:
                at = f" at {datetime.fromtimestamp(times[0], UTC):%Y-%m-%d %H:%M:%S} UTC"
            except (OverflowError, OSError, ValueError):
                at = ""
            example = f"a {kinds[0]}{on}{at}"
        return SuspendedRule(rule.name, rule.reason, rule.means.format(bound=bound), hits.events, hits.actors, example)


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


def _detect_dwell_unit(store: EventStore, frame: EventFrame) -> bool:
    """Return whether dwell times are in milliseconds; the store reads them so from then on."""
    dwells = frame.rows.filter(pl.col("kind") == TYPE_CODES["dwell"])["value"].drop_nulls()
    median = dwells.median()
    in_ms = len(dwells) >= ENOUGH_DWELLS and isinstance(median, float) and median > LONG_DWELL_S
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
