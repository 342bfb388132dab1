"""Interaction stats for exploration: counted from the answer log and the events that echo its answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from es_recsys.index_metadata import IndexMetadata
from es_recsys.serving.interaction_stats import interaction_stats_folder, save_interaction_stats
from es_recsys.serving.product_groups import fetch_item_groups, group_events, group_records
from es_recsys.serving.workspace import Workspace
from es_recsys.training.attempts import Attempts
from es_recsys.training.logged_examples import Record, Rewards, count_interaction_stats, examined, rewards_for
from es_recsys.training.selection_report import Notes

__all__ = ["recount_interaction_stats", "store_interaction_stats", "try_recount"]

_READ = ("answer_id", "kind", "query", "user_key")
_READ_OF_HITS = ("item_id", "position", "propensity", "inclusion_probability")


def try_recount(work: Workspace, metadata: IndexMetadata, on_line: Callable[[str], None] | None) -> None:
    """Do `recount_interaction_stats` before a training, which goes on where that fails; then a line says so."""
    Attempts(Notes(on_line)).step(
        "What came of showing items is not counted anew", lambda: recount_interaction_stats(work, metadata), None
    )


def recount_interaction_stats(work: Workspace, metadata: IndexMetadata) -> None:
    """Count the interaction stats of all items anew from the answer log, and store them.

    Where nothing was logged no event is read. Variants of a product count as one. Raises ModelError where the counts can't be
    written.
    """
    groups = fetch_item_groups(work, metadata)
    records = [_lean(record) for record in group_records(work.log.read(), groups)]
    if records:
        given = rewards_for(records, group_events(work.events.scan(), groups))
        store_interaction_stats(work, records, given, examined(records, given))


def store_interaction_stats(work: Workspace, records: Sequence[Record], given: Rewards, looked: NDArray[np.float64]) -> None:
    """Store the interaction stats counted from these records; the next answer reads them."""
    save_interaction_stats(interaction_stats_folder(work.settings), count_interaction_stats(records, given, looked))
    work.snapshots.invalidate()


def _lean(record: Record) -> dict[str, Any]:
    """Return a record without its parts and features, which are most of it."""
    hits = [{name: hit[name] for name in _READ_OF_HITS if name in hit} for hit in record.get("hits") or ()]
    return {**{name: record[name] for name in _READ if name in record}, "hits": hits}
