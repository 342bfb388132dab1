"""The cache of what was used last: it holds what it promises, and no more than that."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from es_recsys.recent_cache import RecentCache

N = 5


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 20)), max_size=200))
def test_the_last_n_keys_are_there_and_at_most_twice_as_many(steps: list[tuple[bool, int]]) -> None:
    cache: RecentCache[int, str] = RecentCache(N)
    used: list[int] = []
    for stores, key in steps:
        if stores:
            cache.store(key, f"value {key}")
        found = cache.get(key)
        if found is None:
            continue
        assert found == f"value {key}"
        used = [other for other in used if other != key] + [key]
        assert len(cache) <= 2 * N
        assert all(cache._newer.get(other) or cache._older.get(other) for other in used[-N:])


def test_what_is_not_used_is_forgotten() -> None:
    cache: RecentCache[int, str] = RecentCache(N)
    for key in range(100):
        cache.store(key, "value")
        assert cache.get(0) == "value"  # what is used stays
    assert cache.get(50) is None and len(cache) <= 2 * N
