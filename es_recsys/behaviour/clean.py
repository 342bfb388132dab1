"""Cleaning: which stored events count, and why the others don't.

Nothing is deleted. An event that is set aside carries a reason in the store, which profiles and models both read, and
which a later run lifts where it no longer holds (an item appears in the catalogue). Running twice changes nothing.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from es_recsys.behaviour.frame import Frame, read_frame
from es_recsys.behaviour.rules import reasons
from es_recsys.behaviour.sessions import SESSION_GAP_S, sessionize
from es_recsys.behaviour.store import EventStore
from es_recsys.behaviours import BEHAVIOURS

if TYPE_CHECKING:
    import polars as pl

__all__ = ["CleaningReport", "clean"]

_EXAMPLES = 5
_FLAGS_AT_ONCE = 100_000
# A visit of an hour is long; where half of them are longer, it is the unit that is wrong.
_MEDIAN_DWELL_S = 3_600.0
_ENOUGH_DWELLS = 20


@dataclass(frozen=True, slots=True)
class CleaningReport:
    """What cleaning found.

    by_reason: reason -> events set aside; examples: reason -> rows of a few of them. flagged, lifted: events that this
    run set aside (or gave another reason), and took back. clamped: events whose time lay in the future and was set to
    their receipt. sessions: by half an hour of silence; None where the store has no time. dwell_in_ms: dwell times are
    read as milliseconds.
    """

    events: int
    kept: int
    subjects: int
    by_reason: dict[str, int] = field(default_factory=dict)
    examples: dict[str, tuple[int, ...]] = field(default_factory=dict)
    flagged: int = 0
    lifted: int = 0
    clamped: int = 0
    sessions: int | None = None
    dwell_in_ms: bool = False

    def to_dict(self) -> dict[str, Any]:
        """JSON values; rows stand for events, no id of a user is in it."""
        return {
            "events": self.events,
            "kept": self.kept,
            "subjects": self.subjects,
            "set_aside": dict(self.by_reason),
            "examples": {reason: list(rows) for reason, rows in self.examples.items()},
            "flagged": self.flagged,
            "lifted": self.lifted,
            "clamped": self.clamped,
            "sessions": self.sessions,
            "dwell_in_ms": self.dwell_in_ms,
        }


def clean(store: EventStore, known_items: Collection[str] | None, now: float, gap: float = SESSION_GAP_S) -> CleaningReport:
    """Look at all events of the store and flag those that should not count; -> what was found.

    known_items: ids of the catalogue, or None where there is none to compare with. now: epoch seconds; what lies more
    than five minutes after it (the receiver's clock was ahead) waits for its time. gap: silence that ends a session, in
    seconds. Reasons, the first that holds: impossible_time, rating_out_of_range, negative_quantity, negative_dwell (by
    the event alone); future_time; bot_minute_rate, bot_day_rate, bot_regular (all events of the subject); double;
    unknown_item. Rates, doubles and sessions need times. Takes about 300 bytes of memory an event.
    """
    timed = store.timed
    frame = read_frame(store, known_items, timed)
    in_ms = _settle_dwell(store, frame)
    baskets = [frame.kind(name) for name, row in BEHAVIOURS.items() if row.value == "quantity"]
    wanted = reasons(frame.rows, timed, now, baskets)
    flagged, lifted = _store_flags(store, frame, wanted)
    return CleaningReport(
        events=len(frame.rows),
        kept=wanted.null_count(),
        subjects=frame.rows["subject"].n_unique(),
        by_reason=_counts(wanted),
        examples=_examples(frame.rows["row"], wanted),
        flagged=flagged,
        lifted=lifted,
        clamped=int(frame.rows["clamped"].sum()),
        sessions=_sessions(frame.rows.filter(wanted.is_null()), gap) if timed else None,
        dwell_in_ms=in_ms,
    )


def _settle_dwell(store: EventStore, frame: Frame) -> bool:
    """Whether dwell times are in milliseconds; the store reads them so from then on."""
    import polars as pl

    dwells = frame.rows.filter(pl.col("kind") == frame.kind("dwell"))["value"].drop_nulls()
    median = dwells.median()
    in_ms = len(dwells) >= _ENOUGH_DWELLS and isinstance(median, float) and median > _MEDIAN_DWELL_S
    if in_ms != store.dwell_in_ms:
        store.read_dwell_in_ms(in_ms)
    return in_ms


def _store_flags(store: EventStore, frame: Frame, wanted: pl.Series) -> tuple[int, int]:
    """Write what differs; -> how many events were flagged, and how many flags were lifted."""
    import polars as pl

    pairs = pl.DataFrame({"row": frame.rows["row"], "was": frame.rows["reason"], "wanted": wanted})
    changed = pairs.filter(pl.col("was").ne_missing(pl.col("wanted")))
    for part in changed.iter_slices(_FLAGS_AT_ONCE):
        store.flag(dict(zip(part["row"].to_list(), part["wanted"].to_list(), strict=True)))
    lifted = changed["wanted"].null_count()
    return len(changed) - lifted, lifted


def _counts(wanted: pl.Series) -> dict[str, int]:
    counts = wanted.drop_nulls().value_counts(sort=True)
    return dict(zip(counts["wanted"].to_list(), counts["count"].to_list(), strict=True))


def _examples(rows: pl.Series, wanted: pl.Series) -> dict[str, tuple[int, ...]]:
    """The first rows of each reason."""
    import polars as pl

    pairs = pl.DataFrame({"row": rows, "wanted": wanted}).drop_nulls()
    firsts = pairs.group_by("wanted").agg(pl.col("row").sort().head(_EXAMPLES)).sort("wanted")
    return {reason: tuple(some) for reason, some in firsts.iter_rows()}


def _sessions(kept: pl.DataFrame, gap: float) -> int:
    numbers = sessionize(kept["subject"].to_numpy(), kept["time"].to_numpy(), gap)
    return int(numbers[-1]) + 1 if len(numbers) else 0
