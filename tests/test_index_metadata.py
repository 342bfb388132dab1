from __future__ import annotations

import json
from typing import Any

import pytest

from es_recsys.errors import IndexStateError
from es_recsys.index_metadata import IndexMetadata, VectorMetadata

FORMAT_1: dict[str, Any] = {
    "store": "shop",
    "version": 3,
    "language": "german",
    "vectors": {"text_vector": {"dims": 384, "fingerprint": "f" * 32, "model": "minilm", "similarity": "cosine"}},
    "models": ["als"],
    "weights": {"no_query": {"als": 1.0, "recency": 0.001}, "query": {"lexical": 0.6, "text_vector": 0.4}},
    "lexical": {"title": 2.0},
    "ranking": {"query": "a1b2"},
    "behaviours": {"view": 0.5},
    "timed": False,
    "key_check": "c" * 32,
    "notes": {"replaces": 2, "variants": 1.5},
}
"""`_meta` as releases before 0.2 wrote it."""

METADATA = IndexMetadata(
    "shop",
    3,
    "german",
    vectors={"text_vector": VectorMetadata(384, "f" * 32, "minilm")},
    models=("als",),
    retriever_weights={"no_query": {"als": 1.0, "recency": 0.001}, "query": {"lexical": 0.6, "text_vector": 0.4}},
    text_boosts={"title": 2.0},
    ranker_fingerprints={"query": "a1b2"},
    event_weights={"view": 0.5},
    timed=False,
    key_check="c" * 32,
    notes={"replaces": 2, "variants": 1.5},
)


def test_the_metadata_of_an_earlier_release_is_read() -> None:
    assert IndexMetadata.from_dict(FORMAT_1) == METADATA


def test_keys_that_the_first_releases_lacked_have_their_defaults() -> None:
    oldest = {key: value for key, value in FORMAT_1.items() if key not in ("ranking", "behaviours", "key_check")}
    found = IndexMetadata.from_dict(oldest)
    assert (found.ranker_fingerprints, found.event_weights, found.key_check) == ({}, {}, "")


def test_a_version_that_does_not_say_it_searches_users_with_the_model_that_always_did() -> None:
    assert not IndexMetadata.from_dict(FORMAT_1).searches_users
    assert IndexMetadata.from_dict({**FORMAT_1, "models": ["als", "userknn"]}).searches_users
    said = {**FORMAT_1, "models": ["userknn"], "searches_users": False}
    assert not IndexMetadata.from_dict(said).searches_users


def test_what_is_written_is_read_back() -> None:
    written = json.loads(json.dumps(METADATA.to_dict()))
    assert written["format"] == 2 and not written.keys() & {"weights", "lexical", "ranking", "behaviours"}
    assert IndexMetadata.from_dict(written) == METADATA


def test_the_metadata_of_a_later_release_is_refused() -> None:
    with pytest.raises(IndexStateError, match=r"Version 3 of shop was written by a later es-recsys \(format 3") as caught:
        IndexMetadata.from_dict({**METADATA.to_dict(), "format": 3})
    assert "Upgrade es-recsys" in str(caught.value)


def test_a_note_is_added_beside_the_others_and_taken_back() -> None:
    noted = METADATA.with_notes({"bare": True, "replaces": None})
    assert noted.notes == {"variants": 1.5, "bare": True}
    assert noted.with_notes({"bare": None, "replaces": 2}) == METADATA
    assert METADATA.notes == {"replaces": 2, "variants": 1.5}
