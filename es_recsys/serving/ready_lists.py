"""Ready lists: recommendations made ahead (`batch recommend --to-index`) and served from the user's stored profile.

A list is a field of the profile's document, so that a list and the profile that it was made from can't part:
- the read of the profile that begins every personal answer brings the list along, and the profile where the list doesn't serve;
- what records or loads an event writes the profile's document anew, without the list, in one write: none is served after it;
- the list is stored by compare-and-set on the profile that it was made from: an event in between wins;
- a user's erasure, another version and the end of a version take the lists with the profiles.

Answers that read the profile and don't use the list pay for its bytes: about 60 microseconds, since it is stored compressed, as
texts that are not looked at. To leave it out (`_source_excludes`) would cost 200, as Elasticsearch then parses the document.

A list says which write of each item it has seen, and the forward index which was the last: items that were deleted are left out,
and a page with an item that was written since is computed. Neither needs a request.
"""

from __future__ import annotations

import base64
import time
import uuid
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from es_recsys.forward_index import ForwardIndex
from es_recsys.index.ready_lists import READY_LIST
from es_recsys.query import Answer, Hit, Query, Ranking
from es_recsys.serving.answer_log import LoggedFeatures, answer_record
from es_recsys.serving.operations import Document
from es_recsys.serving.requests import query_kind
from es_recsys.serving.snapshot import ServingSnapshot
from es_recsys.settings import SearchSettings

__all__ = ["READY_HITS", "is_plain", "ready_answer", "to_document", "unpacked"]

READY_HITS = 100
"""Hits of a list at most; pages beyond it are computed."""

_FORMAT = 1
# A page is read from the chunks that it reaches, and the usual page from the first alone.
_CHUNK = 10


@dataclass(frozen=True, slots=True)
class _Page:
    """The hits of a page, and their features as the answer log keeps them."""

    hits: tuple[Hit, ...]
    features: LoggedFeatures


def is_plain(query: Query, settings: SearchSettings) -> bool:
    """Return whether a query recommends to a user and sets nothing else than the page, as ready lists do."""
    return (
        query.user_id is not None
        and query.session_id is None
        and query.history is None
        and query_kind(query) == "recommend"
        and not (query.filter or query.exclude or query.facets)
        and query.personalization in (None, settings.personalization)
        and query.diversity in (None, settings.diversity)
        and query.popularity in (None, settings.popularity)
        and query.calibration in (None, settings.calibration)
        and (settings.exploration if query.explore is None else query.explore) == 0.0
    )


def to_document(
    snapshot: ServingSnapshot, hits: Sequence[Hit], total: int | None, situation: str, features: LoggedFeatures, made_at: float
) -> dict[str, Any]:
    """Return a list as JSON values for the profile's document.

    hits: all of a plain recommendation of READY_HITS, explained. features: `logged_features` of the hits. made_at: epoch seconds
    of the query. Needs a forward index.
    """
    forward = snapshot.forward
    assert forward is not None
    item_ids = [hit.item_id for hit in hits]
    columns = {
        "item_id": item_ids,
        "seq_no": forward.seq_no(forward.rows(item_ids)).tolist(),
        "score": [hit.score for hit in hits],
        "parts": [dict(hit.parts) for hit in hits],
        "because": [list(hit.because) for hit in hits],
        "source": [dict(hit.source) for hit in hits],
    }
    varying = {name: column for name, column in features.items() if isinstance(column, list)}
    return {
        "format": _FORMAT,
        "fingerprint": snapshot.ranking_fingerprint,
        "index_uuid": forward.state.uuid,
        "made_at": made_at,
        "situation": situation,
        "total": total,
        "whole": len(hits) < READY_HITS,
        "chunks": [
            _packed({**_rows(columns, start), "features": _rows(varying, start)}) for start in range(0, len(hits), _CHUNK)
        ],
        "constant_features": {name: value for name, value in features.items() if name not in varying},
    }


def ready_answer(
    snapshot: ServingSnapshot, query: Query, stored: Document | None, keys: Sequence[str], now: float, started: float
) -> tuple[Answer, Mapping[str, Any]] | None:
    """Return the answer from the list that is stored with a profile, and its record for the answer log; None: compute it.

    stored: the profile's document. keys: `profile_keys` of the query. now: epoch seconds. started: `time.perf_counter()`.
    """
    found = None if stored is None else stored.source.get(READY_LIST)
    if found is None or not is_plain(query, snapshot.settings.search) or not _is_valid(snapshot, found, now):
        return None
    assert snapshot.forward is not None
    page = _page(snapshot.forward, found, query, now)
    if page is None:
        return None
    took_ms = (time.perf_counter() - started) * 1_000.0
    answer = Answer(str(uuid.uuid4()), "recommend", Ranking(page.hits, found["total"]), took_ms, made_at=found["made_at"])
    return answer, answer_record(snapshot, query, answer, found["situation"], keys, now, page.features)


def _is_valid(snapshot: ServingSnapshot, found: Mapping[str, Any], now: float) -> bool:
    """Return whether a list is of this version and ranking, and young enough."""
    return (
        snapshot.forward is not None
        and found["format"] == _FORMAT
        and found["fingerprint"] == snapshot.ranking_fingerprint
        and found["index_uuid"] == snapshot.forward.state.uuid
        and now - found["made_at"] < snapshot.settings.search.ready_hours * 3_600.0
    )


def _page(forward: ForwardIndex, found: Mapping[str, Any], query: Query, now: float) -> _Page | None:
    """Return the page that a query asks for, without what has expired by now, epoch seconds.

    None where the list is too short, or an item up to its end was written since.
    """
    expired = forward.expired(now) or frozenset()
    end, passed = query.offset + query.n, 0
    hits: list[Hit] = []
    features: dict[str, list[float | None]] = {}
    for text in found["chunks"]:
        chunk = unpacked(text)
        seq_no = forward.seq_no(forward.rows(chunk["item_id"])).tolist()
        numbers = zip(chunk["item_id"], seq_no, strict=True)
        there = [row for row, (item_id, number) in enumerate(numbers) if number >= 0 and item_id not in expired][: end - passed]
        if any(seq_no[row] != chunk["seq_no"][row] for row in there):
            return None
        shown = there[max(query.offset - passed, 0) :]
        passed += len(there)
        hits += [_hit(chunk, row, query.offset + rank, query.explain) for rank, row in enumerate(shown, start=len(hits) + 1)]
        for name, column in chunk["features"].items():
            features.setdefault(name, []).extend([column[row] for row in shown])
        if passed == end:
            break
    if passed < end and not found["whole"]:
        return None
    known = {name: column for name, column in features.items() if any(value is not None for value in column)}
    return _Page(tuple(hits), {**found["constant_features"], **known} if hits else {})


def _hit(chunk: Mapping[str, Any], row: int, rank: int, explain: bool) -> Hit:
    source = chunk["source"][row]
    return Hit(
        chunk["item_id"][row],
        chunk["score"][row],
        rank,
        chunk["parts"][row],
        title=str(source.get("title", "")),
        because=tuple(chunk["because"][row]) if explain else (),
        source=source,
    )


def _rows(columns: Mapping[str, Any], start: int) -> dict[str, Any]:
    return {name: column[start : start + _CHUNK] for name, column in columns.items()}


def _packed(values: Mapping[str, Any]) -> str:
    return base64.b64encode(zlib.compress(orjson.dumps(values))).decode("ascii")


def unpacked(text: str) -> dict[str, Any]:
    """Return the columns of a chunk of a stored list."""
    values: dict[str, Any] = orjson.loads(zlib.decompress(base64.b64decode(text)))
    return values
