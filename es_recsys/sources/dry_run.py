"""A dry run over the files, so that nothing is written anywhere when too many lines are bad."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from es_recsys.sources.input_files import Paths
from es_recsys.sources.rejected_rows import RejectedRows

__all__ = ["dry_run"]


def dry_run(
    read: Callable[..., Iterator[Any]], paths: Paths, *, max_errors: int | None = None, **options: Any
) -> tuple[int, RejectedRows]:
    """Read all of the files with `read_items` or `read_events`, keep nothing; (good rows, rejects).

    options: those of the reader; read again with the same to load. Rejected lines are written to FILE.rejected.jsonl.
    Memory is flat. Raises TooManyErrors where more than `max_errors` lines are rejected, InputError as the reader does.
    """
    with RejectedRows(max_errors) as rejected:
        good = sum(1 for _ in read(paths, rejected=rejected, **options))
    return good, rejected
