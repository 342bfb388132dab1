"""A dry run over the files, so that nothing is written anywhere when too many lines are bad."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from es_recsys.sources.byte_streams import Paths
from es_recsys.sources.rejects import Rejects

__all__ = ["check"]


def check(
    read: Callable[..., Iterator[Any]], paths: Paths, *, max_errors: int | None = None, **options: Any
) -> tuple[int, Rejects]:
    """Read all of the files with `read_items` or `read_events`, keep nothing; (good rows, rejects).

    options: those of the reader; read again with the same to load. Rejected lines are written to FILE.rejected.jsonl.
    Memory is flat. Raises TooManyErrors where more than `max_errors` lines are rejected, InputError as the reader does.
    """
    with Rejects(max_errors) as rejects:
        good = sum(1 for _ in read(paths, rejects=rejects, **options))
    return good, rejects
