"""What was found out about searches: which matched more than their first body finds, their weights, which name one item."""

from __future__ import annotations

from es_recsys.recent_cache import RecentCache
from es_recsys.search.request import Request, UserState

__all__ = ["BroadSearches"]

_MOST = 10_000

Key = tuple[str, str, bool]


class BroadSearches:
    """The last 10,000 searches of a process. Thread-safe.

    Which needed more spares a request and changes no answer. Which weights they had bounds what a search can score more closely.
    Which name one item is asked for before what a user has seen is left out.
    """

    def __init__(self) -> None:
        self._needed_more: RecentCache[Key, bool] = RecentCache(_MOST)
        self._tables: RecentCache[tuple[str, str], str] = RecentCache(_MOST)
        self._name_one: RecentCache[tuple[str, str], bool] = RecentCache(_MOST)

    def has(self, request: Request, user: UserState) -> bool:
        """Return whether a search with the same text and filters was one."""
        return bool(self._needed_more.get(_key(request, user)))

    def add(self, request: Request, user: UserState) -> None:
        """Remember one."""
        self._needed_more.store(_key(request, user), True)

    def discard(self, request: Request, user: UserState) -> None:
        """Forget one that needed no more this time."""
        if self.has(request, user):
            self._needed_more.store(_key(request, user), False)

    def table(self, request: Request) -> str | None:
        """Return the weights that the last search with the same text and filters had (see `search_table`)."""
        return self._tables.get(_text_key(request))

    def store_table(self, request: Request, table: str) -> None:
        """Remember them."""
        self._tables.store(_text_key(request), table)

    def names_one(self, request: Request) -> bool | None:
        """Return whether the same text and filters named one item, None where that isn't known."""
        return self._name_one.get(_text_key(request))

    def store_names_one(self, request: Request, names_one: bool) -> None:
        """Remember it."""
        self._name_one.store(_text_key(request), names_one)


def _key(request: Request, user: UserState) -> Key:
    return (*_text_key(request), user.is_known)


def _text_key(request: Request) -> tuple[str, str]:
    return request.text.lower(), repr(request.filters)
