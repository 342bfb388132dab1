"""What searches found of the same words and filters before, so that the next one asks for less."""

from __future__ import annotations

from collections.abc import Mapping

from es_recsys.recent_cache import RecentCache
from es_recsys.search.kept_responses import KeptResponses
from es_recsys.search.request import RankingPolicy, Request, UserState
from es_recsys.search.word_matches import WordMatches

__all__ = ["PastSearches"]

_MOST = 10_000
_MOST_MATCHES = 1_000  # of at most 5,000 items in 8 bytes each

TextKey = tuple[str, str]


class PastSearches:
    """The last searches of a process. Thread-safe.

    What matches the words holds until an item is written or the words' boosts are tuned. Which searches needed more than that,
    and which weights they had, changes no answer. Which name one item is asked for before what a user has seen is left out.
    responses: to the same bodies, until an item is written.
    """

    def __init__(self) -> None:
        self.responses = KeptResponses()
        self._needed_more: RecentCache[tuple[str, str, bool], bool] = RecentCache(_MOST)
        self._tables: RecentCache[TextKey, str] = RecentCache(_MOST)
        self._name_one: RecentCache[TextKey, bool] = RecentCache(_MOST)
        self._matches: RecentCache[TextKey, tuple[object, Mapping[str, float] | None, WordMatches]] = RecentCache(_MOST_MATCHES)

    def matches(self, request: Request, policy: RankingPolicy) -> WordMatches | None:
        """Return the items that match, where a search with the same text, filters and boosts found them in the same items."""
        found = self._matches.get(_text_key(request)) if request.has_text else None
        if found is None or policy.forward is None:
            return None
        numbering, boosts, matches = found
        return matches if numbering is policy.forward.numbering and boosts == policy.metadata.text_boosts else None

    def store_matches(self, request: Request, policy: RankingPolicy, matches: WordMatches) -> None:
        """Remember them."""
        if policy.forward is not None:
            self._matches.store(_text_key(request), (policy.forward.numbering, policy.metadata.text_boosts, matches))

    def needed_more(self, request: Request, user: UserState) -> bool:
        """Return whether a search with the same text and filters, by somebody or nobody known, needed a second request."""
        return bool(self._needed_more.get((*_text_key(request), user.is_known)))

    def store_need(self, request: Request, user: UserState, needed: bool) -> None:
        """Remember whether it did."""
        if needed or self.needed_more(request, user):
            self._needed_more.store((*_text_key(request), user.is_known), needed)

    def table(self, request: Request) -> str | None:
        """Return the weights that the last search with the same text and filters had (see `search_table`)."""
        return self._tables.get(_text_key(request)) if request.has_text else None

    def store_table(self, request: Request, table: str) -> None:
        """Remember them."""
        self._tables.store(_text_key(request), table)

    def names_one(self, request: Request) -> bool | None:
        """Return whether the same text and filters named one item, None where that isn't known."""
        return self._name_one.get(_text_key(request))

    def store_names_one(self, request: Request, names_one: bool) -> None:
        """Remember it."""
        self._name_one.store(_text_key(request), names_one)


def _text_key(request: Request) -> TextKey:
    return request.text.lower(), repr(request.filters)
