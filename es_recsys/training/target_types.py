"""Event types that answers are to lead to."""

from __future__ import annotations

from collections.abc import Iterable

from es_recsys.errors import InputError
from es_recsys.event_types import EVENT_TYPES
from es_recsys.index_metadata import IndexMetadata
from es_recsys.training.training_record import TrainingRecord

__all__ = ["check_targets", "targets_of"]


def check_targets(targets: Iterable[str]) -> tuple[str, ...]:
    """Return the target types, each once, in the order of their names.

    Raises InputError for one that there isn't, or that doesn't say that somebody takes to an item.
    """
    likes = [name for name, row in EVENT_TYPES.items() if row.is_opinion and row.sign > 0]
    for name in targets:
        if name not in likes:
            raise InputError(f"{name!r} is no event by which somebody takes to an item.", f"Name one of: {', '.join(likes)}.")
    return tuple(sorted(set(targets)))


def targets_of(metadata: IndexMetadata) -> tuple[str, ...]:
    """Return the target types that a version was trained for; () where that is any, or it has no model."""
    record = TrainingRecord.of(metadata)
    return () if record is None else record.targets
