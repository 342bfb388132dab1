"""Which searches matched more than their first body finds, and which weights they had, so that the next such one knows."""

from __future__ import annotations

from es_recsys.recent_cache import RecentCache
from es_recsys.search.request import Request, UserState

__all__ = ["BroadSearches"]

_MOST = 10_000

Key = tuple[str, str, bool]


class BroadSearches:
    """The last 10,000 such searches of a process. It spares a request and changes no answer. Thread-safe."""

    def __init__(self) -> None:
        self._keys: dict[Key, None] = {}
        self._tables: RecentCache[tuple[str, str], str] = RecentCache(_MOST)

    def has(self, request: Request, user: UserState) -> bool:
        """Return whether a search with the same text and filters was one."""
        return _key(request, user) in self._keys

    def add(self, request: Request, user: UserState) -> None:
        """Remember one."""
        if len(self._keys) >= _MOST:
            self._keys = {}
        self._keys[_key(request, user)] = None

    def discard(self, request: Request, user: UserState) -> None:
        """Forget one that needed no more this time."""
        self._keys.pop(_key(request, user), None)

    def table(self, request: Request) -> str | None:
        """Return the weights that the last search with the same text and filters had (see `search_table`)."""
        return self._tables.get(_text_key(request))

    def store_table(self, request: Request, table: str) -> None:
        """Remember them."""
        self._tables.store(_text_key(request), table)


def _key(request: Request, user: UserState) -> Key:
    return (*_text_key(request), user.is_known)


def _text_key(request: Request) -> tuple[str, str]:
    return request.text.lower(), repr(request.filters)
