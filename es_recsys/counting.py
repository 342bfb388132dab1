"""Counts in words that agree with them, for messages."""

from __future__ import annotations

__all__ = ["counted"]


def counted(count: int, one: str, many: str) -> str:
    """Return the count with the words that agree with it: "1 line was", "2,000 lines were"."""
    return f"{count:,} {one if count == 1 else many}"
