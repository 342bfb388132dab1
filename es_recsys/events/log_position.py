"""How far the log of a store is: what is made of its events is stored with the position that it was made at."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["LogPosition"]


class LogPosition(NamedTuple):
    """How far the log of a store is.

    row: the highest that is visible. change: how often rows that were read before have changed. revision: how often all of
    them are to be read anew. Positions are stored with what was made of the events, under these names.
    """

    row: int
    change: int
    revision: int
