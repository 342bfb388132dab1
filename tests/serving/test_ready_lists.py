"""Ready lists: which queries they answer, and what of them is shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from es_recsys.forward_index import Documents, ForwardIndex, ItemBlock
from es_recsys.index.ready_lists import READY_LIST
from es_recsys.index_metadata import IndexMetadata, IndexState
from es_recsys.query import Answer, Hit, Query
from es_recsys.serving.operations import Document
from es_recsys.serving.ranking_fingerprint import ranking_fingerprint
from es_recsys.serving.ready_lists import READY_HITS, is_plain, ready_answer, to_document
from es_recsys.serving.snapshot import ServingSnapshot
from es_recsys.settings import SearchSettings, Settings

NOW = 1_700_000_000.0
HOUR = 3_600.0
IDS = [f"i{n:03d}" for n in range(READY_HITS)]


def _forward(seq_no: Mapping[str, int], uuid: str = "uuid") -> ForwardIndex:
    n = len(seq_no)
    block = ItemBlock(
        list(seq_no), [None] * n, np.full(n, np.nan), np.array(list(seq_no.values())), {}, Documents.of([b"{}"] * n)
    )
    return ForwardIndex.of(block, IndexState("shop-items-000001", uuid, {0: 1_000}), {})


@pytest.fixture
def snapshot(tmp_path: Path) -> ServingSnapshot:
    forward = _forward({item_id: n for n, item_id in enumerate(IDS)})
    settings, metadata = Settings(home=tmp_path), IndexMetadata("shop", 1)
    return ServingSnapshot(settings, metadata, b"s" * 32, None, forward=forward, ranking_fingerprint="f")  # type: ignore[arg-type]


def _hits(item_ids: Sequence[str]) -> list[Hit]:
    return [
        Hit(item_id, 1.0 / rank, rank, {"als": 1.0 / rank}, f"title {rank}", ("mine",), {"title": f"title {rank}"})
        for rank, item_id in enumerate(item_ids, start=1)
    ]


def _stored(snapshot: ServingSnapshot, item_ids: Sequence[str] = IDS) -> Document:
    features = {"user/age": 3.0, "item/age": [float(n) for n in range(len(item_ids))]}
    document = to_document(snapshot, _hits(item_ids), 500, "no_query", features, NOW)
    return Document({"state": {}, READY_LIST: document}, 1, 1)


def _served(
    snapshot: ServingSnapshot, stored: Document | None, now: float = NOW, **more: Any
) -> tuple[Answer, Mapping[str, Any]] | None:
    return ready_answer(snapshot, Query(user_id="u", **more), stored, ("key",), now, 0.0)


@pytest.mark.parametrize(("n", "offset"), [(10, 0), (10, 10), (7, 5), (25, 3), (100, 0), (1, 99)])
def test_a_page_is_what_was_stored(snapshot: ServingSnapshot, n: int, offset: int) -> None:
    found = _served(snapshot, _stored(snapshot), n=n, offset=offset, explain=True)
    assert found is not None
    answer, record = found
    assert list(answer.hits) == _hits(IDS)[offset : offset + n]
    assert (answer.kind, answer.made_at, answer.ranking.total) == ("recommend", NOW, 500)
    assert record["features"] == {"user/age": 3.0, "item/age": [float(row) for row in range(offset, offset + n)]}
    assert (record["situation"], record["user_key"], record["made_at"]) == ("no_query", "key", NOW)


def test_reasons_are_shown_where_they_are_asked_for(snapshot: ServingSnapshot) -> None:
    found = _served(snapshot, _stored(snapshot))
    assert found is not None and not any(hit.because for hit in found[0].hits)


@pytest.mark.parametrize(("n", "offset"), [(10, 91), (101, 0), (1, 100), (1, 999)])
def test_a_page_beyond_the_list_is_computed(snapshot: ServingSnapshot, n: int, offset: int) -> None:
    assert _served(snapshot, _stored(snapshot), n=n, offset=offset) is None


def test_a_list_of_all_there_is_has_its_last_page(snapshot: ServingSnapshot) -> None:
    stored = _stored(snapshot, IDS[:25])
    for n, offset, shown in ((10, 20, 5), (100, 0, 25), (10, 40, 0)):
        found = _served(snapshot, stored, n=n, offset=offset)
        assert found is not None and len(found[0].hits) == shown


def test_items_that_are_gone_are_left_out_of_every_page(snapshot: ServingSnapshot) -> None:
    stored = _stored(snapshot)
    gone = {IDS[0], IDS[9], IDS[10], IDS[35]}
    left = [item_id for item_id in IDS if item_id not in gone]
    snapshot = replace(snapshot, forward=_forward({item_id: IDS.index(item_id) for item_id in left}))
    pages = [_served(snapshot, stored, offset=offset) for offset in range(0, 90, 10)]
    shown = [hit for page in pages if page is not None for hit in page[0].hits]
    assert [hit.item_id for hit in shown] == left[:90]
    assert [hit.rank for hit in shown] == list(range(1, 91))
    assert pages[3] is not None and pages[3][1]["features"]["item/age"] == [float(IDS.index(i)) for i in left[30:40]]
    assert _served(snapshot, stored, n=6, offset=90) is not None and _served(snapshot, stored, n=7, offset=90) is None


def test_a_page_with_an_item_written_since_is_computed(snapshot: ServingSnapshot) -> None:
    stored = _stored(snapshot)
    snapshot = replace(snapshot, forward=_forward({item_id: n if n != 25 else 777 for n, item_id in enumerate(IDS)}))
    assert _served(snapshot, stored, n=25) is not None
    assert _served(snapshot, stored, n=26) is None
    assert _served(snapshot, stored, n=10, offset=50) is None, "its first pages are computed, too"


def test_lists_that_do_not_serve(snapshot: ServingSnapshot) -> None:
    stored = _stored(snapshot)
    assert _served(snapshot, None) is None and _served(snapshot, Document({"state": {}}, 1, 1)) is None
    assert _served(snapshot, stored, NOW + 23.9 * HOUR) is not None and _served(snapshot, stored, NOW + 24.1 * HOUR) is None
    assert _served(replace(snapshot, ranking_fingerprint="other"), stored) is None
    assert _served(replace(snapshot, forward=None), stored) is None
    assert _served(replace(snapshot, forward=_forward({item_id: n for n, item_id in enumerate(IDS)}, "other")), stored) is None


@pytest.mark.parametrize(
    "more",
    [
        {"text": "shoes"}, {"like": "i001"}, {"ids": ["i001"]}, {"session_id": "s"}, {"history": []}, {"filter": ["a:b"]},
        {"exclude": ["i001"]}, {"facets": True}, {"personalization": 0.5}, {"diversity": 0.1}, {"explore": 0.1},
        {"popularity": -0.1}, {"calibration": 0.1},
    ],
    ids=str,
)  # fmt: skip
def test_what_is_no_plain_recommendation(more: dict[str, Any]) -> None:
    assert is_plain(Query(user_id="u"), SearchSettings())
    assert not is_plain(Query(user_id="u", **more), SearchSettings())
    assert not is_plain(Query(), SearchSettings())


def test_the_defaults_of_a_store_may_be_named() -> None:
    settings = SearchSettings(diversity=0.3, exploration=0.2, personalization=0.8, popularity=-0.1, calibration=0.2)
    assert is_plain(
        Query(user_id="u", diversity=0.3, explore=0.0, personalization=0.8, popularity=-0.1, calibration=0.2), settings
    )
    assert not is_plain(Query(user_id="u"), settings), "what is left to chance is drawn for each answer"


def test_the_fingerprint_is_that_of_what_ranks() -> None:
    metadata, settings = IndexMetadata("shop", 1), SearchSettings()
    same = ranking_fingerprint(metadata, settings)
    assert ranking_fingerprint(metadata.with_notes({"replaces": 3}), SearchSettings(ready_hours=1.0, timeout_s=3.0)) == same
    others = [
        ranking_fingerprint(replace(metadata, version=2), settings),
        ranking_fingerprint(replace(metadata, retriever_weights={"no_query": {"als": 1.0}}), settings),
        ranking_fingerprint(replace(metadata, ranker_fingerprints={"no_query": "f"}), settings),
        ranking_fingerprint(metadata, SearchSettings(diversity=0.5)),
        ranking_fingerprint(metadata, SearchSettings(interests=0)),
        ranking_fingerprint(metadata, SearchSettings(popularity=0.1)),
        ranking_fingerprint(metadata, SearchSettings(calibration=0.1)),
    ]
    assert len({same, *others}) == 8
