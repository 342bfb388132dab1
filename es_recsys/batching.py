"""Cut a stream into lists."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

__all__ = ["batched"]

T = TypeVar("T")


def batched(values: Iterable[T], size: int) -> Iterator[list[T]]:
    """Yield lists of `size` values, in order; the last may be shorter.

    As `itertools.batched` of Python 3.12.
    """
    stream = iter(values)
    while batch := list(islice(stream, size)):
        yield batch
