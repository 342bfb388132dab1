"""What was used last, by key."""

from __future__ import annotations

from typing import Generic, TypeVar

__all__ = ["RecentCache"]

K = TypeVar("K")
V = TypeVar("V")


class RecentCache(Generic[K, V]):
    """At least the n values that were stored or found last, at most twice as many; none of them is None.

    Threads may share it without a lock: at worst one of them stores a value that is forgotten a little earlier.
    """

    def __init__(self, n: int) -> None:
        self._n = n
        self._newer: dict[K, V] = {}
        self._older: dict[K, V] = {}

    def get(self, key: K) -> V | None:
        """Return the value of a key, None where it isn't known (any more)."""
        found = self._newer.get(key)
        if found is None:
            found = self._older.get(key)
            if found is not None:
                self.store(key, found)
        return found

    def store(self, key: K, value: V) -> None:
        """Keep a value."""
        if len(self._newer) >= self._n:
            self._older, self._newer = self._newer, {}
        self._newer[key] = value

    def __len__(self) -> int:
        return len(self._newer.keys() | self._older.keys())
