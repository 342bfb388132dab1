"""A dry run over files, so that nothing is written anywhere when too many rows are bad."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from es_recsys.sources.rejected_rows import RejectedRows

__all__ = ["dry_run"]


def dry_run(read: Callable[[RejectedRows], Iterator[Any]], max_errors: int | None = None) -> tuple[int, RejectedRows]:
    """Read everything and keep nothing; return the count of good rows, and the rejected ones.

    read: as `read_items` or `read_events` with the files and options that will be loaded. Rejected rows are written to
    FILE.rejected.jsonl. Memory is flat. Raises TooManyErrors where more than `max_errors` rows are rejected, InputError as the
    reader does.
    """
    with RejectedRows(max_errors) as rejected:
        good = sum(1 for _ in read(rejected))
    return good, rejected
