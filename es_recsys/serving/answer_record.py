"""The record of an answer in the answer log."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from es_recsys.query import Answer, Hit, Query
from es_recsys.serving.snapshot import ServingSnapshot

__all__ = ["answer_record"]


def answer_record(
    snapshot: ServingSnapshot, query: Query, answer: Answer, situation: str, keys: Sequence[str], now: float
) -> dict[str, Any]:
    """Return JSON values. keys: profile keys of the user; user ids are not logged. now: epoch seconds."""
    return {
        "answer_id": answer.answer_id,
        "kind": answer.kind,
        "situation": situation if answer.kind in ("search", "recommend") else None,
        "time": now,
        "user_key": keys[0] if keys else None,
        "store": snapshot.metadata.store,
        "version": snapshot.metadata.version,
        "query": query.text or None,
        "offset": query.offset,
        "hits": [_hit(hit) for hit in answer.hits],
        "features": _features(answer.hits),
        "degraded": list(answer.ranking.degraded),
        "took_ms": answer.took_ms,
    }


def _hit(hit: Hit) -> dict[str, Any]:
    return {
        "item_id": hit.item_id,
        "position": hit.rank,
        "score": hit.score,
        "parts": dict(hit.parts),
        "propensity": hit.propensity,
        "inclusion_probability": hit.inclusion_probability,
    }


def _features(hits: Sequence[Hit]) -> dict[str, float | list[float | None] | None]:
    """Return feature -> its value for each hit, or the one that all have, in six digits.

    A learned ranking is trained on them, as they were when the hits were shown.
    """
    names = dict.fromkeys(name for hit in hits for name in hit.features)
    found = {name: [_rounded(hit.features.get(name)) for hit in hits] for name in names}
    return {name: values[0] if len(set(values)) == 1 else values for name, values in found.items()}


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.6g}")
