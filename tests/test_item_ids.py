"""Ids in flat arrays: what goes in is found and comes out, whatever it looks like."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from es_recsys import item_ids as ids
from es_recsys.item_ids import ItemIds

anything = st.text(max_size=12)
distinct = st.lists(anything, unique=True, max_size=30)
ODD = ["", " ", "a", "A", "\u00e1", "a\u0301", "a\x00", "\x00", "🛍️", "商品", "\u202eabc", "a" * 500, "-1", "0", "00", "\n"]


@given(distinct, st.lists(anything, max_size=10))
@example(ODD, ["b", "a ", "\x00\x00"])
def test_round_trip(item_ids: list[str], others: list[str]) -> None:
    for held in (ItemIds.of(item_ids), ItemIds.from_arrays(ItemIds.of(item_ids).arrays())):
        assert len(held) == len(item_ids) and list(held) == item_ids
        assert held.find(item_ids).tolist() == list(range(len(item_ids)))
        for _ in range(2):  # from the arrays, then from memory
            assert held.take(np.arange(len(item_ids))[::-1]) == item_ids[::-1]
        for other in others:
            place = int(held.find([other])[0])
            assert (place == -1 and other not in item_ids) or item_ids[place] == other
            assert (other in held) == (other in item_ids)


@given(distinct, st.lists(anything, max_size=10), st.integers(1, 3))
def test_ids_that_share_a_hash_are_told_apart(item_ids: list[str], others: list[str], hashes: int) -> None:
    def few(encoded: Sequence[bytes]) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
        return np.array([sum(one) % hashes for one in encoded], np.uint64)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ids, "_hashes", few)
        held = ItemIds.of(item_ids)
        assert held.find(item_ids).tolist() == list(range(len(item_ids)))
        assert [place >= 0 for place in held.find(others).tolist()] == [other in item_ids for other in others]


def test_it_is_a_sequence() -> None:
    held = ItemIds.of(["a", "b", "c"])
    assert held[0] == "a" and held[-1] == "c" and held[1:] == ["b", "c"] and held[::-1] == ["c", "b", "a"]
    with pytest.raises(IndexError):
        held[3]
    assert held.index("b") == 1


def test_half_a_character_is_not_found() -> None:
    assert ItemIds.of(["a"]).find(["\ud800"]).tolist() == [-1]
