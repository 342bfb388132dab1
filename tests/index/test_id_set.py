from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from es_recsys.index.id_set import IdSet


@given(st.lists(st.text(max_size=5)), st.lists(st.text(max_size=5)))
def test_it_behaves_like_a_set(added: list[str], asked: list[str]) -> None:
    ids = IdSet()
    ids.update(added[:3])
    ids.missing(asked)
    for item_id in added[3:]:
        ids.update([item_id])
    assert ids.missing(asked) == [item_id for item_id in asked if item_id not in set(added)]
    assert len(ids) == len(set(added))
